// ports_internal.h: the table of published ports and what its parts ask of each other; for ports*.c
// only. The caller holds the table's lock.
#pragma once

#include "engine/ports.h"

#include <pthread.h>

struct rk_ports {
	pthread_mutex_t lock;
	struct rk_plane *plane;          // borrowed, NULL = none
	struct rk_port_backend *backend; // borrowed, instead of the plane; neither = no port driver
	struct rk_port *items;
	size_t count;
	size_t capacity;
	uint32_t last_id;
	struct rk_source_policy source_policy;
	struct rk_leases *leases;
	int leaving_timer; // timerfd
	uint32_t leaving_pause_s;
};

// --- the table (ports.c)

// NULL: no such id.
struct rk_port *ports_find(struct rk_ports *ports, uint32_t id);
// -ENOENT with *e.
int ports_unknown_id(uint32_t id, struct rk_error *e);
// 0, or -code with *e and the port as it was.
int ports_remove_locked(struct rk_ports *ports, uint32_t id, struct rk_error *e);

// --- ports that are to go (ports_leaving.c)

int ports_leaving_open(struct rk_ports *ports); // 0 or -errno
void ports_leaving_close(struct rk_ports *ports);
// Removes the port, now or, where that fails, later. *unanswered, 0 at first, is shared by calls in
// a row: once it is -ETIMEDOUT the port driver is not asked for the next ones.
void ports_let_go(struct rk_ports *ports, uint32_t id, int *unanswered);
// When the timer has run out: tries again.
void ports_retry_leaving(struct rk_ports *ports);
// The state of such a port; others are left as they are.
void ports_leaving_report(const struct rk_port *port, struct rk_port_stats *stats);

// --- what may be published (ports_check.c)

// "::1" and "0:0::1" are one address; no address is a parent of its own, as upstream sees it.
bool ports_same_ip(const char *a, const char *b);
// -EOPNOTSUPP: there is no port driver. Needs no lock.
int ports_check_driver(const struct rk_ports *ports, struct rk_error *e);
// Whether the port may be added: -EINVAL, -EOPNOTSUPP or -EEXIST with *e.
int ports_check_new(
	const struct rk_ports *ports, const struct rk_port_spec *spec, struct rk_error *e);
// The address turned out to be in use, as *e says already: hints at a port of ours that has it.
void ports_explain_in_use(
	const struct rk_ports *ports, const struct rk_port_spec *spec, struct rk_error *e);
