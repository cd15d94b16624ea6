// tcp.c: the life of a TCP flow (see the state picture in tcp.h).

#include "engine/tcp.h"

#include "engine/listener.h"

#include <errno.h>
#include <poll.h>

static const uint8_t receive_operation[LANE_COUNT] = {OP_TCP_RECEIVE_IN, OP_TCP_RECEIVE_OUT};
static const uint8_t send_operation[LANE_COUNT] = {OP_TCP_SEND_IN, OP_TCP_SEND_OUT};
static const uint8_t watch_operation[LANE_COUNT] = {OP_TCP_WATCH_IN, OP_TCP_WATCH_OUT};

static uint64_t flow_tag(const struct rk_tcp_flow *flow, uint8_t operation)
{
	return tag_make(operation, flow->slot.generation, flow->slot.index);
}

static void reset_on_close(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void close_socket(struct rk_worker *worker, int *fd, bool reset)
{
	if (*fd < 0)
		return;
	if (reset)
		reset_on_close(*fd);
	ring_close_fd(worker->ring, *fd, tag_make(OP_NONE, 0, 0));
	*fd = -1;
}

// The end of TCP_CLOSING: nothing is in flight.
static void flow_free(struct rk_worker *worker, struct rk_tcp_flow *flow)
{
	struct rk_share *share = flow->share;

	for (unsigned i = 0; i < LANE_COUNT; i++) {
		struct rk_lane *lane = &flow->lanes[i];

		lane_pop(lane, worker->ring, lane->bytes, &worker->stream_buffers_held);
		close_socket(worker, &flow->fds[i], flow->reset);
	}
	counter_add(&share->counters.connections_open, (uint64_t)-1);
	slab_release(&worker->tcp_flows, flow);
	worker_flow_freed(worker, share);
}

// Starts TCP_CLOSING; flow_settle() ends it.
static void flow_close(struct rk_worker *worker, struct rk_tcp_flow *flow, bool reset)
{
	if (flow->state == TCP_CLOSING)
		return;
	flow->state = TCP_CLOSING;
	flow->reset = reset;
	timer_stop(&flow->timer);
	list_remove(&flow->waiting);
	for (unsigned i = 0; i < LANE_COUNT && flow->in_flight > 0; i++)
		if (flow->fds[i] >= 0)
			ring_cancel(worker->ring, flow->fds[i], tag_make(OP_NONE, 0, 0));
}

// The last thing that every entry to this file does with a flow.
static void flow_settle(struct rk_worker *worker, struct rk_tcp_flow *flow)
{
	if (flow->state == TCP_CLOSING && flow->in_flight == 0)
		flow_free(worker, flow);
}

static void flow_fail(struct rk_worker *worker, struct rk_tcp_flow *flow, int error)
{
	struct rk_counters *counters = &flow->share->counters;

	atomic_store_explicit(&counters->last_error, error, memory_order_relaxed);
	if (flow->state != TCP_OPEN) {
		if (error == ECONNREFUSED)
			counter_add(&counters->connections_refused, 1);
		else
			counter_add(&counters->connections_failed, 1);
	}
	flow_close(worker, flow, true);
}

// --- connecting to the child

static const struct rk_addr *current_target(const struct rk_tcp_flow *flow)
{
	return &flow->share->forward.targets[flow->target];
}

// Advances to the next target that was not tried; false when all were.
static bool next_target(struct rk_tcp_flow *flow)
{
	flow->target = (uint8_t)((flow->target + 1u) % flow->share->forward.target_count);
	return ++flow->tried < flow->share->forward.target_count;
}

static void flow_connect(struct rk_worker *worker, struct rk_tcp_flow *flow)
{
	enum rk_socket_kind kind = pool_kind(SOCK_STREAM, current_target(flow)->sa.sa_family);

	timer_start(&worker->timers, &flow->timer, TIMER_CONNECT);
	flow->fds[LANE_OUT] = pool_take(&worker->pool, &worker->timers, kind);
	if (flow->fds[LANE_OUT] >= 0) {
		flow->state = TCP_CONNECTING;
		flow->in_flight++;
		ring_connect(worker->ring, flow->fds[LANE_OUT], current_target(flow),
			flow_tag(flow, OP_TCP_CONNECT));
	} else if (!worker->pool.kinds[kind].error) {
		flow->state = TCP_WAITING;
		list_append(&worker->pool.kinds[kind].waiting, &flow->waiting);
	} else if (next_target(flow)) {
		flow_connect(worker, flow);
	} else {
		flow_fail(worker, flow, worker->pool.kinds[kind].error);
	}
}

void tcp_open(struct rk_worker *worker, struct rk_listener *listener, int fd)
{
	struct rk_share *share = listener->share;
	struct rk_tcp_flow *flow = worker_has_room(worker) ? slab_take(&worker->tcp_flows) : NULL;

	counter_add(&share->counters.connections_total, 1);
	if (!flow) {
		counter_add(&share->counters.connections_failed, 1);
		close_socket(worker, &fd, true);
		return;
	}
	flow->share = share;
	flow->fds[LANE_IN] = fd;
	flow->fds[LANE_OUT] = -1;
	flow->target = (uint8_t)share->preferred_target;
	share->flows++;
	counter_add(&share->counters.connections_open, 1);
	flow_connect(worker, flow);
	flow_settle(worker, flow);
}

void tcp_pool_filled(struct rk_worker *worker, enum rk_socket_kind kind)
{
	struct rk_list *waiting = &worker->pool.kinds[kind].waiting;
	struct rk_node *node;

	while ((worker->pool.kinds[kind].count > 0 || worker->pool.kinds[kind].error) &&
		(node = list_first(waiting))) {
		struct rk_tcp_flow *flow = RK_CONTAINER_OF(node, struct rk_tcp_flow, waiting);

		list_remove(node);
		flow_connect(worker, flow);
		flow_settle(worker, flow);
	}
}

void tcp_pool_starved(struct rk_worker *worker, enum rk_socket_kind kind, int error)
{
	struct rk_node *node;

	while ((node = list_first(&worker->pool.kinds[kind].waiting))) {
		struct rk_tcp_flow *flow = RK_CONTAINER_OF(node, struct rk_tcp_flow, waiting);

		flow_fail(worker, flow, error);
		flow_settle(worker, flow);
	}
}

void tcp_connect_timeout(struct rk_worker *worker, struct rk_timer *timer)
{
	struct rk_tcp_flow *flow = RK_CONTAINER_OF(timer, struct rk_tcp_flow, timer);

	flow_fail(worker, flow, ETIMEDOUT);
	flow_settle(worker, flow);
}

// --- moving bytes

static void lane_receive(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	struct rk_lane *lane = &flow->lanes[index];
	size_t room;

	if (lane->flags & (LANE_RECEIVING | LANE_STARVED | LANE_EOF))
		return;
	room = lane_room(lane, worker->stream_buffers_held);
	if (room == 0)
		return;
	lane->flags |= LANE_RECEIVING;
	flow->in_flight++;
	ring_receive(
		worker->ring, flow->fds[index], room, flow_tag(flow, receive_operation[index]));
}

// Polls the half-closed source of a lane: for a reset, and to send there (see SEND_NOW).
static void watch_source(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	if (flow->watched & 1u << index)
		return;
	flow->watched |= (uint8_t)(1u << index);
	flow->in_flight++;
	ring_poll(worker->ring, flow->fds[index], POLLOUT, flow_tag(flow, watch_operation[index]));
}

static void lane_send(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
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
		flow_tag(flow, send_operation[index]));
}

// The source ended and every byte of it was sent on: pass the end on.
static void lane_finish(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	struct rk_lane *lane = &flow->lanes[index];

	if (lane->flags & LANE_BROKEN) {
		flow_close(worker, flow, true);
		return;
	}
	lane->flags |= LANE_DONE;
	if (flow->lanes[!index].flags & LANE_DONE) {
		flow_close(worker, flow, false);
		return;
	}
	// Not through the ring: io_uring gives every shutdown to a kernel thread (Linux 6.18), and
	// the call never blocks. A failure shows in the next receive.
	shutdown(flow->fds[!index], SHUT_WR);
	timer_start(&worker->timers, &flow->timer, TIMER_HALF_CLOSED);
}

static void lane_ended(
	struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, int error)
{
	struct rk_lane *lane = &flow->lanes[index];

	lane->flags |= LANE_EOF;
	if (error) {
		lane->flags |= LANE_BROKEN;
		atomic_store_explicit(
			&flow->share->counters.last_error, error, memory_order_relaxed);
	}
	if (lane->bytes == 0)
		lane_finish(worker, flow, index);
}

static void receive_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct rk_completion *completion)
{
	struct rk_lane *lane = &flow->lanes[index];
	int result = completion->result;

	if (!(completion->flags & RING_MORE)) {
		lane->flags &= (uint8_t)~LANE_RECEIVING;
		flow->in_flight--;
	}
	if (flow->state == TCP_CLOSING) {
		if (completion->flags & RING_BUFFER)
			lane_discard(worker->ring, completion->buffer, (uint32_t)result);
		return;
	}
	if (result > 0) {
		if (lane_push(lane, worker->ring, completion->buffer, (uint32_t)result,
			    &worker->stream_buffers_held) < 0) {
			flow_fail(worker, flow, ENOBUFS);
			return;
		}
		lane_send(worker, flow, index);
		lane_receive(worker, flow, index);
	} else if (result == -ENOBUFS) {
		lane->flags |= LANE_STARVED;
		if (!node_is_linked(&flow->waiting))
			list_append(&worker->starved, &flow->waiting);
	} else {
		lane_ended(worker, flow, index, -result);
	}
}

static void send_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct rk_completion *completion)
{
	struct rk_counters *counters = &flow->share->counters;
	struct rk_lane *lane = &flow->lanes[index];

	lane->flags &= (uint8_t)~LANE_SENDING;
	flow->in_flight--;
	if (flow->state == TCP_CLOSING)
		return;
	if (completion->result == -EAGAIN) {
		lane->flags |= LANE_BLOCKED;
		watch_source(worker, flow, !index);
		return;
	}
	if (completion->result < 0) {
		flow_fail(worker, flow, -completion->result);
		return;
	}
	counter_add(index == LANE_IN ? &counters->bytes_in : &counters->bytes_out,
		(uint64_t)completion->result);
	lane_pop(lane, worker->ring, (uint32_t)completion->result, &worker->stream_buffers_held);
	if (lane->bytes > 0)
		lane_send(worker, flow, index);
	else if (lane->flags & LANE_EOF)
		lane_finish(worker, flow, index);
	if (flow->state == TCP_OPEN)
		lane_receive(worker, flow, index);
}

static void connect_complete(
	struct rk_worker *worker, struct rk_tcp_flow *flow, const struct rk_completion *completion)
{
	flow->in_flight--;
	if (flow->state == TCP_CLOSING)
		return;
	if (completion->result < 0) {
		close_socket(worker, &flow->fds[LANE_OUT], false);
		if (next_target(flow))
			flow_connect(worker, flow);
		else
			flow_fail(worker, flow, -completion->result);
		return;
	}
	flow->share->preferred_target = flow->target;
	flow->state = TCP_OPEN;
	timer_stop(&flow->timer);
	lane_receive(worker, flow, LANE_IN);
	lane_receive(worker, flow, LANE_OUT);
}

void tcp_buffers_free(struct rk_worker *worker)
{
	struct rk_node *node;

	while (worker->stream_buffers_held < STREAM_BUFFER_COUNT &&
		(node = list_first(&worker->starved))) {
		struct rk_tcp_flow *flow = RK_CONTAINER_OF(node, struct rk_tcp_flow, waiting);

		list_remove(node);
		for (unsigned i = 0; i < LANE_COUNT; i++) {
			if (!(flow->lanes[i].flags & LANE_STARVED))
				continue;
			flow->lanes[i].flags &= (uint8_t)~LANE_STARVED;
			lane_receive(worker, flow, i);
		}
	}
}

// --- half-closed flows

void tcp_half_closed_timeout(struct rk_worker *worker, struct rk_timer *timer)
{
	struct rk_tcp_flow *flow = RK_CONTAINER_OF(timer, struct rk_tcp_flow, timer);

	for (unsigned i = 0; i < LANE_COUNT; i++)
		if (flow->lanes[i].flags & LANE_EOF)
			watch_source(worker, flow, i);
}

static void watch_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct rk_completion *completion)
{
	struct rk_lane *back = &flow->lanes[!index];

	if (!(completion->flags & RING_MORE)) {
		flow->watched &= (uint8_t) ~(1u << index);
		flow->in_flight--;
	}
	if (flow->state == TCP_CLOSING)
		return;
	if (completion->result < 0 || completion->result & (POLLERR | POLLHUP)) {
		flow_fail(worker, flow, ECONNRESET);
		return;
	}
	if (!(completion->flags & RING_MORE))
		watch_source(worker, flow, index);
	if (back->flags & LANE_BLOCKED && completion->result & POLLOUT) {
		back->flags &= (uint8_t)~LANE_BLOCKED;
		lane_send(worker, flow, !index);
	}
}

void tcp_complete(struct rk_worker *worker, const struct rk_completion *completion)
{
	struct rk_tcp_flow *flow = slab_get(
		&worker->tcp_flows, tag_slot(completion->tag), tag_generation(completion->tag));
	uint8_t operation = tag_operation(completion->tag);

	if (!flow) {
		worker->stale_completions++;
		return;
	}
	switch (operation) {
	case OP_TCP_CONNECT:
		connect_complete(worker, flow, completion);
		break;
	case OP_TCP_RECEIVE_IN:
	case OP_TCP_RECEIVE_OUT:
		receive_complete(worker, flow, operation == OP_TCP_RECEIVE_OUT, completion);
		break;
	case OP_TCP_SEND_IN:
	case OP_TCP_SEND_OUT:
		send_complete(worker, flow, operation == OP_TCP_SEND_OUT, completion);
		break;
	case OP_TCP_WATCH_IN:
	case OP_TCP_WATCH_OUT:
		watch_complete(worker, flow, operation == OP_TCP_WATCH_OUT, completion);
		break;
	}
	flow_settle(worker, flow);
}

void tcp_reset_all(struct rk_worker *worker)
{
	for (uint32_t i = 0; i < worker->tcp_flows.touched; i++) {
		struct rk_slot *slot = slab_at(&worker->tcp_flows, i);

		if (!(slot->generation & 1u))
			continue;
		flow_close(worker, (struct rk_tcp_flow *)slot, true);
		flow_settle(worker, (struct rk_tcp_flow *)slot);
	}
}
