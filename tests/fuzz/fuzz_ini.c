// fuzz_ini.c: configuration files.
// What is accepted prints as a file that reads back to the same configuration.

#include "config/config.h"
#include "tests/fuzz/lib/config.h"
#include "tests/fuzz/lib/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_config config;
	struct rk_error e;
	int rc;

	if (size > FUZZ_GUARDED_MAX)
		return 0;
	fuzz_error_spoil(&e);
	FUZZ_REQUIRE(config_init(&config) == 0);
	rc = config_read_text(&config, "t.ini", fuzz_guarded(data, size), size, &e);
	if (rc < 0)
		fuzz_error_require(&e, rc);
	if (rc < 0)
		fuzz_require_printable(e.text, "");
	else
		fuzz_config_require(&config);
	config_free(&config);
	return 0;
}
