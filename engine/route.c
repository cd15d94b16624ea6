// route.c: which target a flow tries, in which order, and whether as its client.

#include "engine/route.h"

#include <errno.h>

static unsigned target_count(const struct rk_route *route, const struct rk_share *share)
{
	const struct rk_forward *forward = &share->forward;

	switch ((enum rk_route_list)route->list) {
	case ROUTE_OWN:
		return forward->remote[route->family].own.count;
	case ROUTE_REMOTE:
		return forward->remote[route->family].plain.count;
	default:
		return forward->target_count + (forward->last_target.sa.sa_family != AF_UNSPEC);
	}
}

static const struct rk_addr *base_target(const struct rk_route *route, const struct rk_share *share)
{
	const struct rk_forward *forward = &share->forward;

	switch ((enum rk_route_list)route->list) {
	case ROUTE_OWN:
		return &forward->remote[route->family].own.addrs[route->target];
	case ROUTE_REMOTE:
		return &forward->remote[route->family].plain.addrs[route->target];
	default:
		return route->target < forward->target_count ? &forward->targets[route->target]
							     : &forward->last_target;
	}
}

struct rk_addr route_target(const struct rk_route *route, const struct rk_share *share)
{
	struct rk_addr target = *base_target(route, share);

	addr_set_port(&target, (uint16_t)(addr_port(&target) + route->port_offset));
	return target;
}

static bool start_list(
	struct rk_route *route, const struct rk_share *share, enum rk_route_list list)
{
	route->list = (uint8_t)list;
	route->target = share->preferred_targets[list][route->family];
	route->tried = 0;
	route->any_port = false;
	return target_count(route, share) > 0;
}

static bool start_downgraded(
	struct rk_route *route, const struct rk_share *share, enum rk_downgrade reason)
{
	route->reason = (uint8_t)reason;
	return share->forward.source_ip == SOURCE_IP_PREFER &&
	       start_list(route, share, ROUTE_REMOTE);
}

// A link-local address means something on its own link only, which the namespace is not on.
static bool can_be_shown(const struct rk_addr *client)
{
	return client->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_LINKLOCAL(&client->in6.sin6_addr);
}

static bool begin(
	struct rk_route *route, const struct rk_share *share, const struct rk_addr *client)
{
	const struct rk_forward *forward = &share->forward;

	route->generation = share->targets_generation;
	if (forward->source_ip == SOURCE_IP_OFF || addr_is_loopback(client))
		return start_list(route, share, ROUTE_LOCAL);
	if (!can_be_shown(client))
		return start_downgraded(route, share, DOWNGRADE_LINK_LOCAL);
	if (route->inside)
		return start_downgraded(route, share, DOWNGRADE_INSIDE);
	return start_list(route, share, ROUTE_OWN) ||
	       start_downgraded(route, share, forward->remote[route->family].why_not);
}

bool route_start(struct rk_worker *worker, struct rk_route *route,
	const struct rk_listener *listener, const struct rk_addr *client)
{
	const struct rk_forward *forward = &listener->share->forward;

	*route = (struct rk_route){
		.family = client->sa.sa_family == AF_INET6,
		.port_offset = listener->port_offset,
	};
	if (forward->source_ip != SOURCE_IP_OFF && !addr_is_loopback(client))
		route->inside = scout_client_is_inside(
			&worker->scout, &worker->pool, &worker->timers, forward, client);
	return begin(route, listener->share, client);
}

bool route_refresh(
	struct rk_route *route, const struct rk_share *share, const struct rk_addr *client)
{
	return !route_is_stale(route, share) || begin(route, share, client);
}

int route_bind(const struct rk_route *route, int fd, const struct rk_addr *client)
{
	struct rk_addr own = *client;
	int one = 1;

	if (route->list != ROUTE_OWN)
		return 0;
	// One client port may lead to several published ports; connecting tells them apart.
	if (route->any_port)
		addr_set_port(&own, 0);
	else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	return bind(fd, &own.sa, addr_length(&own)) < 0 ? -errno : 0;
}

// The port is taken by somebody in the namespace, still waits after its last connection, or is a
// privileged one there.
static bool is_about_the_port(int error)
{
	return error == EADDRINUSE || error == EADDRNOTAVAIL || error == EACCES;
}

// True: the same target again, by another way.
static bool choose_way(
	struct rk_worker *worker, struct rk_route *route, struct rk_share *share, int error)
{
	if (route->list != ROUTE_OWN)
		return false;
	if (!route->any_port && is_about_the_port(error)) {
		route->any_port = true;
		return true;
	}
	if (!route->untracked)
		return false;
	route->untracked = false;
	untracked_failed(worker, route, share, error);
	return true;
}

static bool choose_next(
	struct rk_worker *worker, struct rk_route *route, struct rk_share *share, int error)
{
	unsigned count = target_count(route, share);

	// The next try asks route_refresh().
	if (route_is_stale(route, share))
		return true;
	if (count == 0)
		return false;
	if (choose_way(worker, route, share, error))
		return true;
	route->any_port = false;
	route->target = (uint8_t)((route->target + 1u) % count);
	if (++route->tried < count)
		return true;
	return route->list == ROUTE_OWN && start_downgraded(route, share, DOWNGRADE_UNREACHED);
}

bool route_retry(
	struct rk_worker *worker, struct rk_route *route, struct rk_share *share, int error)
{
	bool again = choose_next(worker, route, share, error);

	if (again)
		count_one(&share->counters, COUNT_RETRIES);
	return again;
}

bool route_has_next(const struct rk_route *route, const struct rk_share *share)
{
	return route_is_stale(route, share) || route->tried + 1u < target_count(route, share) ||
	       (route->list == ROUTE_OWN && share->forward.source_ip == SOURCE_IP_PREFER);
}

void route_remember(const struct rk_route *route, struct rk_share *share)
{
	if (!route_is_stale(route, share))
		share->preferred_targets[route->list][route->family] = route->target;
}

// The client was shown, but to a proxy that keeps it to itself.
static bool shows_a_proxy(const struct rk_route *route, const struct rk_share *share)
{
	return share->forward.child_proxy && !route_is_stale(route, share) &&
	       addr_is_loopback(base_target(route, share));
}

void route_count(struct rk_worker *worker, struct rk_route *route, struct rk_share *share)
{
	bool shown = route->list == ROUTE_OWN;

	if (route->list == ROUTE_LOCAL || route->downgraded)
		return;
	if (shown && shows_a_proxy(route, share)) {
		shown = false;
		route->reason = DOWNGRADE_PROXY;
	}
	worker_shown(worker, share, shown);
	if (shown)
		return;
	route->downgraded = true;
	count_one(&share->counters, COUNT_DOWNGRADED);
	counter_add(&share->counters.downgrades[route->reason], 1);
}
