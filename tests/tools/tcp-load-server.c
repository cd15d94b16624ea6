// tcp-load-server.c: one thread that serves tens of thousands of TCP connections.
//
//   tcp-load-server echo IP PORT          sends back what it reads; ends after the client's end
//   tcp-load-server push IP PORT BYTES    sends BYTES to everybody and never reads; it closes what
//                                         was reset and keeps the rest
//
// Prints "ready" when it listens. A shortage of descriptors makes it wait, not fail.

#include "tests/tools/lib/tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define BLOCK_SIZE 65536

static unsigned char block[BLOCK_SIZE];
static size_t push_bytes;

static void raise_fd_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void accept_one(int poll_fd, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	// A pusher leaves unread what comes, so it must not be woken by it.
	struct epoll_event event = {.events = push_bytes > 0 ? EPOLLET | EPOLLRDHUP : EPOLLIN};

	if (fd < 0)
		return;
	event.data.fd = fd;
	for (size_t sent = 0; sent < push_bytes;) {
		size_t part = push_bytes - sent < BLOCK_SIZE ? push_bytes - sent : BLOCK_SIZE;
		ssize_t result = send(fd, block, part, MSG_NOSIGNAL);

		if (result < 0)
			break;
		sent += (size_t)result;
	}
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		tool_fail("epoll: %s", strerror(errno));
}

static void serve_echo(int fd)
{
	ssize_t got = recv(fd, block, sizeof(block), 0);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0 || send(fd, block, (size_t)got, MSG_NOSIGNAL) != got)
		close(fd);
}

static void serve(const struct epoll_event *event)
{
	if (push_bytes == 0)
		serve_echo(event->data.fd);
	else if (event->events & (EPOLLERR | EPOLLHUP))
		close(event->data.fd);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	struct epoll_event event = {.events = EPOLLIN};
	bool push = argc == 5 && strcmp(argv[1], "push") == 0;
	int poll_fd = epoll_create1(EPOLL_CLOEXEC);

	if (!push && (argc != 4 || strcmp(argv[1], "echo") != 0))
		tool_fail("usage: tcp-load-server echo IP PORT | push IP PORT BYTES");
	push_bytes = push ? (size_t)tool_number(argv[4]) : 0;
	raise_fd_limit();
	event.data.fd = tool_listen(argv[2], argv[3], SOCK_STREAM);
	if (poll_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, event.data.fd, &event) < 0)
		tool_fail("epoll: %s", strerror(errno));
	puts("ready");
	fflush(stdout);
	while (true) {
		int count = epoll_wait(poll_fd, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.fd == event.data.fd)
				accept_one(poll_fd, event.data.fd);
			else
				serve(&events[i]);
		}
	}
}
