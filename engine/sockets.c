// sockets.c: open the listening sockets of a port, one per worker and address.

#include "engine/sockets.h"

#include "base/bind.h"
#include "base/fd.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

// What a UDP listener queues, bytes; the kernel doubles it for its own bookkeeping. Enough for a
// burst of some hundred datagrams; a longer queue gains nothing under a flood, because what waits
// in it leaves the processor's cache before it is read (measured: docs/benchmarks.md).
#define DATAGRAM_QUEUE_SIZE (512 * 1024)

static int set_option(int fd, int level, int option)
{
	int one = 1;

	return setsockopt(fd, level, option, &one, sizeof(one)) < 0 ? -errno : 0;
}

// Accepted sockets inherit all of these, so none costs a call of its own. Clients of a loopback
// address are on this host: an algorithm that paces would only slow them (see nsctl/helper.c); for
// all others the host's choice stays.
static int set_stream_options(
	int fd, const struct rk_addr *addr, const struct rk_keepalive *keepalive)
{
	static const char algorithm[] = "reno";
	int result = set_option(fd, SOL_SOCKET, SO_REUSEADDR);

	if (result == 0)
		result = set_option(fd, SOL_SOCKET, SO_KEEPALIVE);
	if (result == 0)
		result = keepalive_apply(keepalive, fd);
	if (result == 0)
		result = set_option(fd, IPPROTO_TCP, TCP_NODELAY);
	if (addr_is_loopback(addr))
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, algorithm, sizeof(algorithm) - 1);
	return result;
}

static int set_datagram_options(int fd, const struct rk_addr *addr)
{
	int room = DATAGRAM_QUEUE_SIZE;
	int result;

	// Without privilege the kernel caps this at net.core.rmem_max: as much as is allowed.
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (addr->sa.sa_family == AF_INET6)
		result = set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
	else
		result = set_option(fd, IPPROTO_IP, IP_PKTINFO);
	return result;
}

// `shared`: a socket of the same address exists already, join it.
static int open_one(const struct rk_share *share, const struct rk_addr *addr, bool shared)
{
	const struct rk_forward *forward = &share->forward;
	RK_CLEANUP_FD int fd = socket(addr->sa.sa_family, forward->socktype | SOCK_CLOEXEC, 0);
	int result = 0;

	if (fd < 0)
		return -errno;
	if (addr->sa.sa_family == AF_INET6)
		result = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (result == 0)
		result = forward->socktype == SOCK_STREAM
				 ? set_stream_options(fd, addr, &share->keepalive)
				 : set_datagram_options(fd, addr);
	if (result == 0 && shared)
		result = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
	if (result == 0 && bind(fd, &addr->sa, addr_length(addr)) < 0)
		result = -errno;
	if (result == 0 && !shared)
		result = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
	return result < 0 ? result : fd_take(&fd);
}

static void keep(struct rk_share *share, int fd, const struct rk_addr *addr)
{
	share->listeners[share->listener_count++] = (struct rk_listener){
		.share = share, .fd = fd, .addr = *addr, .wildcard = addr_is_wildcard(addr)};
}

// One address for every worker.
static int open_address(struct rk_share *const *shares, unsigned count, const struct rk_addr *addr)
{
	for (unsigned i = 0; i < count; i++) {
		int fd = open_one(shares[i], addr, i > 0);

		if (fd < 0)
			return fd;
		keep(shares[i], fd, addr);
	}
	return 0;
}

static int start_listening(struct rk_share *const *shares, unsigned count)
{
	if (shares[0]->forward.socktype != SOCK_STREAM)
		return 0;
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < shares[i]->listener_count; j++)
			if (listen(shares[i]->listeners[j].fd, SOMAXCONN) < 0)
				return -errno;
	return 0;
}

void sockets_close(struct rk_share *share)
{
	for (unsigned i = 0; i < share->listener_count; i++)
		fd_close(&share->listeners[i].fd);
	share->listener_count = 0;
}

static bool may_be_left_out(const struct rk_forward *forward, unsigned index, int result)
{
	return index > 0 && forward->listeners_optional &&
	       (result == -EAFNOSUPPORT || result == -EADDRNOTAVAIL);
}

int sockets_open(struct rk_share *const *shares, unsigned count, struct rk_error *e)
{
	const struct rk_forward *forward = &shares[0]->forward;
	const struct rk_addr *addr = &forward->listeners[0];
	int result = 0;

	for (unsigned i = 0; i < forward->listener_count && result == 0; i++) {
		addr = &forward->listeners[i];
		result = open_address(shares, count, addr);
		if (may_be_left_out(forward, i, result))
			result = 0;
	}
	if (result == 0)
		result = start_listening(shares, count);
	if (result == 0)
		return 0;
	for (unsigned i = 0; i < count; i++)
		sockets_close(shares[i]);
	return bind_explain(addr, forward->socktype, -result, e);
}
