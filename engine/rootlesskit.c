// rootlesskit.c: rk-engine under the name rootlesskit: RootlessKit's flags, defaults and manners.
//
// How it works: the flags fill the same struct rk_config that a file does, the same checks look at
// it, and the same supervisor runs it. What differs is how the end is told: a command that a signal
// killed makes the exit status 255, and a line on stderr says how the command ended.

#include "engine/rootlesskit.h"
#include "base/fd.h"
#include "base/log.h"
#include "drivers/driver.h"
#include "engine/rootlesskit_flags.h"
#include "engine/supervisor.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "rootlesskit"
// The release whose command line this is. Launchers look for features by this number.
#define COMPATIBLE_MAJOR "3"
#define COMPATIBLE_MINOR "0"
#define COMPATIBLE_PATCH "1"
#define COMPATIBLE       COMPATIBLE_MAJOR "." COMPATIBLE_MINOR "." COMPATIBLE_PATCH

#define EXIT_SIGNALED    255
#define COMMAND_TEXT_MAX 512

static const char help_head[] =
	"NAME:\n"
	"   rootlesskit - run a command as root of user, mount and network namespaces\n"
	"\n"
	"USAGE:\n"
	"   rootlesskit [flags] COMMAND [ARGS...]\n"
	"\n"
	"VERSION:\n"
	"   " COMPATIBLE " (provided by rk-engine " RK_VERSION ")\n"
	"\n"
	"EXAMPLES:\n"
	"   rootlesskit bash\n"
	"   rootlesskit --net=slirp4netns --copy-up=/etc --disable-host-loopback \\\n"
	"     --port-driver=builtin -p 127.0.0.1:8080:80/tcp bash\n"
	"\n"
	"OPTIONS:\n";

// Docker's packages call theirs docker-rootlesskit.
bool rootlesskit_is_name(const char *program)
{
	const char *slash = program ? strrchr(program, '/') : NULL;
	const char *name = slash ? slash + 1 : program;

	return name && (strcmp(name, PROGRAM) == 0 || strcmp(name, "docker-" PROGRAM) == 0);
}

static int print_semver(const char *part, struct rk_error *e)
{
	static const char *const parts[][2] = {
		{"major", COMPATIBLE_MAJOR},
		{"minor", COMPATIBLE_MINOR},
		{"patch", COMPATIBLE_PATCH},
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(part, parts[i][0]) != 0)
			continue;
		puts(parts[i][1]);
		return 0;
	}
	return error_set(e, EINVAL,
		"invalid value for flag --print-semver: \"%.40s\", allowed: major, minor, patch",
		part);
}

// Things that work but that people regret.
static void warn(const struct rk_config *config)
{
	const struct rk_net_driver *net = net_driver_find(config->network.driver);

	if (geteuid() == 0)
		log_warning("running as root is not what this program is for: root's ids are "
			    "mapped as they are");
	if (net->default_ifname[0] && !config->network.disable_host_loopback)
		log_warning("without --disable-host-loopback the command reaches what listens on "
			    "the host's 127.0.0.1");
}

static int check(const struct rk_config *config, struct rk_error *e)
{
	int rc = config_check(config, e);

	if (rc == 0)
		rc = drivers_check(config, e);
	if (rc < 0)
		rootlesskit_flags_translate(e);
	return rc;
}

// "[sh -c exit 7]", cut where it gets long. Returns `text`.
static const char *describe_command(char *const *command, char *text, size_t size)
{
	size_t used = 0;

	for (; *command && used < size; command++)
		used += (size_t)snprintf(
			text + used, size - used, "%s%s", used ? " " : "[", *command);
	if (used < size)
		snprintf(text + used, size - used, "]");
	return text;
}

// RootlessKit's exit status; its tests and its launchers look for the words, too.
static int tell_end(const struct rk_outcome *outcome, char *const *command)
{
	int status = outcome->wait_status;
	char text[COMMAND_TEXT_MAX], name[64];

	if (outcome->not_executed)
		return EXIT_FAILURE;
	describe_command(command, text, sizeof(text));
	if (WIFSIGNALED(status)) {
		snprintf(name, sizeof(name), "%s", strsignal(WTERMSIG(status)));
		name[0] = (char)tolower((unsigned char)name[0]);
		log_error("command %s exited: signal: %s", text, name);
		return EXIT_SIGNALED;
	}
	if (WEXITSTATUS(status) != 0)
		log_error("command %s exited: exit status %d", text, WEXITSTATUS(status));
	return WEXITSTATUS(status);
}

static int run(struct rk_config *config, char *const *command, int *exit_code, struct rk_error *e)
{
	struct rk_outcome outcome;
	int rc;

	if (!*command)
		return error_set(e, EINVAL, "no command specified");
	rc = check(config, e);
	if (rc < 0)
		return rc;
	log_init(PROGRAM, config->engine.log_level, config->engine.log_format);
	warn(config);
	rc = supervisor_run(config, command, &outcome, e);
	if (rc == 0)
		*exit_code = tell_end(&outcome, command);
	return rc;
}

static int execute(const struct rootlesskit_flags *flags, struct rk_config *config, char **argv,
	int *exit_code, struct rk_error *e)
{
	*exit_code = EXIT_SUCCESS;
	if (flags->help) {
		fputs(help_head, stdout);
		rootlesskit_flags_print();
		return 0;
	}
	if (flags->version) {
		printf("rootlesskit version %s\n", COMPATIBLE);
		return 0;
	}
	if (flags->print_semver)
		return print_semver(flags->print_semver, e);
	return run(config, argv + flags->command, exit_code, e);
}

int rootlesskit_main(int argc, char **argv)
{
	struct rootlesskit_flags flags = {.command = argc};
	struct rk_config config;
	struct rk_error e = {0};
	int exit_code = EXIT_FAILURE;
	int rc;

	log_init(PROGRAM, LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
	rc = config_init(&config);
	rc = rc < 0 ? error_errno(&e, -rc, "settings")
		    : rootlesskit_flags_set_defaults(&config, &e);
	if (rc == 0)
		rc = rootlesskit_flags_read(&flags, &config, argc, argv, &e);
	if (rc == 0)
		rc = execute(&flags, &config, argv, &exit_code, &e);
	if (rc >= 0 && (rc = fd_flush_output()) < 0)
		error_errno(&e, -rc, "standard output");
	if (rc < 0) {
		log_failure(&e);
		exit_code = EXIT_FAILURE;
	}
	config_free(&config);
	return exit_code;
}
