// gvisor_tap_vsock.c: gvproxy, which makes the network, also opens the published ports.
//
// How it works: a port is a request to gvproxy's API (gvproxy_api.h). There it has no id but its
// protocol and its address on the host, so a table here leads from our ids to those. gvproxy
// listens on both families for any wildcard address; it takes no other sockets than IPv4 ones in
// the namespace, from its gateway's address, so nothing there may be behind the loopback.

#include "base/bind.h"
#include "drivers/curl_late.h"
#include "drivers/driver.h"
#include "drivers/gvproxy.h"
#include "drivers/gvproxy_api.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct exposed {
	uint32_t id;
	const char *proto;
	char local[RK_ADDR_TEXT_MAX];
};

struct gvproxy_port {
	struct gvproxy_api *api;
	struct exposed *items;
	size_t count;
	size_t capacity;
};

static const char *const gvproxy_protos[] = {"tcp", "udp", NULL};

static int check_spec(const struct rk_port_spec *spec, struct rk_error *e)
{
	struct rk_addr child;

	if (spec->proto != PROTO_TCP && spec->proto != PROTO_UDP) {
		error_set(e, EINVAL, "port driver gvisor-tap-vsock has no protocol %s",
			proto_name(spec->proto));
		return error_hint(e, "use tcp or udp");
	}
	if (!spec->child_ip[0])
		return 0;
	if (addr_parse(&child, spec->child_ip, strlen(spec->child_ip), spec->child_port) == 0 &&
		child.sa.sa_family == AF_INET && !addr_is_loopback(&child))
		return 0;
	error_set(e, EINVAL, "port driver gvisor-tap-vsock cannot reach child address %s",
		spec->child_ip);
	return error_hint(e, "leave it out, or give the IPv4 address of the child's interface");
}

static int gvproxy_port_check(
	const struct rk_config *config, const struct rk_net_driver *net, struct rk_error *e)
{
	char text[RK_PORT_TEXT_MAX];
	int rc = 0;

	if (strcmp(net->name, "gvisor-tap-vsock") != 0) {
		error_set(e, EINVAL,
			"[port] driver: port driver gvisor-tap-vsock requires gvisor-tap-vsock "
			"network");
		return error_hint(e, "set [network] driver to gvisor-tap-vsock");
	}
	for (size_t i = 0; rc == 0 && i < config->port.publish.count; i++) {
		const struct rk_port_spec *spec = &config->port.publish.items[i];

		rc = check_spec(spec, e);
		if (rc < 0)
			error_wrap(e, "[port] publish: %s",
				port_spec_format(spec, text, sizeof(text)));
	}
	// Once the engine has given up its rights it cannot load it any more.
	return rc == 0 && !curl_late_load(e) ? -e->code : rc;
}

static int gvproxy_port_start(struct rk_port_backend *backend, struct rk_error *e)
{
	struct gvproxy_port *port = calloc(1, sizeof(*port));
	char path[PATH_MAX];

	if (!port)
		return error_errno(e, ENOMEM, "%s", backend->driver->name);
	snprintf(path, sizeof(path), "%s/" RK_GVPROXY_DIR "/" RK_GVPROXY_API, backend->state_dir);
	port->api = gvproxy_api_open(path, e);
	if (!port->api) {
		free(port);
		return -e->code;
	}
	backend->private = port;
	return 0;
}

static struct exposed *add_entry(struct gvproxy_port *port)
{
	size_t wanted = port->capacity ? 2 * port->capacity : 16;
	struct exposed *items;

	if (port->count == port->capacity) {
		items = reallocarray(port->items, wanted, sizeof(*items));
		if (!items)
			return NULL;
		port->items = items;
		port->capacity = wanted;
	}
	return &port->items[port->count];
}

// gvproxy does not say why it cannot listen in words that help: try it and say it in ours.
static int explain(const struct rk_forward *forward, struct rk_error *e)
{
	struct rk_error reason;
	int rc = bind_try(&forward->listeners[0], forward->socktype, &reason);

	if (e->code != EREMOTEIO || rc == 0)
		return -e->code;
	*e = reason;
	return rc;
}

static int gvproxy_port_add(struct rk_port_backend *backend, const struct rk_port_spec *spec,
	const struct rk_forward *forward, struct rk_error *e)
{
	struct gvproxy_port *port = backend->private;
	const char *child_ip = spec->child_ip[0] ? spec->child_ip : backend->network->ip;
	char remote[RK_ADDR_TEXT_MAX];
	struct exposed *entry;
	int rc = check_spec(spec, e);

	if (rc < 0)
		return rc;
	entry = add_entry(port);
	if (!entry)
		return error_errno(e, ENOMEM, "%s", backend->driver->name);
	entry->id = forward->id;
	entry->proto = proto_name(spec->proto);
	addr_format(&forward->listeners[0], entry->local, sizeof(entry->local));
	snprintf(remote, sizeof(remote), "%s:%u", child_ip, spec->child_port);
	rc = gvproxy_api_expose(port->api, entry->proto, entry->local, remote, e);
	if (rc < 0)
		return explain(forward, e);
	port->count++;
	return 0;
}

static int gvproxy_port_remove(struct rk_port_backend *backend, uint32_t id, struct rk_error *e)
{
	struct gvproxy_port *port = backend->private;
	int rc;

	for (size_t i = 0; i < port->count; i++) {
		if (port->items[i].id != id)
			continue;
		rc = gvproxy_api_unexpose(port->api, port->items[i].proto, port->items[i].local, e);
		if (rc == 0)
			port->items[i] = port->items[--port->count];
		return rc;
	}
	return error_set(e, ENOENT, "%s: unknown id: %u", backend->driver->name, id);
}

// gvproxy may be gone already: then so are its ports, and the first request says so.
static void gvproxy_port_stop(struct rk_port_backend *backend)
{
	struct gvproxy_port *port = backend->private;
	struct rk_error e;

	while (port->count > 0 && gvproxy_port_remove(backend, port->items[0].id, &e) == 0)
		;
	gvproxy_api_close(port->api);
	free(port->items);
	free(port);
	backend->private = NULL;
}

const struct rk_port_driver port_gvisor_tap_vsock = {
	.name = "gvisor-tap-vsock",
	.flags = PORT_NO_CHILD_LOOPBACK,
	.protos = gvproxy_protos,
	.check = gvproxy_port_check,
	.start = gvproxy_port_start,
	.add = gvproxy_port_add,
	.remove = gvproxy_port_remove,
	.stop = gvproxy_port_stop,
};
