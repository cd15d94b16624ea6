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
#include "base/msg.h"
#include "config/config.h"
#include "drivers/forward.h"
#include "engine/counters.h"
#include "engine/keepalive.h"
#include "engine/last_error.h"
#include "engine/ring.h"
#include "engine/timers.h"

#include <stdbool.h>
#include <stdint.h>

struct rk_plane;

struct rk_plane_options {
	uint32_t workers; // > 0
	enum rk_io_mode io;
	enum rk_bulk_mode bulk;
	uint32_t max_flows; // per worker; both are lowered to what RLIMIT_NOFILE allows
	uint32_t pool_size; // child sockets kept ready per worker and kind
	uint32_t udp_idle_timeout_ms;
	uint32_t connect_timeout_ms;
	struct rk_keepalive keepalive; // of both sockets of a TCP flow
	uint32_t max_pending; // TCP flows of one port that wait for their target, 0 = no limit
	// Set by the plane: what a worker may open for flows and for listeners beyond the first
	// few.
	uint32_t descriptors;
	uint32_t pipes; // set by the plane: of a worker, see bulk.h
};

// What a port is, the worst of what is true now. Nothing of it is a flag that somebody set and has
// to clear: it is read from the listeners of every worker and from how the last clients fared.
//   PORT_LISTENING   every worker accepts (UDP: receives), the last client reached a target
//   PORT_DOWNGRADED  ... but the last client whose address was to be shown to the child was not
//   PORT_PAUSED      a worker does not accept now and will go on by itself: it is out of
//                    descriptors or memory, out of flows ([engine] max-flows), or of buffers, or
//                    too many clients of the port wait for their target ([port] max-pending)
//   PORT_FAILED      a worker's thread or listener cannot go on, or the last client reached no
//                    target (the next one that does makes it PORT_LISTENING again)
enum rk_port_state { PORT_LISTENING, PORT_DOWNGRADED, PORT_PAUSED, PORT_FAILED };

enum rk_port_reason {
	REASON_NONE,
	REASON_SOURCE,  // downgraded
	REASON_BUFFERS, // paused: no datagram buffer is free
	REASON_FLOWS,   // paused: max-flows
	REASON_PENDING, // paused: max-pending
	REASON_ERROR,   // paused or failed: accept or receive ended with reason_error
	REASON_TARGET,  // failed: no target took the last client
	REASON_WORKER   // failed: a worker's ring broke
};

// Summed over the workers.
struct rk_port_stats {
	enum rk_port_state state;
	enum rk_port_reason reason;
	int32_t reason_error; // errno, 0 = none
	struct rk_last_error last_error;
	uint64_t counts[PORT_COUNTERS];
	uint64_t downgrades[DOWNGRADE_COUNT]; // of COUNT_DOWNGRADED, by reason
	// By the kernel, for want of room: datagrams of UDP listeners, connections of TCP ones (a
	// client tries those again).
	uint64_t kernel_dropped;
	uint64_t backlog; // TCP: clients that wait to be accepted
	uint64_t pending; // TCP: clients that were accepted and have not reached their target yet
};

// Those that the engine dropped, for whatever reason.
static inline uint64_t plane_datagrams_dropped(const struct rk_port_stats *stats)
{
	uint64_t dropped = 0;

	for (unsigned i = COUNT_DROPPED_ROOM; i <= COUNT_DROPPED_INVALID; i++)
		dropped += stats->counts[i];
	return dropped;
}

// How often a listener stopped accepting, for whatever reason.
static inline uint64_t plane_pauses(const struct rk_port_stats *stats)
{
	return stats->counts[COUNT_PAUSES] + stats->counts[COUNT_ROOM_WAITS] +
	       stats->counts[COUNT_PENDING_WAITS];
}

// One worker, as it was when it answered.
struct rk_worker_stats {
	bool broken; // it does not run; nothing else is known
	uint32_t tcp_flows, udp_flows, flow_limit;
	uint32_t listeners;         // sockets
	uint32_t full_listeners;    // that wait for a free flow
	uint32_t stream_buffers;    // held by lanes
	uint32_t first_datagrams;   // kept for flows without a target yet
	struct rk_ring_stats ring;  // totals, here and below
	uint64_t stale_completions; // of a former owner: dropped
	uint64_t helper_channels;   // helpers that it has had
	uint64_t helper_losses;     // ... and that ended
	uint64_t lost_sockets;      // messages of the helper whose sockets found no descriptor
	uint64_t timers[TIMER_KIND_COUNT];
	struct {                          // see bulk.h
		bool splices;             // flows in bulk are spliced now
		uint32_t pipes;           // lent to flows
		uint64_t copied, spliced; // bytes of flows in bulk
	} bulk;
	struct {
		uint32_t ready;     // sockets
		uint32_t requested; // asked for, not yet here
		uint32_t waiting;   // flows
		int error;          // errno of the helper's last try, 0 = none
		uint64_t requests;
		uint64_t empty;    // a flow found none
		uint64_t failures; // of the helper
	} pools[SOCKET_KIND_COUNT];
};

// A connection or UDP flow, as it was when its worker answered.
enum rk_flow_state { FLOW_WAITING, FLOW_CONNECTING, FLOW_OPEN, FLOW_HALF_CLOSED, FLOW_CLOSING };
struct rk_flow_info {
	uint32_t port; // id
	int socktype;
	enum rk_flow_state state;
	struct rk_addr client; // port 0: not known
	struct rk_addr target; // tried or connected
	uint64_t age_ms, idle_ms;
	uint64_t bytes_in, bytes_out;
};

// How many flows one list may hold.
#define PLANE_FLOWS_MAX 10000u

// How many workers `configured` means: 0 = one per CPU that we may run on; never more than one
// message has channels for.
uint32_t plane_choose_workers(uint32_t configured);
// Starts the workers. 0 or -code with *e.
int plane_start(
	struct rk_plane **plane, const struct rk_plane_options *options, struct rk_error *e);
// The I/O method in use: "io_uring" or "epoll", or "mixed" where not all workers got the same.
const char *plane_io_name(const struct rk_plane *plane);
// Gives worker i the helper channel channels[i] (all are taken over, whatever is returned);
// replaces earlier ones after a helper restart. `count` is the number of workers.
int plane_set_helper(
	struct rk_plane *plane, const int *channels, unsigned count, struct rk_error *e);
// A descriptor that becomes readable when the helper has gone (a worker saw EOF), or when a worker
// cannot go on, which plane_check() tells; read it to clear.
int plane_helper_lost_fd(const struct rk_plane *plane);
// 0, or -code with *e when a worker's ring broke: its share of every port is not served any more.
int plane_check(struct rk_plane *plane, struct rk_error *e);

// Opens the listeners and starts to accept; all or nothing. Where the kernel chooses the port,
// forward->listeners name it afterwards. -EADDRINUSE, -EACCES (privileged port), -EMFILE... with *e
// naming the address and the remedy.
int plane_add(struct rk_plane *plane, struct rk_forward *forward, struct rk_error *e);
// Flows that begin from now on go to the targets of `forward`, whose id names the port; listeners
// and live flows stay. Returns when all workers have changed over. -ENOENT: no such id.
int plane_retarget(struct rk_plane *plane, const struct rk_forward *forward, struct rk_error *e);
// Closes the listeners, returns when they are gone; live flows go on. -ENOENT: no such id.
int plane_remove(struct rk_plane *plane, uint32_t id, struct rk_error *e);
// -ENOENT: no such id.
int plane_stats(struct rk_plane *plane, uint32_t id, struct rk_port_stats *stats);
uint32_t plane_worker_count(const struct rk_plane *plane);
// Asks worker `index`, which answers between two turns of its loop.
void plane_worker_stats(struct rk_plane *plane, uint32_t index, struct rk_worker_stats *stats);
// Flows of port `id`, or of all (0), at most `capacity`; returns how many, *truncated when there
// are more.
size_t plane_flows(struct rk_plane *plane, uint32_t id, struct rk_flow_info *flows, size_t capacity,
	bool *truncated);
// A descriptor that becomes readable when the state of some port may have changed. It stays so
// until plane_watch_again(), so that a flood of changes costs the workers nothing.
int plane_changed_fd(const struct rk_plane *plane);
void plane_watch_again(struct rk_plane *plane);
// Stops the workers, resets what is open, frees everything.
void plane_stop(struct rk_plane *plane);
