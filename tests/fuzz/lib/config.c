// config.c: what holds for every configuration that was accepted, whatever it was read from.

#include "tests/fuzz/lib/config.h"
#include "tests/fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

static char *print(const struct rk_config *config)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	FUZZ_REQUIRE(out);
	config_print(config, out);
	fclose(out);
	return text;
}

void fuzz_config_require(const struct rk_config *config)
{
	char *text = print(config);
	struct rk_config again;
	struct rk_error e;
	char *second;
	int rc;

	FUZZ_REQUIRE(config_init(&again) == 0);
	FUZZ_REQUIRE(config_read_text(&again, "printed", text, strlen(text), &e) == 0);
	second = print(&again);
	FUZZ_REQUIRE(strcmp(text, second) == 0);
	config_free(&again);
	free(second);
	free(text);
	fuzz_error_spoil(&e);
	rc = config_check(config, &e);
	if (rc < 0)
		fuzz_error_require(&e, rc);
}
