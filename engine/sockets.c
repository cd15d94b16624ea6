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

// A range of at most this many ports has a socket per worker for each, as single ports have.
#define RANGE_SHARED_MAX 64
// How often the kernel is asked for a port that turns out to be taken in the other family.
#define CHOICES_MAX 64

static bool is_dealt_out(const struct rk_forward *forward)
{
	return forward->port_count > RANGE_SHARED_MAX;
}

unsigned sockets_capacity(const struct rk_forward *forward, unsigned workers)
{
	unsigned ports = is_dealt_out(forward) ? (forward->port_count + workers - 1) / workers
					       : forward->port_count;

	return ports * forward->listener_count;
}

unsigned sockets_per_port(const struct rk_forward *forward, unsigned workers)
{
	return is_dealt_out(forward) ? 1 : workers;
}

unsigned sockets_needed(const struct rk_forward *forward, unsigned workers)
{
	return forward->port_count * forward->listener_count * sockets_per_port(forward, workers);
}

static void keep(struct rk_share *share, int fd, const struct rk_addr *addr, unsigned offset)
{
	share->listeners[share->listener_count++] = (struct rk_listener){
		.share = share,
		.fd = fd,
		.addr = *addr,
		.port_offset = (uint16_t)offset,
		.wildcard = addr_is_wildcard(addr),
	};
	share->open_listeners++;
}

// One address for each of these workers. Port 0 becomes the one that the kernel chose.
static int open_address(
	struct rk_share *const *shares, unsigned count, struct rk_addr *addr, unsigned offset)
{
	for (unsigned i = 0; i < count; i++) {
		int fd = open_one(shares[i], addr, i > 0);
		socklen_t length = sizeof(*addr);

		if (fd < 0)
			return fd;
		if (addr_port(addr) == 0 && getsockname(fd, &addr->sa, &length) < 0) {
			fd_close(&fd);
			return -errno;
		}
		keep(shares[i], fd, addr, offset);
	}
	return 0;
}

// One address with every port of the range; *addr is the one that failed, or that of the first.
static int open_range(struct rk_share *const *shares, unsigned count, struct rk_addr *addr)
{
	const struct rk_forward *forward = &shares[0]->forward;
	uint16_t first = addr_port(addr);
	int result = 0;

	for (unsigned offset = 0; offset < forward->port_count && result == 0; offset++) {
		addr_set_port(addr, (uint16_t)(first + offset));
		if (is_dealt_out(forward))
			result = open_address(&shares[offset % count], 1, addr, offset);
		else
			result = open_address(shares, count, addr, offset);
	}
	if (result == 0 && first)
		addr_set_port(addr, first);
	return result;
}

// Only here a socket that was bound with SO_REUSEADDR learns that another listens: *addr is its.
static int start_listening(struct rk_share *const *shares, unsigned count, struct rk_addr *addr)
{
	if (shares[0]->forward.socktype != SOCK_STREAM)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		for (unsigned j = 0; j < shares[i]->listener_count; j++) {
			*addr = shares[i]->listeners[j].addr;
			if (listen(shares[i]->listeners[j].fd, SOMAXCONN) < 0)
				return -errno;
		}
	}
	return 0;
}

void sockets_close(struct rk_share *share)
{
	for (unsigned i = 0; i < share->listener_count; i++)
		fd_close(&share->listeners[i].fd);
	share->listener_count = share->open_listeners = 0;
}

static bool may_be_left_out(const struct rk_forward *forward, unsigned index, int result)
{
	return index > 0 && forward->listeners_optional &&
	       (result == -EAFNOSUPPORT || result == -EADDRNOTAVAIL);
}

// One try at all addresses; *addr is the one that failed.
static int try_open(struct rk_share *const *shares, unsigned count, struct rk_addr *listeners,
	struct rk_addr *addr)
{
	const struct rk_forward *forward = &shares[0]->forward;
	int result = 0;

	for (unsigned i = 0; i < forward->listener_count && result == 0; i++) {
		*addr = forward->listeners[i];
		if (i > 0 && addr_port(addr) == 0)
			addr_set_port(addr, addr_port(&listeners[0]));
		result = open_range(shares, count, addr);
		listeners[i] = *addr;
		if (may_be_left_out(forward, i, result))
			result = 0;
	}
	return result < 0 ? result : start_listening(shares, count, addr);
}

int sockets_open(struct rk_share *const *shares, unsigned count, struct rk_error *e)
{
	const bool chosen = addr_port(&shares[0]->forward.listeners[0]) == 0;
	struct rk_addr listeners[RK_FORWARD_LISTENERS_MAX];
	struct rk_addr addr;
	int result;

	for (unsigned choice = 1;; choice++) {
		result = try_open(shares, count, listeners, &addr);
		if (result == 0)
			break;
		for (unsigned i = 0; i < count; i++)
			sockets_close(shares[i]);
		if (!chosen || result != -EADDRINUSE || choice == CHOICES_MAX)
			return bind_explain(&addr, shares[0]->forward.socktype, -result, e);
	}
	for (unsigned i = 0; i < count; i++)
		memcpy(shares[i]->forward.listeners, listeners, sizeof(listeners));
	return 0;
}
