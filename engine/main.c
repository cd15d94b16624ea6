// main.c: rk-engine's command line. Under the name rootlesskit: engine/rootlesskit.c.

#include "base/fd.h"
#include "base/log.h"
#include "base/spawn.h"
#include "config/config.h"
#include "drivers/driver.h"
#include "engine/attach_run.h"
#include "engine/options.h"
#include "engine/rootlesskit.h"
#include "engine/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

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

static int execute(const struct rk_options *options, struct rk_config *config, char *const *command,
	int *exit_code, struct rk_error *e)
{
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
	struct rk_options options;
	struct rk_error e = {0};
	int exit_code;
	int rc;

	// Ignored by whoever started us, the end of a child would tell nobody its status.
	signal(SIGCHLD, SIG_DFL);
	if (rootlesskit_is_name(argv[0]))
		return rootlesskit_main(argc, argv);
	log_init("rk-engine", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	rc = config_init(&config);
	rc = rc < 0 ? error_errno(&e, -rc, "settings")
		    : options_read(&options, &config, argc, argv, &e);
	if (rc >= 0)
		rc = execute(&options, &config, argv + rc, &exit_code, &e);
	if (rc >= 0 && (rc = fd_flush_output()) < 0)
		error_errno(&e, -rc, "standard output");
	if (rc < 0) {
		log_failure(&e);
		exit_code = EXIT_FAILURE;
	}
	config_free(&config);
	return exit_code;
}
