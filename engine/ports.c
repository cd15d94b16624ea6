// ports.c: the table of published ports; the one way from the control side to the data plane, or
// to the port driver that stands in for it.
//
// How it works: an array ordered by id behind one mutex, which is held across the call into the
// plane or the driver. So two requests for the same address are decided one after the other, a port
// is in the table only while its listeners are open, and the plane sees one caller at a time. The
// lock is never taken by a worker.

#include "base/log.h"
#include "engine/ports_forward.h"
#include "engine/ports_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rk_ports *ports_create(struct rk_plane *plane)
{
	struct rk_ports *ports = calloc(1, sizeof(*ports));

	if (!ports)
		return NULL;
	pthread_mutex_init(&ports->lock, NULL);
	ports->plane = plane;
	ports->leaving_timer = -1;
	ports->leases = leases_create();
	if (ports->leases && ports_leaving_open(ports) == 0)
		return ports;
	ports_destroy(ports);
	return NULL;
}

void ports_destroy(struct rk_ports *ports)
{
	if (!ports)
		return;
	pthread_mutex_destroy(&ports->lock);
	leases_destroy(ports->leases);
	ports_leaving_close(ports);
	free(ports->items);
	free(ports);
}

void ports_use_backend(struct rk_ports *ports, struct rk_port_backend *backend)
{
	ports->backend = backend;
}

void ports_use_source_policy(struct rk_ports *ports, const struct rk_source_policy *policy)
{
	ports->source_policy = *policy;
}

int ports_describe_death(struct rk_ports *ports, struct rk_error *e)
{
	int rc;

	pthread_mutex_lock(&ports->lock);
	rc = ports->backend->driver->describe_death(ports->backend, e);
	pthread_mutex_unlock(&ports->lock);
	return rc;
}

static int reserve_entry(struct rk_ports *ports, struct rk_error *e)
{
	size_t wanted = ports->capacity ? 2 * ports->capacity : 16;
	struct rk_port *items;

	if (ports->count < ports->capacity)
		return 0;
	items = reallocarray(ports->items, wanted, sizeof(*items));
	if (!items)
		return error_errno(e, ENOMEM, "table of %zu ports", wanted);
	ports->items = items;
	ports->capacity = wanted;
	return 0;
}

int ports_unknown_id(uint32_t id, struct rk_error *e)
{
	error_set(e, ENOENT, "unknown id: %u", id);
	return error_hint(e, "GET /v1/ports (rootlessctl list-ports) tells the ids");
}

static int open_port(struct rk_ports *ports, const struct rk_port_spec *spec,
	struct rk_forward *forward, struct rk_error *e)
{
	if (ports->backend)
		return ports->backend->driver->add(ports->backend, spec, forward, e);
	return plane_add(ports->plane, forward, e);
}

static int close_port(struct rk_ports *ports, uint32_t id, struct rk_error *e)
{
	if (ports->backend)
		return ports->backend->driver->remove(ports->backend, id, e);
	return plane_remove(ports->plane, id, e);
}

// The entry of a port that was opened or led elsewhere.
static void fill_port(const struct rk_ports *ports, struct rk_port *port,
	const struct rk_port_spec *spec, const struct rk_forward *forward)
{
	*port = (struct rk_port){.id = forward->id,
		.spec = *spec,
		.source_ip = forward->source_ip,
		.proxy_protocol = forward->proxy_protocol};
	port->spec.parent_port = addr_port(&forward->listeners[0]);
	for (unsigned i = 0; i < 2; i++) {
		if (forward->remote[i].own.count > 0)
			port->source_levels[i] = ports_source_level(&ports->source_policy,
				forward->socktype, i == 0 ? AF_INET : AF_INET6);
	}
}

static int resolve(const struct rk_ports *ports, const struct rk_port_spec *spec, uint32_t id,
	struct rk_forward *forward, struct rk_error *e)
{
	int rc = ports_forward_resolve(forward, spec, e);

	if (rc == 0)
		rc = ports_source_resolve(forward, spec, &ports->source_policy, e);
	forward->id = id;
	return rc;
}

// Lets the port belong to `owner` if it is to be `owned`, else to nobody. It stays then, if it was
// to go.
static int set_owner(struct rk_ports *ports, struct rk_port *port, bool owned,
	const struct rk_owner *owner, struct rk_error *e)
{
	int rc = leases_set(ports->leases, port->id, owned ? owner : NULL);

	if (rc < 0)
		return error_errno(e, -rc, "watch the owner of port %u", port->id);
	port->spec.owned = owned;
	port->owner = owned && owner ? owner->pid : 0;
	port->leaving_error = 0;
	return 0;
}

static void free_ended_locked(struct rk_ports *ports);

static int add_locked(struct rk_ports *ports, const struct rk_port_spec *spec,
	const struct rk_owner *owner, struct rk_port *port, struct rk_error *e)
{
	struct rk_forward forward;
	int unanswered = 0;
	int rc;

	// Whoever takes the place of an owner that was killed must not find its port still there.
	free_ended_locked(ports);
	rc = ports_check_new(ports, spec, e);
	if (rc == 0)
		rc = reserve_entry(ports, e);
	if (rc < 0)
		return rc;
	if (ports->last_id == UINT32_MAX) {
		error_set(e, ENOSPC, "all port ids of this run are used");
		return error_hint(e, "start the engine anew");
	}
	rc = resolve(ports, spec, ports->last_id + 1, &forward, e);
	if (rc == 0)
		rc = open_port(ports, spec, &forward, e);
	if (rc == -EADDRINUSE)
		ports_explain_in_use(ports, spec, e);
	if (rc < 0)
		return rc;
	fill_port(ports, port, spec, &forward);
	rc = set_owner(ports, port, spec->owned, owner, e);
	ports->last_id++;
	ports->items[ports->count++] = *port;
	if (rc < 0)
		ports_let_go(ports, port->id, &unanswered);
	return rc;
}

int ports_add(struct rk_ports *ports, const struct rk_port_spec *spec, const struct rk_owner *owner,
	struct rk_port *port, struct rk_error *e)
{
	int rc = ports_check_driver(ports, e);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&ports->lock);
	rc = add_locked(ports, spec, owner, port, e);
	pthread_mutex_unlock(&ports->lock);
	return rc;
}

// Whether the two ask for the same port; whose it is to be does not matter.
static bool same_spec(const struct rk_port_spec *a, const struct rk_port_spec *b)
{
	return a->proto == b->proto && a->parent_port == b->parent_port &&
	       a->parent_port_end == b->parent_port_end && a->child_port == b->child_port &&
	       ports_same_ip(a->parent_ip, b->parent_ip) &&
	       ports_same_ip(a->child_ip, b->child_ip) && a->source_ip == b->source_ip &&
	       a->proxy_protocol == b->proxy_protocol &&
	       a->proxy_protocol_set == b->proxy_protocol_set &&
	       strcmp(a->child_proxy, b->child_proxy) == 0;
}

static struct rk_port *find_same(struct rk_ports *ports, const struct rk_port_spec *spec)
{
	for (size_t i = 0; i < ports->count; i++)
		if (same_spec(&ports->items[i].spec, spec))
			return &ports->items[i];
	return NULL;
}

int ports_ensure(struct rk_ports *ports, const struct rk_port_spec *spec,
	const struct rk_owner *owner, struct rk_port *port, struct rk_error *e)
{
	struct rk_port *same;
	int rc = ports_check_driver(ports, e);

	if (rc < 0)
		return rc;
	if (spec->parent_port == 0) {
		error_set(e, EINVAL,
			"parent port 0 (the kernel chooses) is another one each time: only a new "
			"port can have it");
		return error_hint(e, "name the parent port, or POST instead of PUT");
	}
	pthread_mutex_lock(&ports->lock);
	free_ended_locked(ports);
	same = find_same(ports, spec);
	if (same) {
		rc = set_owner(ports, same, spec->owned, owner, e);
		*port = *same;
	} else {
		rc = add_locked(ports, spec, owner, port, e);
	}
	pthread_mutex_unlock(&ports->lock);
	return rc < 0 ? rc : same != NULL;
}

struct rk_port *ports_find(struct rk_ports *ports, uint32_t id)
{
	for (size_t i = 0; i < ports->count; i++)
		if (ports->items[i].id == id)
			return &ports->items[i];
	return NULL;
}

int ports_remove_locked(struct rk_ports *ports, uint32_t id, struct rk_error *e)
{
	struct rk_port *port = ports_find(ports, id);
	size_t after;
	int rc;

	if (!port)
		return ports_unknown_id(id, e);
	rc = close_port(ports, id, e);
	if (rc < 0)
		return rc;
	leases_set(ports->leases, id, NULL);
	after = ports->count - (size_t)(port - ports->items) - 1;
	memmove(port, port + 1, after * sizeof(*port));
	ports->count--;
	return 0;
}

int ports_remove(struct rk_ports *ports, uint32_t id, struct rk_error *e)
{
	int rc = ports_check_driver(ports, e);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&ports->lock);
	rc = ports_remove_locked(ports, id, e);
	pthread_mutex_unlock(&ports->lock);
	return rc;
}

static int check_ids(struct rk_ports *ports, const uint32_t *ids, size_t count, struct rk_error *e)
{
	for (size_t i = 0; i < count; i++) {
		if (!ports_find(ports, ids[i]))
			return ports_unknown_id(ids[i], e);
		for (size_t j = 0; j < i; j++)
			if (ids[i] == ids[j])
				return error_set(e, EINVAL, "id %u is listed twice", ids[i]);
	}
	return 0;
}

int ports_remove_all(struct rk_ports *ports, const uint32_t *ids, size_t count, struct rk_error *e)
{
	int rc = ports_check_driver(ports, e);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&ports->lock);
	rc = check_ids(ports, ids, count, e);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = ports_remove_locked(ports, ids[i], e);
	pthread_mutex_unlock(&ports->lock);
	return rc;
}

int ports_owners_fd(const struct rk_ports *ports)
{
	return leases_watch_fd(ports->leases);
}

static void free_ended_locked(struct rk_ports *ports)
{
	struct rk_port *port;
	int unanswered = 0;
	uint32_t id;

	while ((id = leases_take_ended(ports->leases))) {
		port = ports_find(ports, id);
		if (!port)
			continue;
		log_info("port %u goes with process %d, which has ended", id, port->owner);
		ports_let_go(ports, id, &unanswered);
	}
}

void ports_free_ended(struct rk_ports *ports)
{
	pthread_mutex_lock(&ports->lock);
	free_ended_locked(ports);
	ports_retry_leaving(ports);
	pthread_mutex_unlock(&ports->lock);
}

// Takes back ids first..last of a list that failed half way, with `rc`.
static void remove_range(struct rk_ports *ports, uint32_t first, uint32_t last, int rc)
{
	int unanswered = rc == -ETIMEDOUT ? rc : 0;

	for (uint32_t id = last; id >= first && id > 0; id--)
		if (ports_find(ports, id))
			ports_let_go(ports, id, &unanswered);
}

int ports_add_all(struct rk_ports *ports, const struct rk_port_spec *specs, size_t count,
	const struct rk_owner *owner, struct rk_port *added, struct rk_error *e)
{
	char text[RK_PORT_TEXT_MAX];
	struct rk_port port;
	uint32_t first;
	int rc = count > 0 ? ports_check_driver(ports, e) : 0;

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&ports->lock);
	first = ports->last_id + 1;
	for (size_t i = 0; i < count; i++) {
		rc = add_locked(ports, &specs[i], owner, added ? &added[i] : &port, e);
		if (rc == 0)
			continue;
		rc = error_wrap(e, "publish %s", port_spec_format(&specs[i], text, sizeof(text)));
		remove_range(ports, first, ports->last_id, rc);
		break;
	}
	pthread_mutex_unlock(&ports->lock);
	return rc;
}

static int retarget_locked(struct rk_ports *ports, struct rk_port *port,
	const struct rk_port_spec *spec, struct rk_error *e)
{
	pid_t owner = port->owner;
	struct rk_forward forward;
	int rc = port_spec_check(spec, e);

	if (rc == 0)
		rc = resolve(ports, spec, port->id, &forward, e);
	if (rc == 0)
		rc = plane_retarget(ports->plane, &forward, e);
	if (rc < 0)
		return rc;
	fill_port(ports, port, spec, &forward);
	port->owner = owner;
	return 0;
}

int ports_retarget(struct rk_ports *ports, uint32_t id, const char *child_ip, uint16_t child_port,
	struct rk_port *port, struct rk_error *e)
{
	struct rk_port *entry;
	struct rk_port_spec spec;
	int rc = ports_check_driver(ports, e);

	if (rc < 0)
		return rc;
	if (!ports->plane) {
		error_set(e, EOPNOTSUPP,
			"port %u: the port driver %s cannot lead a port to another address", id,
			ports->backend->driver->name);
		return error_hint(
			e, "remove the port and publish it anew, or use [port] driver = builtin");
	}
	pthread_mutex_lock(&ports->lock);
	entry = ports_find(ports, id);
	if (entry) {
		spec = entry->spec;
		if (child_ip)
			snprintf(spec.child_ip, sizeof(spec.child_ip), "%s", child_ip);
		if (child_port)
			spec.child_port = child_port;
		rc = retarget_locked(ports, entry, &spec, e);
		*port = *entry;
	} else {
		rc = ports_unknown_id(id, e);
	}
	pthread_mutex_unlock(&ports->lock);
	return rc;
}
