// tcp_internal.h: what the life of a TCP flow (tcp.c) and the moving of its bytes (tcp_move.c) ask
// of each other; for tcp*.c only.
#pragma once

#include "engine/tcp.h"

static inline uint64_t tcp_tag(const struct rk_tcp_flow *flow, uint8_t operation)
{
	return tag_make(operation, flow->slot.generation, flow->slot.index);
}

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

// --- the bytes (tcp_move.c); `index` is that of the lane

// The child's socket is connected: both lanes begin to receive.
void tcp_start_lanes(struct rk_worker *worker, struct rk_tcp_flow *flow);
void tcp_receive_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct rk_completion *completion);
void tcp_send_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct rk_completion *completion);
void tcp_watch_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct rk_completion *completion);
