// lease.c: ports that belong to a process: when it has ended, they are to be freed.

#include "engine/lease.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 // Linux 6.5
#endif

#define NO_PORT 0u // ports count from 1

struct lease {
	struct lease *next;
	uint32_t port_id;
	int pidfd;
};

struct rk_leases {
	int epoll_fd;
	struct lease *first;
};

// Before Linux 6.5: by number, which cannot have been used again as long as the peer, who waits for
// our answer, lives.
static int open_by_number(pid_t pid)
{
	int fd;

	if (pid <= 0)
		return -ESRCH;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : fd;
}

int lease_open_peer(int connection, struct rk_owner *owner, struct rk_error *e)
{
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);
	socklen_t fd_length = sizeof(owner->pidfd);

	*owner = (struct rk_owner){.pidfd = -1};
	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return error_errno(e, errno, "owner: the peer of the connection");
	if (getsockopt(connection, SOL_SOCKET, SO_PEERPIDFD, &owner->pidfd, &fd_length) < 0)
		owner->pidfd = open_by_number(peer.pid);
	if (owner->pidfd < 0)
		return error_errno(e, -owner->pidfd, "owner: process %d", peer.pid);
	owner->pid = peer.pid;
	return 0;
}

struct rk_leases *leases_create(void)
{
	struct rk_leases *leases = calloc(1, sizeof(*leases));

	if (!leases)
		return NULL;
	leases->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (leases->epoll_fd >= 0)
		return leases;
	free(leases);
	return NULL;
}

static struct lease **find(struct rk_leases *leases, uint32_t port_id)
{
	struct lease **link = &leases->first;

	while (*link && (*link)->port_id != port_id)
		link = &(*link)->next;
	return link;
}

// Closing the last copy of the pidfd takes it out of the epoll set.
static void end(struct lease **link)
{
	struct lease *lease = *link;

	*link = lease->next;
	fd_close(&lease->pidfd);
	free(lease);
}

void leases_destroy(struct rk_leases *leases)
{
	if (!leases)
		return;
	while (leases->first)
		end(&leases->first);
	fd_close(&leases->epoll_fd);
	free(leases);
}

int leases_watch_fd(const struct rk_leases *leases)
{
	return leases->epoll_fd;
}

int leases_watch_also(struct rk_leases *leases, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = NO_PORT};

	return epoll_ctl(leases->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int begin(struct rk_leases *leases, uint32_t port_id, int pidfd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = port_id};
	struct lease *lease = calloc(1, sizeof(*lease));
	int result;

	if (!lease)
		return -ENOMEM;
	lease->port_id = port_id;
	lease->pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
	if (lease->pidfd >= 0 &&
		epoll_ctl(leases->epoll_fd, EPOLL_CTL_ADD, lease->pidfd, &event) == 0) {
		lease->next = leases->first;
		leases->first = lease;
		return 0;
	}
	result = -errno;
	fd_close(&lease->pidfd);
	free(lease);
	return result;
}

int leases_set(struct rk_leases *leases, uint32_t port_id, const struct rk_owner *owner)
{
	struct lease **former = find(leases, port_id);
	struct lease *ending = *former;
	int result = 0;

	if (owner && owner->pidfd >= 0)
		result = begin(leases, port_id, owner->pidfd);
	if (result < 0 || !ending)
		return result;
	// A new one is at the head of the list: look again for whose link this is.
	for (former = &leases->first; *former != ending;)
		former = &(*former)->next;
	end(former);
	return 0;
}

uint32_t leases_take_ended(struct rk_leases *leases)
{
	struct epoll_event events[2]; // one may be the other descriptor's
	struct lease **link;
	uint32_t port_id;
	int count;

	if (!leases->first)
		return NO_PORT;
	count = epoll_wait(leases->epoll_fd, events, 2, 0);
	if (count <= 0)
		return NO_PORT;
	port_id = events[0].data.u32;
	if (port_id == NO_PORT && count == 2)
		port_id = events[1].data.u32;
	link = find(leases, port_id);
	if (*link)
		end(link);
	return port_id;
}
