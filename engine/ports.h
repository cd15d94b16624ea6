// ports.h: the table of published ports; the one way from the control side to the data plane.
//
// Every function locks the table, so the control thread and the API thread may both call it.
#pragma once

#include "base/error.h"
#include "config/portspec.h"
#include "drivers/driver.h"
#include "engine/lease.h"
#include "engine/plane.h"
#include "engine/ports_source.h"

#include <stddef.h>
#include <stdint.h>

struct rk_ports;

struct rk_port {
	uint32_t id; // from 1, never used again in one run
	struct rk_port_spec spec;
	// What is in effect: how, and how far, clients of IPv4 and IPv6 are shown.
	enum rk_source_ip source_ip;
	enum rk_source_level source_levels[2];
	enum rk_proxy_protocol proxy_protocol;
	pid_t owner; // process that it belongs to (spec.owned), as our PID namespace numbers it
	// The port is to go, but that failed, at that time: errno, 0 = it stays (ports_leaving.c).
	int32_t leaving_error;
	uint64_t leaving_since_ms; // CLOCK_MONOTONIC
};

struct rk_port_report {
	struct rk_port port;
	struct rk_port_stats stats;
};

// `plane` is borrowed and may be NULL (no port driver): then every other function but
// ports_destroy() returns -EOPNOTSUPP. Returns NULL when there is no memory.
struct rk_ports *ports_create(struct rk_plane *plane);
// From now on the ports go to a started port driver instead of a plane; borrowed, like that.
// What its ports carry is not counted: their statistics stay 0.
void ports_use_backend(struct rk_ports *ports, struct rk_port_backend *backend);
// What ports show the child of their clients, from now on; without it nothing.
void ports_use_source_policy(struct rk_ports *ports, const struct rk_source_policy *policy);
// Fills *e when the backend's watch_fd is readable: what died, and how. Returns -code.
int ports_describe_death(struct rk_ports *ports, struct rk_error *e);
// Forgets the table; the plane keeps its ports until plane_stop().
void ports_destroy(struct rk_ports *ports);

// Publishes one port or range; *port is the new entry, with the port that the kernel chose where
// the spec's was 0. `owner` (borrowed, may be NULL) is whom a spec with `owned` belongs to.
// -EEXIST: same protocol, parent address and parent port as an existing one ("conflict with ID n");
// -EINVAL, -EADDRINUSE, -EACCES and the other codes of plane_add() with *e saying why; -EOPNOTSUPP:
// the port driver cannot do it.
int ports_add(struct rk_ports *ports, const struct rk_port_spec *spec, const struct rk_owner *owner,
	struct rk_port *port, struct rk_error *e);
// The same, but finds the port when it is published already with exactly this spec, and makes it
// the owner's. 1 = it was there, 0 = it is new.
int ports_ensure(struct rk_ports *ports, const struct rk_port_spec *spec,
	const struct rk_owner *owner, struct rk_port *port, struct rk_error *e);
// Publishes all of the list or none; *e names the spec that failed. `added` (may be NULL) takes
// `count` entries. What cannot be taken back then, because the port driver fails, is listed as
// failed until ports_free_ended() has removed it.
int ports_add_all(struct rk_ports *ports, const struct rk_port_spec *specs, size_t count,
	const struct rk_owner *owner, struct rk_port *added, struct rk_error *e);
// Leads the port to another address of the child: `child_ip` NULL and `child_port` 0 stay as they
// are. Clients are accepted all the time; connections that are established stay with the former
// address. *port is the entry as it is now. -ENOENT: no such id.
int ports_retarget(struct rk_ports *ports, uint32_t id, const char *child_ip, uint16_t child_port,
	struct rk_port *port, struct rk_error *e);
// Returns when the host's sockets are gone. -ENOENT: no such id.
int ports_remove(struct rk_ports *ports, uint32_t id, struct rk_error *e);
// All of the list or, when an id is unknown or listed twice, none.
int ports_remove_all(struct rk_ports *ports, const uint32_t *ids, size_t count, struct rk_error *e);

// Readable when ports_free_ended() is due: a process that owns ports has ended, or the removal of a
// port that failed is to be tried again.
int ports_owners_fd(const struct rk_ports *ports);
void ports_free_ended(struct rk_ports *ports);

// Copies of all entries by ascending id; the caller frees *list. The length or -code.
ssize_t ports_list(struct rk_ports *ports, struct rk_port **list, struct rk_error *e);
ssize_t ports_report(struct rk_ports *ports, struct rk_port_report **list, struct rk_error *e);
// One entry per worker, none without a plane; the caller frees *list. The length or -code.
ssize_t ports_worker_stats(
	struct rk_ports *ports, struct rk_worker_stats **list, struct rk_error *e);
// Flows of port `id`, or of all (0), PLANE_FLOWS_MAX at most; the caller frees *list. The length,
// or -code: -ENOENT when there is no such port.
ssize_t ports_flows(struct rk_ports *ports, uint32_t id, struct rk_flow_info **list,
	bool *truncated, struct rk_error *e);
