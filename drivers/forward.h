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

// Why a server was not shown the address of its client.
enum rk_downgrade {
	DOWNGRADE_UNPREPARED, // the namespace can show none of this protocol and family
	DOWNGRADE_FAMILY,     // the port leads to a server of the other family
	DOWNGRADE_LINK_LOCAL, // the address means something on the client's link only
	DOWNGRADE_INSIDE,     // the address lies in a network inside the namespace
	DOWNGRADE_UNREACHED,  // no server took the connection with the client's address
	DOWNGRADE_PROXY,      // a proxy inside took it, and shows the server its own address
	DOWNGRADE_COUNT
};

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
		enum rk_downgrade why_not; // where `own` is empty
		// What servers answer such clients from where the network driver leads to them;
		// AF_UNSPEC: it makes no difference (see engine/scout.h).
		struct rk_addr answer;
	} remote[2];
	uint32_t untracked_mark, inquiry_mark; // as in struct rk_source_info (base/msg.h)
	char ifname[16];                       // the network driver's interface in the namespace
	enum rk_proxy_protocol proxy_protocol;
	bool child_proxy; // a proxy listens at the child's loopback address (see rk_port_spec)
	// One more target after `targets` when the namespace has an address of its own; sa_family
	// AF_UNSPEC = none.
	struct rk_addr last_target;
};
