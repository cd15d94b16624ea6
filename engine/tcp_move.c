// tcp_move.c: what happens to a byte of a TCP flow.
//
// How it works: a receive brings bytes from one socket into the lane, a send passes on what the
// lane holds, and its completion makes room for the next receive; both may be in flight. A receive
// that finds no buffer puts its flow into the worker's queue of starved flows, which
// tcp_buffers_free() serves. The end of a source is passed on behind its last byte; from then on
// the source is watched, for a reset and for room to send into it (tcp_watch.c). Who sends in bulk
// may splice instead (tcp_splice.c).

#include "engine/tcp_internal.h"

#include <errno.h>

// Flows that wait for buffers get them in turns, so few and so little at a time that all of a turn
// find some: a receive may bring twice what it was given, and a flow has two lanes.
#define STARVED_BYTES ((size_t)STREAM_BUFFER_SIZE)
#define STARVED_FLOWS (STREAM_BUFFER_READY / 4)

// Whoever says little waits for as long as it takes to copy in and out again what others send in
// bulk. So while somebody does, the receives of a turn bring little more than TURN_BYTES together:
// each asks for its part of it, but not for so little that the operations cost more than the bytes.
#define TURN_BYTES    ((size_t)1024 * 1024)
#define RECEIVE_LEAST ((size_t)2 * STREAM_BUFFER_SIZE)
#define TALK_TURNS    64u

size_t tcp_turn_part(const struct rk_turn *turn)
{
	size_t part;

	if (turn->talk == 0)
		return LANE_LIMIT;
	part = TURN_BYTES / (turn->bulk_before + 1);
	return part > RECEIVE_LEAST ? part : RECEIVE_LEAST;
}

void tcp_turn_add(struct rk_turn *turn, size_t moved)
{
	if (moved < RECEIVE_TALK)
		turn->talk = TALK_TURNS;
	else if (moved >= RECEIVE_LEAST)
		turn->bulk++;
}

void tcp_turn_end(struct rk_worker *worker)
{
	struct rk_turn *turn = &worker->turn;

	turn->bulk_before = turn->bulk;
	turn->bulk = 0;
	if (turn->talk > 0)
		turn->talk--;
}

static bool is_reset(int error)
{
	return error == ECONNRESET || error == EPIPE;
}

// `side`: whose socket broke. Once: the other lane may see it, too.
static void count_reset(struct rk_tcp_flow *flow, enum rk_lane_index side, int error)
{
	if (!is_reset(error) || flow->reset_counted)
		return;
	flow->reset_counted = true;
	count_one(&flow->share->counters,
		side == LANE_IN ? COUNT_RESET_BY_CLIENT : COUNT_RESET_BY_CHILD);
}

// --- receiving

// Receives at most `most` bytes, twice that in an unlucky case, when the lane has room.
static void lane_receive_some(
	struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, size_t most)
{
	struct rk_lane *lane = &flow->lanes[index];
	size_t room = lane_room(lane, worker->stream_buffers_held);

	if (lane->flags & (LANE_RECEIVING | LANE_STARVED | LANE_EOF) || room == 0)
		return;
	lane->flags |= LANE_RECEIVING;
	flow->in_flight++;
	ring_receive(worker->ring, flow->fds[index], room < most ? room : most,
		tcp_lane_tag(flow, OP_TCP_RECEIVE_IN, index));
}

static void lane_starve(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	flow->lanes[index].flags |= LANE_STARVED;
	if (!node_is_linked(&flow->waiting))
		list_append(&worker->starved, &flow->waiting);
}

// While flows wait for buffers everybody queues behind them: a few that receive without a pause
// would take all that one turn has, each turn anew.
void tcp_lane_receive(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	const struct rk_lane *lane = &flow->lanes[index];

	if (lane->flags & (LANE_RECEIVING | LANE_EOF | LANE_SPLICED))
		return;
	if (tcp_splice_begin(worker, flow, index))
		return;
	if (list_first(&worker->starved))
		lane_starve(worker, flow, index);
	else
		lane_receive_some(worker, flow, index, tcp_turn_part(&worker->turn));
}

// --- sending

void tcp_lane_send(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	struct rk_lane *lane = &flow->lanes[index];
	bool half_closed = flow->lanes[!index].flags & LANE_EOF;
	struct iovec iov[RING_SEND_SEGMENTS];
	unsigned count;

	if (lane->flags & (LANE_SENDING | LANE_BLOCKED))
		return;
	count = lane_gather(lane, worker->ring, iov);
	lane->flags |= LANE_SENDING;
	flow->in_flight++;
	ring_send(worker->ring, flow->fds[!index], iov, count, half_closed ? SEND_NOW : SEND_ALL,
		tcp_lane_tag(flow, OP_TCP_SEND_IN, index));
}

// The source ended and every byte of it was sent on: pass the end on.
static void lane_finish(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	struct rk_lane *lane = &flow->lanes[index];

	if (lane->flags & LANE_BROKEN) {
		tcp_close_flow(worker, flow, true);
		return;
	}
	lane->flags |= LANE_DONE;
	if (flow->lanes[!index].flags & LANE_DONE) {
		tcp_close_flow(worker, flow, false);
		return;
	}
	// Not through the ring: io_uring gives every shutdown to a kernel thread (Linux 6.18), and
	// the call never blocks. ENOTCONN: a reset, which shows in the next receive. After any
	// other failure the end would never arrive.
	if (shutdown(flow->fds[!index], SHUT_WR) < 0 && errno != ENOTCONN) {
		tcp_fail_flow(
			worker, flow, index == LANE_IN ? ERROR_TO_CHILD : ERROR_TO_CLIENT, errno);
		return;
	}
	timer_start(&worker->timers, &flow->timer, TIMER_HALF_CLOSED);
}

void tcp_lane_ended(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, int error)
{
	struct rk_lane *lane = &flow->lanes[index];

	lane->flags |= LANE_EOF;
	if (error) {
		lane->flags |= LANE_BROKEN;
		count_reset(flow, index, error);
		tcp_note_error(worker, flow,
			index == LANE_IN ? ERROR_FROM_CLIENT : ERROR_FROM_CHILD, error);
	}
	if (lane_is_empty(lane))
		lane_finish(worker, flow, index);
}

void tcp_source_failed(
	struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, int error)
{
	count_reset(flow, index, error);
	tcp_fail_flow(worker, flow, index == LANE_IN ? ERROR_FROM_CLIENT : ERROR_FROM_CHILD, error);
}

void tcp_send_failed(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, int error)
{
	count_reset(flow, !index, error);
	tcp_fail_flow(worker, flow, index == LANE_IN ? ERROR_TO_CHILD : ERROR_TO_CLIENT, error);
}

// --- completions

// Bulk is what never brings little in between.
static void count_received(struct rk_worker *worker, struct rk_lane *lane, size_t received)
{
	tcp_turn_add(&worker->turn, received);
	if (received < RECEIVE_TALK) {
		lane->bulk = 0;
		return;
	}
	bulk_moved(&worker->bulk, BULK_COPY, received);
	if (lane->bulk < LANE_LIMIT)
		lane->bulk += (uint32_t)received;
}

void tcp_receive_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct rk_completion *completion)
{
	struct rk_lane *lane = &flow->lanes[index];
	int result = completion->result;

	if (!(completion->flags & RING_MORE)) {
		lane->flags &= (uint16_t)~LANE_RECEIVING;
		flow->in_flight--;
	}
	if (flow->state == TCP_CLOSING) {
		if (completion->flags & RING_BUFFER)
			lane_discard(worker->ring, completion->buffer, (uint32_t)result);
		return;
	}
	if (result > 0) {
		flow->active_ms = worker->timers.now_ms;
		count_received(worker, lane, (size_t)result);
		if (lane_push(lane, worker->ring, completion->buffer, (uint32_t)result,
			    &worker->stream_buffers_held) < 0) {
			tcp_fail_flow(worker, flow,
				index == LANE_IN ? ERROR_FROM_CLIENT : ERROR_FROM_CHILD, ENOBUFS);
			return;
		}
		tcp_lane_send(worker, flow, index);
		tcp_lane_receive(worker, flow, index);
	} else if (result == -ENOBUFS) {
		count_one(&flow->share->counters, COUNT_BUFFER_WAITS);
		lane_starve(worker, flow, index);
	} else if (index == LANE_IN && tcp_drop_bogus_client(worker, flow, -result)) {
		tcp_fail_flow(worker, flow, ERROR_ACCEPT, -result);
	} else {
		tcp_lane_ended(worker, flow, index, -result);
	}
}

void tcp_count_sent(
	struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, size_t bytes)
{
	count_add(
		&flow->share->counters, index == LANE_IN ? COUNT_BYTES_IN : COUNT_BYTES_OUT, bytes);
	flow->bytes[index] += bytes;
	flow->active_ms = worker->timers.now_ms;
}

void tcp_send_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct rk_completion *completion)
{
	struct rk_lane *lane = &flow->lanes[index];

	lane->flags &= (uint16_t)~LANE_SENDING;
	flow->in_flight--;
	if (flow->state == TCP_CLOSING)
		return;
	if (completion->result == -EAGAIN) {
		lane->flags |= LANE_BLOCKED;
		tcp_watch(worker, flow, !index);
		return;
	}
	if (completion->result < 0) {
		tcp_send_failed(worker, flow, index, -completion->result);
		return;
	}
	tcp_count_sent(worker, flow, index, (size_t)completion->result);
	lane_pop(lane, worker->ring, (uint32_t)completion->result, &worker->stream_buffers_held);
	if (lane->bytes > 0)
		tcp_lane_send(worker, flow, index);
	else if (lane->flags & LANE_EOF)
		lane_finish(worker, flow, index);
	if (flow->state != TCP_OPEN)
		return;
	if (lane->flags & LANE_SPLICED)
		tcp_splice(worker, flow, index);
	else
		tcp_lane_receive(worker, flow, index);
}

void tcp_start_lanes(struct rk_worker *worker, struct rk_tcp_flow *flow)
{
	tcp_lane_receive(worker, flow, LANE_IN);
	tcp_lane_receive(worker, flow, LANE_OUT);
}

// --- flows that wait for buffers

void tcp_buffers_free(struct rk_worker *worker)
{
	struct rk_node *node;

	for (unsigned i = 0; i < STARVED_FLOWS && worker->stream_buffers_held < STREAM_BUFFER_COUNT;
		i++) {
		struct rk_tcp_flow *flow;

		node = list_first(&worker->starved);
		if (!node)
			return;
		flow = RK_CONTAINER_OF(node, struct rk_tcp_flow, waiting);
		list_remove(node);
		for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
			if (!(flow->lanes[lane].flags & LANE_STARVED))
				continue;
			flow->lanes[lane].flags &= (uint16_t)~LANE_STARVED;
			lane_receive_some(worker, flow, lane, STARVED_BYTES);
		}
	}
}

bool tcp_buffers_wanted(const struct rk_worker *worker)
{
	return list_first(&worker->starved) && worker->stream_buffers_held < STREAM_BUFFER_COUNT;
}
