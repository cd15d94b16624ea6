// config_support.c: what the tests of the configuration share.

#include "tests/unit/config_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int support_read_text(struct rk_config *config, const char *text, struct rk_error *e)
{
	return config_read_text(config, "t.ini", text, strlen(text), e);
}

// The text that `print` writes; the caller frees it.
static char *printed_config(const struct rk_config *config)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_print(config, out);
	fclose(out);
	return text;
}

void support_expect_round_trip(const struct rk_config *config)
{
	char *text = printed_config(config);
	struct rk_config again;
	struct rk_error e = {0};
	char *second;

	config_init(&again);
	cr_expect_eq(support_read_text(&again, text, &e), 0, "%s\n%s", e.text, text);
	second = printed_config(&again);
	cr_expect_str_eq(text, second);
	cr_expect_str_eq(again.process.command, config->process.command);
	cr_expect_str_eq(again.engine.state_dir, config->engine.state_dir);
	cr_expect_eq(again.engine.udp_idle_timeout_ms, config->engine.udp_idle_timeout_ms);
	cr_expect_eq(again.port.publish.count, config->port.publish.count);
	for (size_t i = 0; i < config->port.publish.count; i++)
		cr_expect_eq(memcmp(&again.port.publish.items[i], &config->port.publish.items[i],
				     sizeof(struct rk_port_spec)),
			0);
	config_free(&again);
	free(second);
	free(text);
}

char support_directory[] = "/tmp/rk-test-config-XXXXXX";
char support_file[64];

void support_make_directory(void)
{
	cr_assert(mkdtemp(support_directory));
	snprintf(support_file, sizeof(support_file), "%s/a.ini", support_directory);
}

void support_remove_directory(void)
{
	unlink(support_file);
	rmdir(support_directory);
}

void support_write_file(const char *text)
{
	FILE *file = fopen(support_file, "we");

	cr_assert(file);
	fputs(text, file);
	fclose(file);
}
