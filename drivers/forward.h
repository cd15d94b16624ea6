// forward.h: one published port, resolved to addresses, as the data plane and the port drivers get
// it.
#pragma once

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

#define RK_FORWARD_LISTENERS_MAX 2
#define RK_FORWARD_TARGETS_MAX	 2

// Where to listen, where to connect (in this order, the next one when the one before refuses).
struct rk_forward {
	uint32_t id;  // the port's id, unique for the run
	int socktype; // SOCK_STREAM or SOCK_DGRAM
	struct rk_addr listeners[RK_FORWARD_LISTENERS_MAX];
	unsigned listener_count;
	struct rk_addr targets[RK_FORWARD_TARGETS_MAX];
	unsigned target_count;
	// The first listener decides; a further one may fail with EAFNOSUPPORT or EADDRNOTAVAIL
	// (a host without IPv6) and is left out.
	bool listeners_optional;
};
