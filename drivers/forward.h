// forward.h: a published port or range of ports, resolved to addresses, as the data plane and the
// port drivers get it.
#pragma once

#include "base/addr.h"
#include "config/portspec.h"

#include <stdbool.h>
#include <stdint.h>

#define RK_FORWARD_LISTENERS_MAX 2
#define RK_FORWARD_TARGETS_MAX   2
#define RK_TARGET_LIST_MAX       4

struct rk_target_list {
	struct rk_addr addrs[RK_TARGET_LIST_MAX];
	uint8_t count;
};

// Where to listen, where to connect (in this order, the next one when the one before refuses).
struct rk_forward {
	uint32_t id;  // the port's id, unique for the run
	int socktype; // SOCK_STREAM or SOCK_DGRAM
	// Ports in a row on both sides; every address here has the first one. Only the data plane
	// takes more than one, and port 0 of a listener (the kernel chooses).
	unsigned port_count;
	struct rk_addr listeners[RK_FORWARD_LISTENERS_MAX];
	unsigned listener_count;
	struct rk_addr targets[RK_FORWARD_TARGETS_MAX];
	unsigned target_count;
	// The first listener decides; a further one may fail with EAFNOSUPPORT or EADDRNOTAVAIL
	// (a host without IPv6) and is left out.
	bool listeners_optional;
	// Never SOURCE_IP_AUTO. When it is not off, clients that are not on a loopback address have
	// lists of their own, by family (0 = IPv4, 1 = IPv6): targets that are shown the client's
	// address, and those for when none of them works.
	enum rk_source_ip source_ip;
	struct {
		struct rk_target_list own;
		struct rk_target_list plain;
	} remote[2];
	enum rk_proxy_protocol proxy_protocol;
	// One more target after `targets` when the namespace has an address of its own; sa_family
	// AF_UNSPEC = none.
	struct rk_addr last_target;
};
