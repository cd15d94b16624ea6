// ports_source.h: what a port shows the child of its clients: their own address, a PROXY header.
#pragma once

#include "base/msg.h"
#include "config/portspec.h"
#include "drivers/forward.h"

// What holds for every port whose spec does not say otherwise. `source` NULL: this namespace is not
// prepared for clients' addresses.
struct rk_source_policy {
	enum rk_source_ip source_ip;
	enum rk_proxy_protocol proxy_protocol;
	const struct rk_source_info *source; // borrowed
	const char *ifname; // the network driver's interface in the namespace; borrowed
};

// Completes *forward, which ports_forward_resolve() made from the same spec. -EOPNOTSUPP: the port
// requires what does not work in this namespace, -EINVAL: a PROXY header for UDP; else 0.
int ports_source_resolve(struct rk_forward *forward, const struct rk_port_spec *spec,
	const struct rk_source_policy *policy, struct rk_error *e);

// How far clients of `family` are shown on this port: "none", "loopback", "direct", "full".
const char *source_level_name(enum rk_source_level level);
const char *source_ip_name(enum rk_source_ip mode);
const char *downgrade_name(enum rk_downgrade reason);
const char *proxy_protocol_name(enum rk_proxy_protocol version);
// "off", "prefer", "require"; "off", "v1", "v2". 0 or -EINVAL.
int source_ip_parse(const char *name, enum rk_source_ip *mode);
int proxy_protocol_parse(const char *name, enum rk_proxy_protocol *version);
// enum rk_source_level of clients of AF_INET or AF_INET6.
enum rk_source_level ports_source_level(
	const struct rk_source_policy *policy, int socktype, int family);
