// scout.c: whether a client's address lies in a network inside the namespace (a container bridge).

#include "engine/scout.h"

#include "base/fd.h"

#include <string.h>
#include <sys/socket.h>

static const enum rk_socket_kind socket_kinds[2] = {SOCKET_UDP4, SOCKET_UDP6};

void scout_init(struct rk_scout *scout)
{
	memset(scout->fds, -1, sizeof(scout->fds));
}

void scout_close(struct rk_scout *scout)
{
	for (unsigned family = 0; family < 2; family++)
		for (unsigned kind = 0; kind < SCOUT_COUNT; kind++)
			fd_close(&scout->fds[family][kind]);
}

static bool is_needed(const struct rk_forward *forward, unsigned family)
{
	return forward->remote[family].answer.sa.sa_family != AF_UNSPEC;
}

void scout_want(struct rk_pool *pool, struct rk_timers *timers, const struct rk_forward *forward)
{
	for (unsigned family = 0; family < 2; family++)
		if (is_needed(forward, family))
			pool_want(pool, timers, socket_kinds[family], SCOUT_COUNT);
}

static bool take_sockets(
	struct rk_scout *scout, struct rk_pool *pool, struct rk_timers *timers, unsigned family)
{
	for (unsigned kind = 0; kind < SCOUT_COUNT; kind++) {
		int *fd = &scout->fds[family][kind];

		if (*fd >= 0)
			continue;
		*fd = pool_take_wanted(pool, timers, socket_kinds[family]);
		if (*fd < 0)
			return false;
	}
	return true;
}

// The address that a packet to `client` would have. False: there is no way to it.
static bool look(int fd, const struct rk_addr *client, struct rk_addr *source)
{
	socklen_t length = sizeof(*source);
	bool found = connect(fd, &client->sa, addr_length(client)) == 0 &&
		     getsockname(fd, &source->sa, &length) == 0;

	// Frees the port that connecting took, and lets the next look choose an address again.
	addr_disconnect(fd);
	addr_set_port(source, 0);
	return found;
}

// The same through interface `ifname` only. Disconnecting has undone what the last look bound.
static bool look_through(
	int fd, const char *ifname, const struct rk_addr *client, struct rk_addr *source)
{
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, (socklen_t)strlen(ifname)) ==
		       0 &&
	       look(fd, client, source);
}

bool scout_client_is_inside(struct rk_scout *scout, struct rk_pool *pool, struct rk_timers *timers,
	const struct rk_forward *forward, const struct rk_addr *client)
{
	unsigned family = client->sa.sa_family == AF_INET6;
	const int *fds = scout->fds[family];
	struct rk_addr source = {0}, through_driver = {0};

	if (!is_needed(forward, family) || !take_sockets(scout, pool, timers, family))
		return false;
	if (!look(fds[SCOUT_ANY], client, &source))
		return false;
	if (addr_equal(&source, &forward->remote[family].answer))
		return false;
	return !look_through(fds[SCOUT_DRIVER], forward->ifname, client, &through_driver) ||
	       !addr_equal(&source, &through_driver);
}
