// srcip.h: the namespace's side of showing servers the client's own address.
#pragma once

#include "base/msg.h"

#include <stdbool.h>
#include <stdint.h>

// How the helper's sockets must be prepared.
struct srcip {
	bool enabled;     // transparent: they may have any address as their own
	uint32_t mark;    // SO_MARK; 0 = none
	int netfilter_fd; // owns the packet filter rules: they live as long as it is open; -1
};

#define SRCIP_NONE ((struct srcip){.netfilter_fd = -1})

// Prepares the calling thread's network namespace, whose interfaces are configured: routing rules,
// settings, packet filter. What works is proved by connections and stated in network->source; what
// does not is logged, and never a failure. `udp_idle_ms`: how long the engine keeps a UDP flow
// without traffic. Needs CAP_NET_ADMIN over the namespace.
void srcip_set_up(struct srcip *srcip, uint32_t udp_idle_ms, struct rk_network_info *network);
