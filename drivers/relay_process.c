// relay_process.c: the process that a tap relay runs in.
//
// How it works: it is a fork of the host side and stays in the host's namespaces, as the user: in
// the child's user namespace the command could trace it and so get out. From the host side it keeps
// the tap, the socket and the log, nothing else; /proc shows it to nobody (not dumpable), it can
// gain no privilege, and the signals of a terminal, which are meant for the command, pass it by.

#include "base/fd.h"
#include "drivers/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TAP_FD = STDERR_FILENO + 1, SOCKET_FD, LOG_FD, END_FD };

// Moves *fd to number `to`; -1 stays what it is.
static int place(int *fd, int to)
{
	if (*fd >= 0 && dup2(*fd, to) < 0)
		return -errno;
	if (*fd >= 0)
		*fd = to;
	return 0;
}

// All go above the numbers that they get, so that none is overwritten before it is moved.
static int keep_only(struct rk_relay_options *options)
{
	int *fds[] = {&options->tap, &options->socket, &options->log_fd};
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0)
		return -errno;
	for (unsigned i = 0; i < 3; i++) {
		if (*fds[i] < 0)
			continue;
		*fds[i] = fcntl(*fds[i], F_DUPFD_CLOEXEC, END_FD);
		if (*fds[i] < 0)
			return -errno;
	}
	// Then none of them, since null_fd may have such a number itself.
	for (int i = 0; i <= STDERR_FILENO; i++) {
		if (dup2(null_fd, i) < 0)
			return -errno;
	}
	for (int i = 0; i < 3; i++) {
		if (place(fds[i], TAP_FD + i) < 0)
			return -errno;
	}
	if (options->log_fd < 0)
		close(LOG_FD);
	fd_close_from(END_FD);
	return 0;
}

__attribute__((noreturn)) static void become_relay(struct rk_relay_options options, pid_t parent)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "nsctl-relay");
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || chdir("/") < 0 ||
		keep_only(&options) < 0)
		_exit(RELAY_FAILED);
	_exit(relay_run(&options));
}

int relay_start(
	const struct rk_relay_options *options, struct rk_process *process, struct rk_error *e)
{
	pid_t parent = getpid();
	pid_t pid;
	int code;

	*process = RK_PROCESS_NONE;
	pid = fork();
	if (pid == 0)
		become_relay(*options, parent);
	if (pid < 0)
		return error_errno(e, errno, "tap relay: fork");
	process->pidfd = pidfd_open(pid, 0);
	code = errno;
	if (process->pidfd < 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return error_errno(e, code, "tap relay: pidfd_open");
	}
	process->pid = pid;
	return 0;
}

const char *relay_describe_end(int wait_status, char *text, size_t size)
{
	static const char *const ends[] = {
		[RELAY_FAILED] = "failed",
		[RELAY_BACKEND_GONE] = "lost the connection to the backend",
		[RELAY_TAP_GONE] = "lost the tap device",
		[RELAY_BACKEND_BROKEN] = "got from the backend what is no Ethernet frame",
	};
	unsigned status = WIFEXITED(wait_status) ? (unsigned)WEXITSTATUS(wait_status) : 0;

	if (status >= sizeof(ends) / sizeof(ends[0]) || !ends[status])
		return process_describe_status(wait_status, text, size);
	snprintf(text, size, "%s", ends[status]);
	return text;
}
