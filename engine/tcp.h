// tcp.h: the life of a TCP flow: client's socket, child's socket, one lane each way.
//
// How it works, by state (tcp.c, and tcp_move.c for TCP_OPEN; the arrows are the only changes):
//
//   TCP_WAITING     the client is accepted, the pool has no socket of the right kind
//      |            in: pool refilled -> TCP_CONNECTING, time-out -> TCP_CLOSING (reset)
//   TCP_CONNECTING  connect to a target in flight; nothing is read from the client yet
//      |            in: connected -> TCP_OPEN, refused -> next target (see route.h) or
//      |                TCP_CLOSING (reset)
//   TCP_OPEN        two lanes move bytes. FIN of a source is passed on behind its last byte; when
//      |            both lanes are done -> TCP_CLOSING. A reset or error -> TCP_CLOSING (reset)
//   TCP_CLOSING     operations still in flight are cancelled; when none is left both sockets are
//                   closed (with RST after a reset) and the slot is free
//
// In the first two states a flow is pending, and its listener bounds how many are (listener.h).
// Lane IN carries client -> child, lane OUT child -> client. Half-closed flows live as long as both
// ends want; the side that sent FIN is watched, so that a reset there is passed on too.
#pragma once

#include "engine/lane.h"
#include "engine/route.h"
#include "engine/worker.h"

enum rk_tcp_state { TCP_WAITING, TCP_CONNECTING, TCP_OPEN, TCP_CLOSING };
enum rk_lane_index { LANE_IN, LANE_OUT, LANE_COUNT };

struct rk_tcp_flow {
	struct rk_slot slot;
	uint8_t state;       // enum rk_tcp_state
	bool reset;          // close with RST
	bool reset_counted;  // that one end reset it
	uint16_t in_flight;  // operations
	uint8_t watched;     // bit per lane: its source is polled (tcp_watch.c)
	uint8_t unwatched;   // ... and that poll is being cancelled
	int fds[LANE_COUNT]; // [LANE_IN] client, [LANE_OUT] child: lane i reads fds[i], writes
			     // fds[!i]
	struct rk_share *share;
	struct rk_listener *pending_at; // that counts it as pending; NULL from TCP_OPEN on
	struct rk_route route;
	struct rk_addr client; // port 0: it had gone before it could be asked for
	struct rk_addr target; // tried or connected
	uint64_t started_ms;   // CLOCK_MONOTONIC
	uint64_t active_ms;    // when bytes last came or went
	uint64_t bytes[LANE_COUNT];
	struct rk_timer timer;
	struct rk_timer patience; // of an untracked connect, see untracked.h
	struct rk_node waiting;   // in the pool's queue, or in the worker's queue for buffers
	struct rk_node ready;     // in the worker's queue of flows that splice on in the next turn
	struct rk_lane lanes[LANE_COUNT];
};

// A client was accepted on `listener`; takes `fd` over.
void tcp_open(struct rk_worker *worker, struct rk_listener *listener, int fd);
// A client for whom there is no flow: counts and resets it.
void tcp_refuse(struct rk_worker *worker, struct rk_share *share, int fd);
// Handlers for the completions OP_TCP_*.
void tcp_complete(struct rk_worker *worker, const struct rk_completion *completion);
// The pool got sockets: resume flows that wait for one.
void tcp_pool_filled(struct rk_worker *worker, enum rk_socket_kind kind);
// The process is out of descriptors: give up the flows that wait for one.
void tcp_pool_starved(struct rk_worker *worker, enum rk_socket_kind kind, int error);
void tcp_connect_timeout(struct rk_worker *worker, struct rk_timer *timer);
void tcp_untracked_timeout(struct rk_worker *worker, struct rk_timer *patience);
void tcp_half_closed_timeout(struct rk_worker *worker, struct rk_timer *timer);
// Call at the end of each turn: what was received in it decides how much bulk flows may receive in
// the next.
void tcp_turn_end(struct rk_worker *worker);
// Buffers came back: flows that found the pool empty receive again.
void tcp_buffers_free(struct rk_worker *worker);
// Whether tcp_buffers_free() has more to do, without waiting for anything.
bool tcp_buffers_wanted(const struct rk_worker *worker);
// Flows that moved their share of the last turn splice on.
void tcp_splice_ready(struct rk_worker *worker);
// Whether tcp_splice_ready() has something to do.
bool tcp_splice_wanted(const struct rk_worker *worker);
// Ends every flow of the worker with RST.
void tcp_reset_all(struct rk_worker *worker);
