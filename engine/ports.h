// ports.h: the table of published ports; the one way from the control side to the data plane.
//
// Every function locks the table, so the control thread and the API thread may both call it.
#pragma once

#include "base/error.h"
#include "config/portspec.h"
#include "drivers/driver.h"
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

// Publishes one port; *port is the new entry. -EEXIST: same protocol, parent address and parent
// port as an existing one ("conflict with ID n"); -EINVAL, -EADDRINUSE, -EACCES and the other
// codes of plane_add() with *e saying why.
int ports_add(struct rk_ports *ports, const struct rk_port_spec *spec, struct rk_port *port,
	struct rk_error *e);
// Publishes all of the list or none; *e names the spec that failed.
int ports_add_all(
	struct rk_ports *ports, const struct rk_port_spec *specs, size_t count, struct rk_error *e);
// Returns when the host's sockets are gone. -ENOENT: no such id.
int ports_remove(struct rk_ports *ports, uint32_t id, struct rk_error *e);

// Copies of all entries by ascending id; the caller frees *list. The length or -code.
ssize_t ports_list(struct rk_ports *ports, struct rk_port **list, struct rk_error *e);
ssize_t ports_report(struct rk_ports *ports, struct rk_port_report **list, struct rk_error *e);
