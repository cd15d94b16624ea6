// enter.c: `nsctl enter`: run a command in the namespaces of a running instance.
//
// How it works: one setns(2) with a pidfd joins every namespace in which the target differs from
// us; the kernel checks all of them before it changes any (since Linux 5.8). Only a new pid
// namespace needs a fork, since it holds for children; else we become the command.

#include "base/fd.h"
#include "base/log.h"
#include "base/spawn.h"
#include "nsctl/command.h"
#include "nsctl/instance.h"
#include "nsctl/run.h"
#include "nsctl/signals.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *name;
	int flag;
} namespaces[] = {
	{"user", CLONE_NEWUSER},
	{"mnt", CLONE_NEWNS},
	{"net", CLONE_NEWNET},
	{"pid", CLONE_NEWPID},
	{"uts", CLONE_NEWUTS},
	{"ipc", CLONE_NEWIPC},
	{"cgroup", CLONE_NEWCGROUP},
};

// The namespaces in which `pid` is not with us.
static int find_differences(pid_t pid, int *flags, struct rk_error *e)
{
	*flags = 0;
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		struct stat own, other;
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i].name);
		if (stat(path, &own) < 0)
			continue; // a kernel without this kind
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, namespaces[i].name);
		if (stat(path, &other) < 0)
			return error_errno(
				e, errno, "process %d: %s namespace", pid, namespaces[i].name);
		if (own.st_ino != other.st_ino || own.st_dev != other.st_dev)
			*flags |= namespaces[i].flag;
	}
	return 0;
}

// The working directory may not exist over there.
static void keep_directory(const char *directory)
{
	if (!directory || chdir(directory) < 0) {
		if (chdir("/") < 0)
			log_debug("no working directory: %s", strerror(errno));
	}
}

static int join(pid_t pid, int *flags, struct rk_error *e)
{
	RK_CLEANUP_FD int pidfd = pidfd_open(pid, 0);
	RK_CLEANUP_FREE char *directory = getcwd(NULL, 0);
	bool was_root = geteuid() == 0;
	int rc;

	if (pidfd < 0)
		return error_errno(e, errno, "process %d", pid);
	rc = find_differences(pid, flags, e);
	if (rc < 0 || *flags == 0)
		return rc;
	if (setns(pidfd, *flags) < 0)
		return error_errno(e, errno, "join the namespaces of process %d", pid);
	keep_directory(directory);
	if (!(*flags & CLONE_NEWUSER))
		return 0;
	// Groups of the real root mean nothing in there and must not come along.
	if (was_root && setgroups(0, NULL) < 0 && errno != EPERM)
		return error_errno(e, errno, "drop the supplementary groups");
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return error_errno(e, errno, "become root of the user namespace");
	return 0;
}

// Waits for the command and passes signals on; returns its exit status. A command that no signal
// would reach any more is ended: -code.
static int wait_for(pid_t pid, int signal_fd, struct rk_error *e)
{
	struct pollfd event = {signal_fd, POLLIN, 0};
	struct signalfd_siginfo info;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (poll(&event, 1, -1) < 0) {
			if (errno == EINTR)
				continue;
			error_errno(e, errno, "wait for the command, which is ended");
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			return -EIO;
		}
		while (signals_read(signal_fd, &info)) {
			enum signal_action action = signals_classify(&info);

			if (action == SIGNAL_FORWARD)
				kill(pid, (int)info.ssi_signo);
			else if (action == SIGNAL_STOP_SELF)
				kill(getpid(), SIGSTOP);
		}
	}
	return process_exit_code(status);
}

static int run_in_child(char **argv, struct rk_error *e)
{
	RK_CLEANUP_FD int signal_fd = signals_open();
	pid_t pid;
	int rc;

	if (signal_fd < 0)
		return error_errno(e, -signal_fd, "make a signalfd");
	rc = command_start(argv, 0, &pid, e);
	return rc < 0 ? rc : wait_for(pid, signal_fd, e);
}

// The target's pid, from a number or a state directory. 0 or -code.
static int find_target(const char *word, pid_t *pid, struct rk_error *e)
{
	struct instance instance;
	int rc;

	if (word[0] && strlen(word) < 10 && word[strspn(word, "0123456789")] == '\0') {
		*pid = (pid_t)strtol(word, NULL, 10);
		return *pid > 0 ? 0 : error_set(e, EINVAL, "%s: not a process", word);
	}
	rc = instance_find(&instance, word, e);
	if (rc < 0)
		return rc;
	if (!instance.running)
		return error_set(e, ESRCH, "%s: nothing is running there", instance.path);
	if (instance.attached[0]) {
		error_set(e, EINVAL, "%s: the engine there is attached to %s and has no namespaces",
			instance.path, instance.attached);
		return error_hint(e, "enter those of a process: nsctl enter PID");
	}
	*pid = instance.child_pid;
	if (setenv("ROOTLESSKIT_STATE_DIR", instance.path, 1) < 0)
		return error_errno(e, errno, "set the environment of the command");
	return 0;
}

static int enter(const char *target, char **argv)
{
	struct rk_error e;
	int flags = 0;
	pid_t pid = 0;
	int rc = find_target(target, &pid, &e);

	if (rc == 0)
		rc = join(pid, &flags, &e);
	if (rc < 0) {
		log_failure(&e);
		return 1;
	}
	rc = flags & CLONE_NEWPID ? run_in_child(argv, &e) : command_exec(argv, &e);
	if (rc >= 0)
		return rc;
	log_failure(&e);
	return command_failure_status(-rc);
}

int enter_main(int argc, char **argv)
{
	char *storage[COMMAND_WORDS_MAX];
	char **words = argv + 2;

	if (argc < 2 || argv[1][0] == '-') {
		log_error("enter: no state directory or pid given (see nsctl --help)");
		return 1;
	}
	if (argc > 2 && strcmp(argv[2], "--") == 0)
		words++;
	else if (argc > 2 && argv[2][0] == '-') {
		log_error("enter: unexpected \"%s\" (see nsctl --help)", argv[2]);
		return 1;
	}
	return enter(argv[1], command_choose(words, NULL, storage));
}
