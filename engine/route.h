// route.h: which target a flow tries, in which order, and whether as its client.
//
// How it works: a port has lists of targets (drivers/forward.h). A client on a loopback address, or
// any client of a port that shows no client addresses, gets ROUTE_LOCAL. Any other first gets
// ROUTE_OWN, whose connections have the client's own address; when none of it works and the port
// does not require it, ROUTE_REMOTE, whose connections have an address of the namespace and are
// counted as downgraded, with the reason. Each list starts with the target that worked last.
//
// When the port's targets are replaced, a route that has not reached its target begins anew with
// those; one that has keeps its connection, and what it learned is no longer remembered.
#pragma once

#include "engine/worker.h"

#include <stdbool.h>

struct rk_route {
	uint8_t list;         // enum rk_route_list
	uint8_t family;       // of the client: 0 = IPv4, 1 = IPv6
	uint8_t target;       // index of the one being tried
	uint8_t tried;        // targets of the list that failed
	uint16_t port_offset; // of the listener in its range
	uint32_t generation;  // of the share's targets when it began
	bool untracked;       // this try goes untracked (see untracked.h)
	bool any_port;        // the client's address with a port of the kernel's choice
	bool downgraded;      // counted
	bool inside;          // the client's address lies in a network inside the namespace
	uint8_t reason;       // enum rk_downgrade, of ROUTE_REMOTE
};

// Begins. False: the port requires the client's address and has no target to show it to.
bool route_start(struct rk_worker *worker, struct rk_route *route,
	const struct rk_listener *listener, const struct rk_addr *client);
// Whether the port's targets are not those any more that the route was chosen among.
static inline bool route_is_stale(const struct rk_route *route, const struct rk_share *share)
{
	return route->generation != share->targets_generation;
}
// Before each connection: begins anew where that is due. False: as for route_start().
bool route_refresh(
	struct rk_route *route, const struct rk_share *share, const struct rk_addr *client);
struct rk_addr route_target(const struct rk_route *route, const struct rk_share *share);
// The client's own address for the socket that is to be connected, where the route says so.
// 0 or -errno.
int route_bind(const struct rk_route *route, int fd, const struct rk_addr *client);
// The target failed with `error`. True: another try is due, with a fresh socket.
bool route_retry(
	struct rk_worker *worker, struct rk_route *route, struct rk_share *share, int error);
// Whether a failure would be followed by another try.
bool route_has_next(const struct rk_route *route, const struct rk_share *share);
// The target answered: the next flow starts with it.
void route_remember(const struct rk_route *route, struct rk_share *share);
// The target was reached: counts the flow, once, when it is not its client's address that is seen,
// and remembers which of both it was.
void route_count(struct rk_worker *worker, struct rk_route *route, struct rk_share *share);
