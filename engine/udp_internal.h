// udp_internal.h: what the life of a UDP flow (udp.c), its clients' side (udp_client.c) and its
// child's side (udp_child.c) ask of each other; for udp*.c only.
#pragma once

#include "engine/udp.h"

static inline uint64_t udp_tag(const struct rk_udp_flow *flow, uint8_t operation)
{
	return tag_make(operation, flow->slot.generation, flow->slot.index);
}

static inline struct rk_counters *udp_counters(const struct rk_udp_flow *flow)
{
	return &flow->listener->share->counters;
}

static inline void udp_release_buffer(struct rk_worker *worker, uint32_t buffer)
{
	ring_buffer_release(worker->ring, RING_POOL_DATAGRAM, buffer);
}

// --- the life (udp.c)

// Keeps the datagram in `buffer` as the flow's first when there is room, else it is dropped. Takes
// the buffer over.
void udp_keep_first(struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer,
	uint32_t offset, uint32_t length);
void udp_release_first(struct rk_worker *worker, struct rk_udp_flow *flow);
// Starts UDP_CLOSING; udp_settle_flow() ends it.
void udp_close_flow(struct rk_worker *worker, struct rk_udp_flow *flow);
// The last thing that every entry to udp*.c does with a flow: frees it when it is closed and
// nothing is in flight.
void udp_settle_flow(struct rk_worker *worker, struct rk_udp_flow *flow);
void udp_note_error(struct rk_worker *worker, const struct rk_udp_flow *flow,
	enum rk_error_phase phase, int error);
// Records the error, counts the flow as failed and closes it.
void udp_fail_flow(
	struct rk_worker *worker, struct rk_udp_flow *flow, enum rk_error_phase phase, int error);

// --- the clients' side (udp_client.c)

// `buffer` starts with the payload; its owner is the send from here on.
void udp_send_to_client(
	struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer, uint32_t length);
void udp_send_empty_to_client(struct rk_worker *worker, struct rk_udp_flow *flow);
// A send to a client of that listener is complete.
void udp_reply_sent(struct rk_worker *worker, struct rk_listener *listener);

// --- the child's side (udp_child.c)

// Gives the flow a socket connected to its target. False: the flow waits or failed.
bool udp_connect_flow(struct rk_worker *worker, struct rk_udp_flow *flow);
// The buffer's owner is the send from here on.
void udp_send_to_child(struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer,
	uint32_t offset, uint32_t length);
void udp_receive_from_child(struct rk_worker *worker, struct rk_udp_flow *flow);
// A send to the child is complete: the buffer is kept while it may have to go to another target.
void udp_child_sent(struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer,
	const struct rk_udp_sending *sending, int result);
