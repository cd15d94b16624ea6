// ports_forward.h: what a port spec means: where to listen, where to connect.
#pragma once

#include "config/portspec.h"
#include "engine/plane.h"

// Fills *forward (id 0) from a spec that port_spec_check() accepted. `host_ip` is the host's first
// IPv4 address that is no loopback, or AF_UNSPEC when it has none. 0 or -EINVAL with *e.
int ports_forward_resolve(struct rk_forward *forward, const struct rk_port_spec *spec,
	const struct rk_addr *host_ip, struct rk_error *e);

// That address, as getifaddrs(3) lists it now.
void ports_forward_host_ip(struct rk_addr *host_ip);
