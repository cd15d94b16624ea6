// run.c: `nsctl run`: arguments and configuration, then the host side.

#include "nsctl/run.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/msg.h"
#include "config/config.h"
#include "nsctl/command.h"
#include "nsctl/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PROGRAM "nsctl"

static const char usage[] =
	"usage: nsctl run [-c FILE] [-o SECTION.KEY=VALUE]... [-- COMMAND ARGS...]\n"
	"Runs COMMAND (default: [process] command, else $SHELL) as root of namespaces of its own.\n"
	"\n"
	"  -c, --config FILE        read the settings from FILE (INI)\n"
	"  -o SECTION.KEY=VALUE     set one; --SECTION.KEY=VALUE does the same\n"
	"  --channel=FD             SEQPACKET socket of the engine that started this\n"
	"  -h, --help               this text\n"
	"\n"
	"The exit status is that of COMMAND (128 + signal when one killed it, 127 or 126 when it\n"
	"cannot be executed), 1 when the namespaces or the network cannot be made.\n"
	"SIGTERM and SIGINT are passed on; COMMAND is killed [process] stop-timeout later, or by "
	"a\n"
	"second SIGTERM.\n"
	"\n"
	"Settings:\n";

struct run_options {
	int channel;
	bool help;
};

static bool is_number(const char *text)
{
	return text[0] && strlen(text) < 7 && text[strspn(text, "0123456789")] == '\0';
}

static int take_channel(struct run_options *options, const char *value, struct rk_error *e)
{
	socklen_t size = sizeof(int);
	int type = 0;

	if (!is_number(value))
		return error_set(e, EINVAL, "--channel=%s: not a descriptor number", value);
	options->channel = (int)strtol(value, NULL, 10);
	if (getsockopt(options->channel, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return error_errno(e, errno, "--channel=%s", value);
	if (type != SOCK_SEQPACKET)
		return error_set(e, EINVAL, "--channel=%s: not a SEQPACKET socket", value);
	if (fd_set_cloexec(options->channel, true) < 0)
		return error_errno(e, errno, "--channel=%s", value);
	return 0;
}

static int take_option(void *context, const char *option, const char *next, struct rk_error *e)
{
	struct run_options *options = context;
	int rc;

	if (strcmp(option, "-h") == 0 || strcmp(option, "--help") == 0) {
		options->help = true;
		return 1;
	}
	if (strncmp(option, "--channel=", strlen("--channel=")) == 0) {
		rc = take_channel(options, option + strlen("--channel="), e);
		return rc < 0 ? rc : 1;
	}
	if (strcmp(option, "--channel") == 0 && next) {
		rc = take_channel(options, next, e);
		return rc < 0 ? rc : 2;
	}
	error_set(e, EINVAL, "%s: unknown option", option);
	return error_hint(e, "see nsctl run --help");
}

// The engine has checked its configuration already. The port settings mean nothing here; the
// network driver checks its own.
static int check(
	const struct rk_config *config, const struct run_options *options, struct rk_error *e)
{
	if (options->channel < 0)
		return config_check(config, e);
	if (config->engine.workers >= 1 && config->engine.workers <= RK_MSG_FDS_MAX)
		return 0;
	return error_set(e, EINVAL, "[engine] workers: %u, nsctl serves 1 to %d",
		config->engine.workers, RK_MSG_FDS_MAX);
}

static int run_with(struct rk_config *config, int argc, char **argv, struct rk_error *e)
{
	struct run_options options = {.channel = -1};
	struct host_options host = {.config = config};
	char *words[COMMAND_WORDS_MAX];
	int first = config_read_arguments(config, argc, argv, take_option, &options, e);
	int rc;

	if (options.help) {
		fputs(usage, stdout);
		config_print_help(stdout);
		return 0;
	}
	rc = first < 0 ? first : check(config, &options, e);
	if (rc < 0 && options.channel >= 0)
		msg_send(options.channel, MSG_ERROR, e, sizeof(*e), NULL, 0);
	else if (rc < 0)
		log_failure(e);
	if (rc < 0)
		return 1;
	log_init(PROGRAM, config->engine.log_level, config->engine.log_format);
	host.engine = options.channel;
	host.command = command_choose(argv + first, config, words);
	return host_run(&host);
}

int run_main(int argc, char **argv)
{
	struct rk_config config;
	struct rk_error e;
	int status;

	if (config_init(&config) < 0) {
		log_error("settings: out of memory");
		return 1;
	}
	status = run_with(&config, argc, argv, &e);
	config_free(&config);
	return status;
}
