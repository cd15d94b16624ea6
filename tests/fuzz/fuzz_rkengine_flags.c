// fuzz_rkengine_flags.c: the command line of rk-engine, one word a line.
// What is accepted prints as a file that reads back to the same; the command starts within it.

#include "engine/options.h"
#include "tests/fuzz/lib/config.h"
#include "tests/fuzz/lib/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[FUZZ_WORDS_MAX + 1];
	int count = fuzz_take_words(data, size, "rk-engine", words);
	int fd = fuzz_next_fd();
	struct rk_options options;
	struct rk_config config;
	struct rk_error e;
	int rc;

	fuzz_error_spoil(&e);
	FUZZ_REQUIRE(config_init(&config) == 0);
	rc = options_read(&options, &config, count, words, &e);
	if (rc < 0) {
		fuzz_error_require(&e, rc);
	} else {
		FUZZ_REQUIRE(rc >= 1 && rc <= count);
		FUZZ_REQUIRE(options.mode <= MODE_HELP);
		fuzz_config_require(&config);
	}
	config_free(&config);
	FUZZ_REQUIRE(fuzz_next_fd() == fd);
	return 0;
}
