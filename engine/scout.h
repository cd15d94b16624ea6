// scout.h: whether a client's address lies in a network inside the namespace (a container bridge).
//
// How it works: a server that is shown such a client answers it on the bridge, where nobody is, and
// never through the interface of the network driver, where we turn answers round: the connection
// would hang. So the kernel is asked which way an answer would go, with sockets that never send:
// connecting a datagram socket looks the route up and chooses the address that packets would have.
// The common case is the address that the namespace is known to answer from. Another one is looked
// up again by a socket that may use the driver's interface only; when the two differ, the way does
// not lead through there. Three system calls a connection, seven for the uncommon case; none
// blocks.
#pragma once

#include "engine/pool.h"
#include "engine/share.h"

// Sockets per family: one that may use any interface, one that looks through the driver's only.
enum rk_scout_kind { SCOUT_ANY, SCOUT_DRIVER, SCOUT_COUNT };

struct rk_scout {
	int fds[2][SCOUT_COUNT]; // 0 = IPv4, 1 = IPv6; -1 = not yet taken from the pool
};

void scout_init(struct rk_scout *scout);
void scout_close(struct rk_scout *scout);
// Asks the pool for what the clients of `forward` need.
void scout_want(struct rk_pool *pool, struct rk_timers *timers, const struct rk_forward *forward);
// False also when it cannot be told: no socket there yet, no route.
bool scout_client_is_inside(struct rk_scout *scout, struct rk_pool *pool, struct rk_timers *timers,
	const struct rk_forward *forward, const struct rk_addr *client);
