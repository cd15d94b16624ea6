// fuzz_rootlesskit_flags.c: the command line of rootlesskit, one word a line.
// What is accepted prints as a file that reads back to the same; the command starts within it.

#include "engine/rootlesskit_flags.h"
#include "tests/fuzz/lib/config.h"
#include "tests/fuzz/lib/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[FUZZ_WORDS_MAX + 1];
	int count = fuzz_take_words(data, size, "rootlesskit", words);
	struct rootlesskit_flags flags = {.command = count};
	struct rk_config config;
	struct rk_error e;
	int rc;

	FUZZ_REQUIRE(config_init(&config) == 0);
	FUZZ_REQUIRE(rootlesskit_flags_set_defaults(&config, &e) == 0);
	fuzz_error_spoil(&e);
	rc = rootlesskit_flags_read(&flags, &config, count, words, &e);
	if (rc < 0) {
		fuzz_error_require(&e, rc);
		fuzz_require_printable(e.text, "");
		rootlesskit_flags_translate(&e);
		fuzz_error_require(&e, rc);
	} else {
		FUZZ_REQUIRE(flags.command >= 1 && flags.command <= count);
		fuzz_config_require(&config);
	}
	config_free(&config);
	return 0;
}
