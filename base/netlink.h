// netlink.h: interfaces, addresses and routes of the calling thread's network namespace.
// The only place that speaks netlink (libmnl). Every call opens and closes its own socket.
#pragma once

#include "base/addr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

// Each returns 0 or -code with *e naming the object ("tap0: set mtu 65520: ...").
int link_index(const char *name, unsigned *index, struct rk_error *e);
int link_set_up(const char *name, struct rk_error *e);
// Groups only serve to tell interfaces apart; 0 is everybody's.
int link_set_group(const char *name, uint32_t group, struct rk_error *e);
int link_set_mtu(const char *name, uint32_t mtu, struct rk_error *e);
// Adding what is there already is not an error.
int address_add(const char *ifname, const struct rk_addr *ip, unsigned prefix, struct rk_error *e);
int route_add_default(const char *ifname, const struct rk_addr *gateway, struct rk_error *e);
// In routing table `table`: every address of `family` is this namespace's own, reached by lo.
int route_add_local(int family, uint32_t table, struct rk_error *e);

#define RK_TABLE_MAIN 254u // the kernel's RT_TABLE_MAIN

// A routing rule: which packets look `table` up.
struct rk_route_rule {
	uint32_t priority;
	uint32_t table;
	uint32_t mark_bit;            // those whose mark has this bit; 0 = whatever the mark
	const struct rk_addr *source; // those from this network; its family is the rule's
	uint8_t source_prefix;        // 0 = from anywhere
	// What the table's default routes, and routes through interfaces of this group, would match
	// goes on to the next rule; 0 = nothing does. See link_set_group().
	uint32_t skip_group;
};
int rule_add(const struct rk_route_rule *rule, struct rk_error *e);

// Opens /dev/net/tun and attaches tap `name` (IFF_TAP | IFF_NO_PI); the interface goes with the
// last descriptor unless `persistent`. Returns the descriptor (CLOEXEC, non-blocking) or -code.
int tap_open(const char *name, bool persistent, struct rk_error *e);
