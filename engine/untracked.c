// untracked.c: TCP connections as their clients that go past the namespace's connection tracking.

#include "engine/untracked.h"

#include "base/fd.h"
#include "engine/route.h"

#include <errno.h>

static bool set_mark(int fd, uint32_t mark)
{
	return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0;
}

// As that client, from any port: it is closed before anybody could answer.
static bool connect_as(int fd, const struct rk_addr *target, const struct rk_addr *client)
{
	struct rk_addr own = *client;
	int error = 0;
	socklen_t length = sizeof(error);

	addr_set_port(&own, 0);
	if (fd_set_nonblocking(fd, true) < 0 || bind(fd, &own.sa, addr_length(&own)) < 0)
		return false;
	if (connect(fd, &target->sa, addr_length(target)) < 0 && errno != EINPROGRESS)
		return errno == ECONNREFUSED;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == ECONNREFUSED;
}

// Takes a socket that no flow will wait for.
static bool inquire(struct rk_worker *worker, const struct rk_share *share,
	const struct rk_addr *target, const struct rk_addr *client)
{
	enum rk_socket_kind kind = pool_kind(SOCK_STREAM, target->sa.sa_family);
	RK_CLEANUP_FD int fd = -1;

	if (worker->pool.kinds[kind].count > 0)
		fd = pool_take(&worker->pool, &worker->timers, kind);
	return fd >= 0 && set_mark(fd, share->forward.inquiry_mark) &&
	       connect_as(fd, target, client);
}

static bool is_about(const struct rk_untracked *known, const struct rk_route *route)
{
	return known->generation == route->generation && known->target == route->target &&
	       known->port_offset == route->port_offset;
}

// What was known of something else is forgotten.
static void ask(struct rk_worker *worker, const struct rk_route *route, struct rk_share *share,
	const struct rk_addr *target, const struct rk_addr *client)
{
	struct rk_untracked *known = &share->untracked[route->family];

	if (!is_about(known, route))
		*known = (struct rk_untracked){
			.generation = route->generation,
			.port_offset = route->port_offset,
			.target = route->target,
		};
	known->until_ms = worker->timers.now_ms + UNTRACKED_TRUST_MS;
	known->allowed = inquire(worker, share, target, client);
}

static bool may_go(struct rk_worker *worker, const struct rk_route *route, struct rk_share *share,
	const struct rk_addr *target, const struct rk_addr *client)
{
	const struct rk_untracked *known = &share->untracked[route->family];
	uint64_t now_ms = worker->timers.now_ms;

	if (route->list != ROUTE_OWN || !share->forward.untracked_mark)
		return false;
	if (now_ms >= known->until_ms || known->generation != route->generation)
		ask(worker, route, share, target, client);
	return known->allowed && is_about(known, route) &&
	       (known->proven || now_ms >= known->trial_end_ms);
}

bool untracked_begin(struct rk_worker *worker, struct rk_route *route, struct rk_share *share,
	int fd, const struct rk_addr *target, const struct rk_addr *client)
{
	route->untracked = may_go(worker, route, share, target, client) &&
			   set_mark(fd, share->forward.untracked_mark);
	if (route->untracked)
		share->untracked[route->family].trial_end_ms =
			worker->timers.now_ms + UNTRACKED_PATIENCE_MS;
	return route->untracked;
}

void untracked_answered(const struct rk_route *route, struct rk_share *share)
{
	struct rk_untracked *known = &share->untracked[route->family];

	if (is_about(known, route))
		known->proven = true;
}

void untracked_failed(
	struct rk_worker *worker, const struct rk_route *route, struct rk_share *share, int error)
{
	struct rk_untracked *known = &share->untracked[route->family];

	if (!is_about(known, route))
		return;
	known->allowed = false;
	known->trial_end_ms = 0;
	if (error == ECONNREFUSED)
		return;
	known->proven = false;
	known->until_ms = worker->timers.now_ms + UNTRACKED_SHUN_MS;
}
