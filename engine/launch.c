// launch.c: find nsctl and start it with the configuration and a channel.
//
// How it works: nsctl reads the same settings as we have them now, printed into a memfd, so that a
// file that changes meanwhile or an override on our command line cannot make two truths. Sockets
// handed to us by a service manager (sd_listen_fds(3)) are the command's: they keep their numbers
// from 3 on, and the channel and the memfd come behind them.

#include "engine/launch.h"
#include "base/fd.h"
#include "base/msg.h"
#include "engine/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LISTEN_FDS_START 3
#define LISTEN_FDS_MAX   (RK_SPAWN_FDS_MAX - 2)
#define OWN_WORDS        6 // before the command's: nsctl run --channel=N -c FILE --

static int print_config(const struct rk_config *config, int *fd, struct rk_error *e)
{
	RK_CLEANUP_FD int memory = memfd_create("rk-engine-config", MFD_CLOEXEC);
	int copy;
	FILE *file;
	bool failed;

	if (memory < 0)
		return error_errno(e, errno, "memfd for nsctl's configuration");
	copy = fcntl(memory, F_DUPFD_CLOEXEC, 0);
	file = copy < 0 ? NULL : fdopen(copy, "w");
	if (!file) {
		fd_close(&copy);
		return error_errno(e, errno, "memfd for nsctl's configuration");
	}
	config_print(config, file);
	failed = ferror(file);
	if (fclose(file) != 0 || failed)
		return error_set(e, EIO, "nsctl's configuration could not be written");
	*fd = fd_take(&memory);
	return 0;
}

static long read_number(const char *variable)
{
	const char *text = getenv(variable);

	return text ? strtol(text, NULL, 10) : 0;
}

// The number of sockets that the service manager gave to this process. When they are not ours the
// variables go, too: nsctl relies on them.
static int count_listen_fds(unsigned *count, struct rk_error *e)
{
	long given = read_number("LISTEN_FDS");

	*count = 0;
	if (given <= 0 || read_number("LISTEN_PID") != getpid()) {
		unsetenv("LISTEN_FDS");
		unsetenv("LISTEN_PID");
		unsetenv("LISTEN_FDNAMES");
		return 0;
	}
	if (given > LISTEN_FDS_MAX)
		return error_set(e, EINVAL, "LISTEN_FDS=%ld: at most %d sockets can be passed on",
			given, LISTEN_FDS_MAX);
	*count = (unsigned)given;
	return 0;
}

static void add_fd(struct rk_spawn *spawn, int from, int to)
{
	spawn->fds[spawn->fd_count].from = from;
	spawn->fds[spawn->fd_count++].to = to;
}

// The words of the command line behind nsctl's own; the caller frees the array.
static const char **build_words(const char *const *own, char *const *command)
{
	size_t count = 0;
	const char **words;

	while (command && command[count])
		count++;
	words = calloc(OWN_WORDS + count + 1, sizeof(*words));
	if (!words)
		return NULL;
	memcpy(words, own, OWN_WORDS * sizeof(*words));
	for (size_t i = 0; i < count; i++)
		words[OWN_WORDS + i] = command[i];
	return words;
}

static int start_program(
	struct rk_process *nsctl, int channel, int config, char *const *command, struct rk_error *e)
{
	char program[PATH_MAX], channel_option[32], config_path[32];
	const char *own[OWN_WORDS] = {program, "run", channel_option, "-c", config_path, "--"};
	RK_CLEANUP_FREE const char **words = build_words(own, command);
	// A last resort: nsctl notices the end of the channel first, and cleans up.
	struct rk_spawn spawn = {.argv = words, .death_signal = SIGTERM};
	unsigned listen_fds;
	int rc = count_listen_fds(&listen_fds, e);

	if (rc < 0)
		return rc;
	if (!words)
		return error_errno(e, ENOMEM, "command line of nsctl");
	for (unsigned i = 0; i < listen_fds; i++)
		add_fd(&spawn, LISTEN_FDS_START + (int)i, LISTEN_FDS_START + (int)i);
	add_fd(&spawn, channel, LISTEN_FDS_START + (int)listen_fds);
	add_fd(&spawn, config, LISTEN_FDS_START + (int)listen_fds + 1);
	program_find(program, sizeof(program), "nsctl");
	snprintf(channel_option, sizeof(channel_option), "--channel=%u",
		LISTEN_FDS_START + listen_fds);
	snprintf(config_path, sizeof(config_path), "/proc/self/fd/%u",
		LISTEN_FDS_START + listen_fds + 1);
	rc = spawn_start(&spawn, nsctl, e);
	if (rc == -ENOENT)
		error_hint(e, "install nsctl beside rk-engine or in a directory of $PATH");
	return rc;
}

int launch_nsctl(struct rk_process *nsctl, int *channel, const struct rk_config *config,
	char *const *command, struct rk_error *e)
{
	RK_CLEANUP_FD int settings = -1;
	RK_CLEANUP_FD int ours = -1;
	RK_CLEANUP_FD int theirs = -1;
	int ends[2];
	int rc = print_config(config, &settings, e);

	if (rc < 0)
		return rc;
	rc = msg_channel(ends);
	if (rc < 0)
		return error_errno(e, -rc, "channel to nsctl");
	ours = ends[0];
	theirs = ends[1];
	rc = start_program(nsctl, theirs, settings, command, e);
	if (rc == 0)
		*channel = fd_take(&ours);
	return rc;
}
