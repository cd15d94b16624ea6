// plane.h: the data plane as the control thread sees it.
//
// How it works: a plane is a set of worker threads, one ring each. The control thread opens the
// listeners of a port (so that bind errors are known at once), hands every worker its own and waits
// until all of them accept; removing waits until all of them are closed. Workers get the sockets of
// the child's namespace from their helper channel. All functions here are called from one thread at
// a time (ports.c holds its lock); none of them is called by a worker.
#pragma once

#include "base/addr.h"
#include "base/error.h"
#include "config/config.h"
#include "drivers/forward.h"
#include "engine/keepalive.h"

#include <stdbool.h>
#include <stdint.h>

struct rk_plane;

struct rk_plane_options {
	uint32_t workers; // > 0
	enum rk_io_mode io;
	uint32_t max_flows; // per worker; both are lowered to what RLIMIT_NOFILE allows
	uint32_t pool_size; // child sockets kept ready per worker and kind
	uint32_t udp_idle_timeout_ms;
	uint32_t connect_timeout_ms;
	struct rk_keepalive keepalive; // of both sockets of a TCP flow
	// Set by the plane: what a worker may open for flows and for listeners beyond the first
	// few.
	uint32_t descriptors;
};

enum rk_port_state { PORT_LISTENING, PORT_PAUSED, PORT_FAILED };

// Summed over the workers. Bytes and datagrams: in = client to child, out = child to client.
struct rk_port_stats {
	enum rk_port_state state;
	int32_t last_error; // errno of the last failure, 0 = none
	uint64_t connections_open;
	uint64_t connections_total;
	uint64_t connections_refused;         // the child refused
	uint64_t connections_failed;          // any other reason: no socket, time-out, limit
	uint64_t connections_downgraded;      // the child was not shown the client's address
	uint64_t downgrades[DOWNGRADE_COUNT]; // ... by reason
	uint64_t bytes_in, bytes_out;
	uint64_t datagrams_in, datagrams_out;
	uint64_t datagrams_dropped;
};

// How many workers `configured` means: 0 = one per CPU that we may run on; never more than one
// message has channels for.
uint32_t plane_choose_workers(uint32_t configured);
// Starts the workers. 0 or -code with *e.
int plane_start(
	struct rk_plane **plane, const struct rk_plane_options *options, struct rk_error *e);
// The I/O method in use: "io_uring" or "epoll".
const char *plane_io_name(const struct rk_plane *plane);
// Gives worker i the helper channel channels[i] (taken over); replaces earlier ones after a helper
// restart. `count` is the number of workers.
int plane_set_helper(
	struct rk_plane *plane, const int *channels, unsigned count, struct rk_error *e);
// A descriptor that becomes readable when the helper has gone (a worker saw EOF); read it to clear.
int plane_helper_lost_fd(const struct rk_plane *plane);

// Opens the listeners and starts to accept; all or nothing. Where the kernel chooses the port,
// forward->listeners name it afterwards. -EADDRINUSE, -EACCES (privileged port), -EMFILE... with *e
// naming the address and the remedy.
int plane_add(struct rk_plane *plane, struct rk_forward *forward, struct rk_error *e);
// Flows that begin from now on go to the targets of `forward`, whose id names the port; listeners
// and live flows stay. Returns when all workers have changed over. -ENOENT: no such id.
int plane_retarget(struct rk_plane *plane, const struct rk_forward *forward, struct rk_error *e);
// Closes the listeners, returns when they are gone; live flows go on. -ENOENT: no such id.
int plane_remove(struct rk_plane *plane, uint32_t id, struct rk_error *e);
int plane_stats(struct rk_plane *plane, uint32_t id, struct rk_port_stats *stats);
// Stops the workers, resets what is open, frees everything.
void plane_stop(struct rk_plane *plane);
