// inside.c: opens something in the child's network namespace, its descriptor on the host side.
//
// How it works: a process that enters the child's user namespace can be traced from in there, so
// the host side does not go itself: a short-lived process of its own enters, opens the thing and
// sends the descriptor back. At that time nothing but our own code runs in the namespaces.

#include "drivers/inside.h"
#include "base/fd.h"
#include "base/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int enter_namespaces(pid_t child, struct rk_error *e)
{
	RK_CLEANUP_FD int user_fd = -1;
	RK_CLEANUP_FD int net_fd = -1;
	char user_path[64], net_path[64];

	snprintf(user_path, sizeof(user_path), "/proc/%d/ns/user", child);
	snprintf(net_path, sizeof(net_path), "/proc/%d/ns/net", child);
	user_fd = open(user_path, O_RDONLY | O_CLOEXEC);
	if (user_fd < 0)
		return error_errno(e, errno, "%s", user_path);
	net_fd = open(net_path, O_RDONLY | O_CLOEXEC);
	if (net_fd < 0)
		return error_errno(e, errno, "%s", net_path);
	if (setns(user_fd, CLONE_NEWUSER) < 0)
		return error_errno(e, errno, "%s: enter the user namespace", user_path);
	if (setns(net_fd, CLONE_NEWNET) < 0)
		return error_errno(e, errno, "%s: enter the network namespace", net_path);
	return 0;
}

__attribute__((noreturn)) static void open_and_send(
	int channel, pid_t child, rk_inside_opener open_it, const void *context)
{
	struct rk_error e;
	int fd = -1;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rc = enter_namespaces(child, &e);
	if (rc == 0)
		rc = fd = open_it(context, &e);
	if (rc < 0)
		rc = msg_send(channel, MSG_ERROR, &e, sizeof(e), NULL, 0);
	else
		rc = msg_send(channel, MSG_OPENED, NULL, 0, &fd, 1);
	_exit(rc < 0);
}

static int receive_descriptor(int channel, const char *name, struct rk_error *e)
{
	static struct rk_message message;
	int rc = msg_receive(channel, &message);

	if (rc < 0)
		return error_errno(e, -rc, "%s: receive its descriptor", name);
	if (rc == 0)
		return error_set(e, EPIPE, "%s: the process that opens it died", name);
	if (message.header.type == MSG_ERROR) {
		*e = message.error;
		return -e->code;
	}
	if (message.header.type == MSG_OPENED && message.fd_count == 1)
		return message.fds[0];
	msg_close_fds(&message);
	return error_set(e, EPROTO, "%s: no descriptor came", name);
}

int inside_open(pid_t child, const char *name, rk_inside_opener open_it, const void *context,
	struct rk_error *e)
{
	RK_CLEANUP_FD int ours = -1;
	int ends[2];
	int rc = msg_channel(ends);
	pid_t pid;

	if (rc < 0)
		return error_errno(e, -rc, "%s: make a channel", name);
	ours = ends[0];
	pid = fork();
	rc = errno;
	if (pid == 0)
		open_and_send(ends[1], child, open_it, context);
	fd_close(&ends[1]);
	if (pid < 0)
		return error_errno(e, rc, "%s: fork", name);
	rc = receive_descriptor(ours, name, e);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return rc;
}
