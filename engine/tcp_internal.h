// tcp_internal.h: what the life of a TCP flow (tcp.c) and the moving of its bytes (tcp_move.c,
// tcp_splice.c, tcp_watch.c) ask of each other; for tcp*.c only.
#pragma once

#include "engine/tcp.h"

#include <sys/types.h>

static inline uint64_t tcp_tag(const struct rk_tcp_flow *flow, uint8_t operation)
{
	return tag_make(operation, flow->slot.generation, flow->slot.index);
}
// `operation_in` is the one of lane IN; that of lane OUT follows it (worker.h).
static inline uint64_t tcp_lane_tag(
	const struct rk_tcp_flow *flow, enum rk_operation operation_in, unsigned index)
{
	return tcp_tag(flow, (uint8_t)(operation_in + index));
}
_Static_assert(OP_TCP_RECEIVE_OUT == OP_TCP_RECEIVE_IN + 1 &&
		       OP_TCP_SEND_OUT == OP_TCP_SEND_IN + 1 &&
		       OP_TCP_WATCH_OUT == OP_TCP_WATCH_IN + 1,
	"the operations of both lanes follow each other");

// --- the life (tcp.c)

// Starts TCP_CLOSING. The flow is freed when nothing is in flight and tcp.c is done with it, so a
// caller may go on to look at it.
void tcp_close_flow(struct rk_worker *worker, struct rk_tcp_flow *flow, bool reset);
// Records the error, counts a flow that never reached a target, and closes with RST.
void tcp_fail_flow(
	struct rk_worker *worker, struct rk_tcp_flow *flow, enum rk_error_phase phase, int error);
void tcp_note_error(struct rk_worker *worker, const struct rk_tcp_flow *flow,
	enum rk_error_phase phase, int error);
// True when the client's descriptor was none: then it is not ours to close.
bool tcp_drop_bogus_client(struct rk_worker *worker, struct rk_tcp_flow *flow, int error);
// The last thing that whoever is called by the worker does with a flow.
void tcp_settle_flow(struct rk_worker *worker, struct rk_tcp_flow *flow);

// --- the bytes (tcp_move.c); `index` is that of the lane

// The child's socket is connected: both lanes begin to receive.
void tcp_start_lanes(struct rk_worker *worker, struct rk_tcp_flow *flow);
void tcp_receive_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct rk_completion *completion);
void tcp_send_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct rk_completion *completion);
// The destination of the lane took bytes, however they were moved.
void tcp_count_sent(
	struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, size_t bytes);
// Receives again, or begins to splice, when the lane has room and its source has not ended.
void tcp_lane_receive(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index);
// The source of the lane ended (error = 0) or broke.
void tcp_lane_ended(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, int error);
void tcp_lane_send(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index);
// Both reset the flow.
void tcp_source_failed(
	struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, int error);
void tcp_send_failed(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, int error);

// Receives of less are little: whoever says that may wait for an answer.
#define RECEIVE_TALK ((size_t)STREAM_BUFFER_SIZE / 2)
// What a lane may move now, and what it did.
size_t tcp_turn_part(const struct rk_turn *turn);
void tcp_turn_add(struct rk_turn *turn, size_t moved);

// --- watching (tcp_watch.c)

// Polls the socket that lane `side` reads, for what tcp_watch.c says.
void tcp_watch(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned side);
// Ends the polls that nobody needs any more.
void tcp_unwatch(struct rk_worker *worker, struct rk_tcp_flow *flow);
void tcp_watch_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned side,
	const struct rk_completion *completion);

// --- splicing (tcp_splice.c)

// True when the lane, which receives nothing now, has become one in bulk and splices from now on.
bool tcp_splice_begin(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index);
// Moves what can be moved; does nothing for a lane that does not splice.
void tcp_splice(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index);
// Back to copying; the pipe is empty.
void tcp_splice_end(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index);
// Gives the pipe back, if there is one, with whatever is in it.
void tcp_splice_release(struct rk_worker *worker, struct rk_lane *lane);
