// main.c: rk-engine's command line. Under the name rootlesskit: engine/rootlesskit.c.

#include "base/log.h"
#include "base/spawn.h"
#include "config/config.h"
#include "drivers/driver.h"
#include "engine/attach_run.h"
#include "engine/rootlesskit.h"
#include "engine/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum mode { MODE_RUN, MODE_CHECK, MODE_PRINT_CONFIG, MODE_VERSION, MODE_HELP };

struct options {
	enum mode mode;
	const char *attach; // a process id or a file, NULL = namespaces of our own
	struct rk_config *config;
};

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

static bool read_mode(struct options *options, const char *option)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(option, modes[i].option) != 0)
			continue;
		options->mode = modes[i].mode;
		return true;
	}
	return false;
}

// The value of "--name=VALUE", or of `next`; *words tells how many words they are. NULL: the option
// has another name, or no value (then *words is 2, and our caller says so).
static const char *read_value(const char *option, const char *name, const char *next, int *words)
{
	size_t length = strlen(name);

	if (strncmp(option, name, length) != 0)
		return NULL;
	if (option[length] == '=') {
		*words = 1;
		return option + length + 1;
	}
	if (option[length])
		return NULL;
	*words = 2;
	return next;
}

static int read_option(void *context, const char *option, const char *next, struct rk_error *e)
{
	struct options *options = context;
	const char *value;
	int words = 0;

	if (read_mode(options, option))
		return 1;
	value = read_value(option, "--attach", next, &words);
	if (value)
		options->attach = value;
	if (words)
		return words;
	value = read_value(option, "-p", next, &words);
	if (!words)
		value = read_value(option, "--publish", next, &words);
	if (value && config_set(options->config, "port", "publish", value, e) < 0)
		return error_wrap(e, "%.*s", (int)strcspn(option, "="), option);
	if (words)
		return words;
	error_set(e, EINVAL, "%s: unknown option", option);
	return error_hint(e, "rk-engine --help lists them");
}

static void print_help(void)
{
	printf("Usage: rk-engine [-c FILE] [-o SECTION.KEY=VALUE]... [OPTION] [--] [COMMAND "
	       "[ARG]...]\n"
	       "\n"
	       "Runs COMMAND in rootless namespaces and publishes its ports on the host.\n"
	       "With --attach: publishes ports of a network namespace that exists already.\n"
	       "\n"
	       "  -c, --config=FILE         read settings from an INI file\n"
	       "  -o SECTION.KEY=VALUE      change one setting; also --SECTION.KEY=VALUE\n"
	       "  -p, --publish=SPEC        publish a port, as in :8080:80/tcp; repeatable\n"
	       "      --attach=PID|FILE     forward into the network namespace of a process or\n"
	       "                            file (/run/netns/NAME), start nothing\n"
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

// Whoever asked for the end knows; else the exit code alone would not tell a signal from an exit.
static void warn_killed(const struct rk_outcome *outcome)
{
	char how[64];

	if (!outcome->stopped && WIFSIGNALED(outcome->wait_status))
		log_warning("the command was %s",
			process_describe_status(outcome->wait_status, how, sizeof(how)));
}

static int run(struct rk_config *config, char *const *command, int *exit_code, struct rk_error *e)
{
	struct rk_outcome outcome;
	int rc = check(config, e);

	if (rc < 0)
		return rc;
	log_init("rk-engine", config->engine.log_level, config->engine.log_format);
	rc = supervisor_run(config, command, &outcome, e);
	if (rc < 0)
		return rc;
	warn_killed(&outcome);
	*exit_code = process_exit_code(outcome.wait_status);
	return 0;
}

// Without a command of ours the drivers, which make namespaces, have nothing to say.
static int attach(
	struct rk_config *config, const char *target, char *const *command, struct rk_error *e)
{
	int rc = config_check(config, e);

	if (rc == 0 && command[0])
		rc = error_set(
			e, EINVAL, "--attach starts no command, \"%.64s\" is too much", command[0]);
	if (rc < 0)
		return rc;
	log_init("rk-engine", config->engine.log_level, config->engine.log_format);
	return attach_run(config, target, e);
}

static int execute(
	const struct options *options, char *const *command, int *exit_code, struct rk_error *e)
{
	struct rk_config *config = options->config;

	*exit_code = EXIT_SUCCESS;
	switch (options->mode) {
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
	if (options->attach)
		return attach(config, options->attach, command, e);
	return run(config, command, exit_code, e);
}

int main(int argc, char **argv)
{
	struct rk_config config;
	struct options options = {.mode = MODE_RUN, .config = &config};
	struct rk_error e = {0};
	int exit_code;
	int rc;

	if (rootlesskit_is_name(argv[0]))
		return rootlesskit_main(argc, argv);
	log_init("rk-engine", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	config_init(&config);
	rc = config_read_arguments(&config, argc, argv, read_option, &options, &e);
	if (rc >= 0)
		rc = execute(&options, argv + rc, &exit_code, &e);
	if (rc < 0) {
		log_failure(&e);
		exit_code = EXIT_FAILURE;
	}
	config_free(&config);
	return exit_code;
}
