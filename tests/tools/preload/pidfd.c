// pidfd.c: pidfd_open() and pidfd_send_signal() for programs under valgrind, whose 3.19 knows
// neither call; loaded by tests/integration/valgrind.bats.
//
// How it works: the system call is tried first, for programs that are started from one under
// valgrind and inherit this. Where it fails, pidfd-server.py opens the descriptor and sends it over
// the socket that RK_PIDFD_SOCKET names; signals go to the process id, remembered by descriptor.

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 4096

static pid_t pids[DESCRIPTORS_MAX];

static int connect_server(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *path = getenv("RK_PIDFD_SOCKET");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !path)
		return fd;
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

// The descriptor that comes with the answer, or -1 when there is none: no such process.
static int ask_server(int server, pid_t pid)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char answer = 0;
	struct iovec part = {.iov_base = &answer, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	int fd = -1;

	if (send(server, &pid, sizeof(pid), MSG_NOSIGNAL) == sizeof(pid) &&
		recvmsg(server, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

int pidfd_open(pid_t pid, unsigned int flags)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, flags);
	int server;

	if (fd >= 0 || errno != ENOSYS)
		return fd;
	server = connect_server();
	if (server >= 0)
		fd = ask_server(server, pid);
	if (server >= 0)
		close(server);
	if (fd >= 0 && fd < DESCRIPTORS_MAX)
		pids[fd] = pid;
	errno = server < 0 ? ENOSYS : ESRCH;
	return fd;
}

int pidfd_send_signal(int fd, int signal, siginfo_t *info, unsigned int flags)
{
	int result = (int)syscall(SYS_pidfd_send_signal, fd, signal, info, flags);

	if (result >= 0 || errno != ENOSYS)
		return result;
	if (fd >= 0 && fd < DESCRIPTORS_MAX && pids[fd] > 0)
		return kill(pids[fd], signal);
	errno = EBADF;
	return -1;
}
