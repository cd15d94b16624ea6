// ports_forward.c: what a port spec means: where to listen, where to connect.
//
// How it works: listeners come from protocol and parent address, targets from the child address or,
// when none is given, from the parent address. A service often listens on the loopback address of
// one family only, so a target that we chose ourselves gets the other family as its second choice.
//
//   parent address (no child address given)   listeners            targets
//   none, 0.0.0.0        tcp udp              0.0.0.0 then [::]    127.0.0.1 then ::1
//                        tcp4 udp4            0.0.0.0              127.0.0.1 then ::1
//   none                 tcp6 udp6            [::]                 ::1 then 127.0.0.1
//   ::                   tcp udp              [::] then 0.0.0.0    ::1 then 127.0.0.1
//   ::                   tcp6 udp6            [::]                 ::1 then 127.0.0.1
//   a loopback address   any                  it                   it, then the other family's
//   any other            any                  it                   its family's, then the other's
//
// A loopback address that was chosen on purpose (127.0.0.2) leads to the same address in the child,
// as with RootlessKit. An address of the host's own interfaces never does: in the child it is not
// local, so the connection would leave through the network driver and come back to our listener,
// again and again.

#include "engine/ports_forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static struct rk_addr wildcard(int family, uint16_t port)
{
	struct rk_addr addr;

	memset(&addr, 0, sizeof(addr));
	addr.sa.sa_family = (sa_family_t)family;
	addr_set_port(&addr, port);
	return addr;
}

static struct rk_addr loopback(int family, uint16_t port)
{
	struct rk_addr addr = wildcard(family, port);

	if (family == AF_INET)
		addr.in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		addr.in6.sin6_addr = in6addr_loopback;
	return addr;
}

static int other_family(int family)
{
	return family == AF_INET ? AF_INET6 : AF_INET;
}

static int parse(
	struct rk_addr *addr, const char *what, const char *ip, uint16_t port, struct rk_error *e)
{
	int rc = addr_parse(addr, ip, strlen(ip), port);

	if (rc < 0)
		return error_errno(e, -rc, "%s \"%s\"", what, ip);
	return 0;
}

// The parent address as written, or the wildcard that the protocol implies.
static int parent_address(
	struct rk_addr *parent, const struct rk_port_spec *spec, struct rk_error *e)
{
	int family = proto_family(spec->proto);

	if (spec->parent_ip[0])
		return parse(parent, "parent address", spec->parent_ip, spec->parent_port, e);
	*parent = wildcard(family == AF_INET6 ? AF_INET6 : AF_INET, spec->parent_port);
	return 0;
}

static void add_listeners(
	struct rk_forward *forward, const struct rk_addr *parent, enum rk_proto proto)
{
	forward->listeners[forward->listener_count++] = *parent;
	if (proto_family(proto) != AF_UNSPEC || !addr_is_wildcard(parent))
		return;
	forward->listeners[forward->listener_count++] =
		wildcard(other_family(parent->sa.sa_family), addr_port(parent));
	forward->listeners_optional = true;
}

static void add_target(struct rk_forward *forward, struct rk_addr target, uint16_t port)
{
	addr_set_port(&target, port);
	forward->targets[forward->target_count++] = target;
}

// The child address when the spec has none; see the table above.
static void add_default_targets(
	struct rk_forward *forward, const struct rk_addr *parent, uint16_t port)
{
	int family = parent->sa.sa_family;

	add_target(forward, addr_is_loopback(parent) ? *parent : loopback(family, port), port);
	add_target(forward, loopback(other_family(family), port), port);
}

int ports_forward_resolve(
	struct rk_forward *forward, const struct rk_port_spec *spec, struct rk_error *e)
{
	struct rk_addr parent;
	struct rk_addr child;
	int rc = parent_address(&parent, spec, e);

	if (rc < 0)
		return rc;
	memset(forward, 0, sizeof(*forward));
	forward->socktype = proto_is_udp(spec->proto) ? SOCK_DGRAM : SOCK_STREAM;
	forward->port_count = port_spec_count(spec);
	add_listeners(forward, &parent, spec->proto);
	if (!spec->child_ip[0]) {
		add_default_targets(forward, &parent, spec->child_port);
		return 0;
	}
	rc = parse(&child, "child address", spec->child_ip, spec->child_port, e);
	if (rc == 0)
		add_target(forward, child, spec->child_port);
	return rc;
}
