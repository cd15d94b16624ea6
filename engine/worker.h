// worker.h: one worker thread: a ring, its flows, its shares of the ports, its pool and its timers.
//
// How it works: a turn of the loop is one ring_wait(), which submits everything that the last turn
// asked for and hands over what completed; the operation in a completion's tag selects who handles
// it (the table in worker.c). Nothing here is shared with another thread but the counters of a
// share and the mailbox, a socket pair over which the control thread sends struct rk_command.
#pragma once

#include "engine/bulk.h"
#include "engine/pool.h"
#include "engine/ring.h"
#include "engine/scout.h"
#include "engine/share.h"
#include "engine/slab.h"

#include <pthread.h>
#include <semaphore.h>

// What a completion is about; the first byte of its tag. The slot names a TCP flow, a UDP flow, a
// listener or a datagram buffer, as noted.
enum rk_operation {
	OP_NONE,            // nobody waits for it: cancel, close
	OP_MAILBOX,         // a command is there
	OP_HELPER,          // sockets are there
	OP_ACCEPT,          // listener
	OP_TCP_CONNECT,     // TCP flow, here and below
	OP_TCP_RECEIVE_IN,  // from the client
	OP_TCP_RECEIVE_OUT, // from the child
	OP_TCP_SEND_IN,     // to the child
	OP_TCP_SEND_OUT,    // to the client
	OP_TCP_WATCH_IN,    // the client: readable, writable, or broken
	OP_TCP_WATCH_OUT,   // the child
	OP_UDP_LISTENER,    // listener: a client's datagram
	OP_UDP_RECEIVE,     // UDP flow: the child's datagram
	OP_UDP_SEND,        // datagram buffer
	OP_UDP_SEND_EMPTY,  // UDP flow: a reply without payload
	OP_COUNT
};

enum rk_command_type {
	COMMAND_ADD,
	COMMAND_RETARGET,
	COMMAND_REMOVE,
	COMMAND_HELPER,
	COMMAND_STATS,
	COMMAND_FLOWS,
	COMMAND_STOP
};

// Flows of a worker, a piece with each command; see worker_report.h.
struct rk_flow_list {
	uint32_t port;   // only those of that id; 0 = all
	uint64_t cursor; // where the next piece begins; starts with 0
	bool ended;      // there is no next piece
	size_t count;
	size_t capacity;
	struct rk_flow_info *items;
};

// How workers tell that the state of a port may have changed: the first to set `pending` writes.
struct rk_notice {
	int fd; // eventfd
	atomic_bool pending;
};

// A request of the control thread, which waits on `done`.
struct rk_command {
	enum rk_command_type type;
	struct rk_share *share;           // ADD: handed over; REMOVE: found by forward.id
	uint32_t id;                      // REMOVE, RETARGET
	const struct rk_forward *forward; // RETARGET: copied
	int channel;                      // HELPER: handed over
	struct rk_worker_stats *stats;    // STATS: filled
	struct rk_flow_list *flows;       // FLOWS: filled
	int result;                       // 0 or -errno
	sem_t done;
};

// All ports of both protocols and families.
#define WORKER_LISTENERS_MAX 262144
#define WORKER_FLOWS_MIN     4
// Listeners that do not count against the descriptors of flows (see DESCRIPTORS_RESERVED).
#define WORKER_LISTENERS_FREE 32

struct rk_worker {
	struct rk_ring *ring;
	struct rk_timers timers;
	struct rk_pool pool;
	struct rk_scout scout;
	struct rk_slab tcp_flows;
	struct rk_slab udp_flows;
	struct rk_udp_table *udp_table;
	struct rk_listener **listeners; // by slot; NULL = free
	uint32_t listener_slots;        // highest slot in use + 1
	uint32_t first_free_listener;   // no slot below it is free
	uint32_t open_listeners;
	uint32_t flow_limit;          // TCP and UDP flows together, see worker_fit_flows()
	uint32_t stream_buffers_held; // by lanes
	struct rk_turn {              // see tcp_move.c
		uint32_t bulk;        // receives of much in this turn
		uint32_t bulk_before; // ... in the last one
		uint32_t talk;        // turns that are left since a receive of little
	} turn;
	struct rk_list shares; // with open listeners
	struct rk_bulk bulk;
	struct rk_pipe_user { // of each of its pipes, see tcp_splice.c
		struct rk_tcp_flow *flow;
		unsigned lane;
	} pipe_users[BULK_PIPES_MAX];
	struct rk_list ready;          // TCP flows that splice on in the next turn
	struct rk_list starved;        // TCP flows that wait for a stream buffer
	struct rk_list full_listeners; // that wait for a free flow
	uint32_t helper_generation;    // which channel a completion of OP_HELPER is about
	// A poll that failed is asked for again after a pause, else it could fail for ever without
	// one.
	struct rk_timer mailbox_poll, helper_poll;
	bool accept_singly; // multishot accept was seen to deliver bogus descriptors
	bool room_is_low;   // listeners accept singly until there is room again
	bool resuming;      // resume_full_listeners() is at work
	bool stopping;
	bool clock_stale;                   // the thread slept since timers_update()
	bool worked;                        // the last turn had completions
	_Atomic(struct rk_share *) retired; // for the control thread to free
	_Atomic int broken; // errno of its ring's failure: it only answers commands, with that
	uint64_t stale_completions;
	uint64_t helper_channels;
	uint64_t helper_losses;
	uint64_t lost_sockets;

	// Set by the control thread before start, constant afterwards.
	struct rk_plane_options options;
	unsigned number;          // counted from 0, for its name
	int mailbox[2];           // [0] the worker's end
	int helper_lost_fd;       // eventfd, of the plane
	struct rk_notice *notice; // of the plane
	pthread_t thread;
	sem_t started;
	int start_result;
};

// Before the thread starts: its mailbox. 0 or -errno.
int worker_init(struct rk_worker *worker);
void worker_free(struct rk_worker *worker);
// Control thread: sends the command and waits for its answer.
int worker_command(struct rk_worker *worker, struct rk_command *command);
// Thread entry; `argument` is the struct rk_worker.
void *worker_run(void *argument);
// What a worker's thread consists of, for a thread that does it step by step.
// Opens everything that the worker has, and a ring unless `ring` is one already (taken over).
// 0 or -errno; worker_close() is due either way.
int worker_open(struct rk_worker *worker);
// One turn of the loop. 0, or -errno when the ring broke.
int worker_turn(struct rk_worker *worker);
// Ends the flows and waits until their last operation has completed.
void worker_drain(struct rk_worker *worker);
void worker_close(struct rk_worker *worker);

// How many flows may still begin.
static inline uint32_t worker_room(const struct rk_worker *worker)
{
	uint32_t used = worker->tcp_flows.used + worker->udp_flows.used;

	return used < worker->flow_limit ? worker->flow_limit - used : 0;
}
static inline bool worker_has_room(const struct rk_worker *worker)
{
	return worker_room(worker) > 0;
}
// The number of listeners changed: many of them leave fewer descriptors for flows.
void worker_fit_flows(struct rk_worker *worker);
// The state of one of its ports may have changed.
void worker_state_changed(struct rk_worker *worker);
// A client of the share reached a target, or reached none.
void worker_reached(struct rk_worker *worker, struct rk_share *share, bool success);
// A client whose address was to be shown to the target was shown, or was not.
void worker_shown(struct rk_worker *worker, struct rk_share *share, bool success);
// All listeners of the share are closed: answers the removal, retires the share with its last flow.
void worker_share_closed(struct rk_worker *worker, struct rk_share *share);
// A flow ended: lets listeners go on that waited for room.
void worker_flow_freed(struct rk_worker *worker, struct rk_share *share);
