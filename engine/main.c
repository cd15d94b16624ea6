// main.c: rk-engine's command line.

#include "base/log.h"
#include "config/config.h"
#include "drivers/driver.h"
#include "engine/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum mode { MODE_RUN, MODE_CHECK, MODE_PRINT_CONFIG, MODE_VERSION, MODE_HELP };

static const struct {
	const char *option;
	enum mode mode;
} modes[] = {
	{"--check", MODE_CHECK},
	{"--print-config", MODE_PRINT_CONFIG},
	{"--version", MODE_VERSION},
	{"-v", MODE_VERSION},
	{"--help", MODE_HELP},
	{"-h", MODE_HELP},
};

static int read_mode(void *context, const char *option, const char *next, struct rk_error *e)
{
	enum mode *mode = context;

	(void)next;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(option, modes[i].option) != 0)
			continue;
		*mode = modes[i].mode;
		return 1;
	}
	error_set(e, EINVAL, "%s: unknown option", option);
	return error_hint(e, "rk-engine --help lists them");
}

static void print_help(void)
{
	printf("Usage: rk-engine [-c FILE] [-o SECTION.KEY=VALUE]... [OPTION] [--] [COMMAND "
	       "[ARG]...]\n"
	       "\n"
	       "Runs COMMAND in rootless namespaces and publishes its ports on the host.\n"
	       "\n"
	       "  -c, --config=FILE         read settings from an INI file\n"
	       "  -o SECTION.KEY=VALUE      change one setting; also --SECTION.KEY=VALUE\n"
	       "      --check               check the settings, start nothing\n"
	       "      --print-config        print all settings as they would be used\n"
	       "  -h, --help                print this\n"
	       "  -v, --version             print the version\n"
	       "\n"
	       "Exit status: that of COMMAND, 128 + N when signal N ended it, 1 when rk-engine\n"
	       "itself failed.\n"
	       "\n"
	       "Settings:\n");
	config_print_help(stdout);
}

static int check(const struct rk_config *config, struct rk_error *e)
{
	int rc = config_check(config, e);

	return rc == 0 ? drivers_check(config, e) : rc;
}

static int run(struct rk_config *config, char *const *command, int *exit_code, struct rk_error *e)
{
	int rc = check(config, e);

	if (rc < 0)
		return rc;
	log_init("rk-engine", config->engine.log_level, config->engine.log_format);
	return supervisor_run(config, command, exit_code, e);
}

static int execute(enum mode mode, struct rk_config *config, char *const *command, int *exit_code,
	struct rk_error *e)
{
	*exit_code = EXIT_SUCCESS;
	switch (mode) {
	case MODE_HELP:
		print_help();
		return 0;
	case MODE_VERSION:
		printf("rk-engine version %s\n", RK_VERSION);
		return 0;
	case MODE_PRINT_CONFIG:
		config_print(config, stdout);
		return 0;
	case MODE_CHECK:
		return check(config, e);
	case MODE_RUN:
		break;
	}
	return run(config, command, exit_code, e);
}

int main(int argc, char **argv)
{
	enum mode mode = MODE_RUN;
	struct rk_config config;
	struct rk_error e = {0};
	int exit_code;
	int rc;

	log_init("rk-engine", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	config_init(&config);
	rc = config_read_arguments(&config, argc, argv, read_mode, &mode, &e);
	if (rc >= 0)
		rc = execute(mode, &config, argv + rc, &exit_code, &e);
	if (rc < 0) {
		log_failure(&e);
		exit_code = EXIT_FAILURE;
	}
	config_free(&config);
	return exit_code;
}
