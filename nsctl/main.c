// main.c: the program nsctl: rootless namespaces and their networks.

#include "base/fd.h"
#include "base/log.h"
#include "nsctl/run.h"
#include "nsctl/signals.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: nsctl run [-c FILE] [-o SECTION.KEY=VALUE]... [-- COMMAND ARGS...]\n"
	"       nsctl enter STATE-DIR|PID [-- COMMAND ARGS...]\n"
	"       nsctl status STATE-DIR [--json]\n"
	"       nsctl --help | --version\n"
	"\n"
	"run     makes user, mount and network namespaces and runs COMMAND as root of them\n"
	"enter   runs COMMAND (default: $SHELL) in the namespaces of one that is running\n"
	"status  says whether one is running; exit status 0 = running, 3 = not running\n";

// "helper" is the engine's, not for people.
static const struct job {
	const char *name;
	int (*main)(int argc, char **argv);
} jobs[] = {
	{"run", run_main},
	{"enter", enter_main},
	{"status", status_main},
	{"helper", netns_helper_main},
};

static int run(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (strcmp(word, "--version") == 0) {
		printf("nsctl version %s\n", RK_VERSION);
		return 0;
	}
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		if (strcmp(word, jobs[i].name) == 0)
			return jobs[i].main(argc - 1, argv + 1);
	}
	if (word[0])
		log_error("%s: unknown job (allowed: run, enter, status; see nsctl --help)", word);
	else
		log_error("no job given (allowed: run, enter, status; see nsctl --help)");
	return 1;
}

int main(int argc, char **argv)
{
	int status;
	int rc;

	log_init("nsctl", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	signals_block();
	status = run(argc, argv);
	rc = fd_flush_output();
	if (rc == 0 || status != 0)
		return status;
	log_error("standard output: %s", strerror(-rc));
	return 1;
}
