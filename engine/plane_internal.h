// plane_internal.h: the structs of the data plane's control side; for plane*.c only.
#pragma once

#include "engine/plane.h"
#include "engine/worker.h"

// A published port: one share per worker. The shares belong to the workers; this keeps them
// readable until the port is removed.
struct rk_plane_port {
	struct rk_plane_port *next;
	uint32_t id;
	unsigned sockets;
	struct rk_share *shares[]; // one per worker
};

// So that a report on 20000 ports finds each at once.
#define PLANE_PORT_BUCKETS 4096u

struct rk_plane {
	struct rk_worker *workers;
	uint32_t worker_count;
	uint32_t started;
	struct rk_keepalive keepalive;
	uint32_t max_pending;
	struct rk_plane_port *ports[PLANE_PORT_BUCKETS]; // by id
	unsigned sockets;                                // of all ports
	uint32_t descriptors; // of one worker, see struct rk_plane_options
	int helper_lost_fd;
	struct rk_notice notice;
};

// The link to the port of that id, or to the NULL where it would be.
struct rk_plane_port **plane_find_port(struct rk_plane *plane, uint32_t id);
