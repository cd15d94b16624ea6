// ports_check.c: which ports may be published: by the port driver, and beside those that are.

#include "engine/ports_internal.h"

#include <errno.h>
#include <string.h>

int ports_check_driver(const struct rk_ports *ports, struct rk_error *e)
{
	if (ports->plane || ports->backend)
		return 0;
	error_set(e, EOPNOTSUPP, "no PortDriver is available");
	return error_hint(e, "start with [port] driver = builtin and a network driver other than "
			     "host and none");
}

bool ports_same_ip(const char *a, const char *b)
{
	struct rk_addr left;
	struct rk_addr right;

	if (strcmp(a, b) == 0)
		return true;
	return addr_parse(&left, a, strlen(a), 0) == 0 &&
	       addr_parse(&right, b, strlen(b), 0) == 0 && addr_equal(&left, &right);
}

static int check_conflict(
	const struct rk_ports *ports, const struct rk_port_spec *spec, struct rk_error *e)
{
	char text[RK_PORT_TEXT_MAX];

	for (size_t i = 0; i < ports->count; i++) {
		const struct rk_port_spec *other = &ports->items[i].spec;

		if (!port_spec_overlaps(other, spec) ||
			!ports_same_ip(other->parent_ip, spec->parent_ip))
			continue;
		error_set(e, EEXIST, "conflict with ID %u", ports->items[i].id);
		port_spec_format(other, text, sizeof(text));
		if (ports->items[i].leaving_error)
			return error_hint(e,
				"that is %s, which is to go, but the port driver failed to remove "
				"it (%s); that is tried again",
				text, strerror(ports->items[i].leaving_error));
		return error_hint(e, "that is %s: remove it, or choose another parent port", text);
	}
	return 0;
}

// What only the data plane can do.
static int check_ability(
	const struct rk_ports *ports, const struct rk_port_spec *spec, struct rk_error *e)
{
	const char *what = spec->parent_port == 0      ? "choose a port"
			   : port_spec_count(spec) > 1 ? "publish a range of ports"
						       : NULL;

	char text[RK_PORT_TEXT_MAX];

	if (!ports->backend || !what)
		return 0;
	error_set(e, EOPNOTSUPP, "%s: the port driver %s cannot %s",
		port_spec_format(spec, text, sizeof(text)), ports->backend->driver->name, what);
	return error_hint(e, "use [port] driver = builtin, or name each port");
}

int ports_check_new(
	const struct rk_ports *ports, const struct rk_port_spec *spec, struct rk_error *e)
{
	int rc = port_spec_check(spec, e);

	if (rc == 0)
		rc = check_ability(ports, spec, e);
	return rc < 0 ? rc : check_conflict(ports, spec, e);
}

// "Another program has the port" would be wrong where it is a port of ours under another protocol
// name (tcp, tcp4) or for all addresses. *e has the address already.
void ports_explain_in_use(
	const struct rk_ports *ports, const struct rk_port_spec *spec, struct rk_error *e)
{
	char text[RK_PORT_TEXT_MAX];

	for (size_t i = 0; e && i < ports->count; i++) {
		struct rk_port_spec other = ports->items[i].spec;

		if (proto_is_udp(other.proto) != proto_is_udp(spec->proto))
			continue;
		other.proto = spec->proto;
		if (!port_spec_overlaps(&other, spec))
			continue;
		error_hint(e, "perhaps it is port ID %u, %s", ports->items[i].id,
			port_spec_format(&ports->items[i].spec, text, sizeof(text)));
		return;
	}
}
