// udp_child.c: the child's side of UDP flows: a socket connected to the target, what is sent there,
// what comes back, and the next target when nobody listens on one.

#include "engine/udp_internal.h"

#include <errno.h>

void udp_send_to_child(struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer,
	uint32_t offset, uint32_t length)
{
	unsigned char *data = ring_buffer_data(worker->ring, RING_POOL_DATAGRAM, buffer);
	struct iovec iov = {data + offset, length};

	worker->udp_table->sending[buffer] = (struct rk_udp_sending){
		.flow = flow->slot.index, .offset = offset, .length = length};
	flow->in_flight++;
	ring_send(worker->ring, flow->fd, &iov, 1, SEND_ALL,
		tag_make(OP_UDP_SEND, flow->slot.generation, buffer));
}

void udp_receive_from_child(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	flow->receiving = true;
	flow->in_flight++;
	ring_receive_datagram(worker->ring, flow->fd, udp_tag(flow, OP_UDP_RECEIVE));
}

// --- connecting to the child

// One try at the current target. 0: open, or waiting for a socket; else -errno.
static int try_target(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	const struct rk_share *share = flow->listener->share;
	struct rk_addr target;
	enum rk_socket_kind kind;
	int result;

	if (!route_refresh(&flow->route, share, &flow->client))
		return -EADDRNOTAVAIL;
	target = flow->target = route_target(&flow->route, share);
	kind = pool_kind(SOCK_DGRAM, target.sa.sa_family);

	flow->fd = pool_take(&worker->pool, &worker->timers, kind);
	if (flow->fd < 0 && worker->pool.kinds[kind].error)
		return -worker->pool.kinds[kind].error;
	if (flow->fd < 0) {
		flow->state = UDP_WAITING;
		count_one(udp_counters(flow), COUNT_SOCKET_WAITS);
		list_append(&worker->pool.kinds[kind].waiting, &flow->waiting);
		return 0;
	}
	result = route_bind(&flow->route, flow->fd, &flow->client);
	// Connecting a datagram socket only looks a route up: it does not block.
	if (result == 0 && connect(flow->fd, &target.sa, addr_length(&target)) < 0)
		result = -errno;
	if (result == 0) {
		flow->state = UDP_OPEN;
		flow->sent = false;
		return 0;
	}
	ring_close_fd(worker->ring, flow->fd, tag_make(OP_NONE, 0, 0));
	flow->fd = -1;
	return result;
}

bool udp_connect_flow(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	struct rk_share *share = flow->listener->share;
	int result;

	do {
		result = try_target(worker, flow);
	} while (result < 0 && route_retry(worker, &flow->route, share, -result));
	if (result < 0) {
		udp_fail_flow(worker, flow, ERROR_CONNECT, -result);
		return false;
	}
	if (flow->fd < 0)
		return false;
	route_count(worker, &flow->route, share);
	udp_receive_from_child(worker, flow);
	return true;
}

static void send_first(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	if (!flow->first.held)
		return;
	flow->first.held = false;
	worker->udp_table->firsts--;
	udp_send_to_child(worker, flow, flow->first.buffer, flow->first.offset, flow->first.length);
}

void udp_pool_filled(struct rk_worker *worker, enum rk_socket_kind kind)
{
	struct rk_list *waiting = &worker->pool.kinds[kind].waiting;
	struct rk_node *node;

	while ((worker->pool.kinds[kind].count > 0 || worker->pool.kinds[kind].error) &&
		(node = list_first(waiting))) {
		struct rk_udp_flow *flow = RK_CONTAINER_OF(node, struct rk_udp_flow, waiting);

		list_remove(node);
		if (udp_connect_flow(worker, flow))
			send_first(worker, flow);
		udp_settle_flow(worker, flow);
	}
}

// --- answers, and refusals

// The child refused: nobody listens on that target. Tries the next one with the kept datagram as
// long as no target ever answered this flow. After the last one the flow ends, so that the client's
// next datagram starts anew.
static void flow_refused(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	struct rk_share *share = flow->listener->share;

	udp_note_error(worker, flow, ERROR_CONNECT, ECONNREFUSED);
	count_one(&share->counters, COUNT_REFUSED);
	// It may wait for a buffer: what follows receives anew, or waits for something else.
	list_remove(&flow->waiting);
	// The port leads elsewhere now, and whom this flow talked to is gone.
	if (flow->answered && route_is_stale(&flow->route, share)) {
		udp_close_flow(worker, flow);
		return;
	}
	if (flow->answered || flow->in_flight > 0) {
		if (!flow->receiving)
			udp_receive_from_child(worker, flow);
		return;
	}
	if (!route_retry(worker, &flow->route, share, ECONNREFUSED)) {
		worker_reached(worker, share, false);
		udp_close_flow(worker, flow);
		return;
	}
	ring_close_fd(worker->ring, flow->fd, tag_make(OP_NONE, 0, 0));
	flow->fd = -1;
	if (udp_connect_flow(worker, flow))
		send_first(worker, flow);
}

static void flow_answered(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	timer_start(&worker->timers, &flow->timer, TIMER_UDP_IDLE);
	if (flow->answered)
		return;
	flow->answered = true;
	worker_reached(worker, flow->listener->share, true);
	route_remember(&flow->route, flow->listener->share);
	udp_release_first(worker, flow);
}

static void child_datagram(
	struct rk_worker *worker, struct rk_udp_flow *flow, const struct rk_completion *completion)
{
	flow->overdue = false;
	flow_answered(worker, flow);
	if (completion->flags & RING_BUFFER)
		udp_send_to_client(worker, flow, completion->buffer, (uint32_t)completion->result);
	else
		udp_send_empty_to_client(worker, flow);
}

static void child_receive_ended(struct rk_worker *worker, struct rk_udp_flow *flow, int result)
{
	if (result == -ECONNREFUSED) {
		flow_refused(worker, flow);
	} else if (result == -ENOBUFS) {
		count_one(udp_counters(flow), COUNT_BUFFER_WAITS);
		list_append(
			flow->overdue ? &worker->udp_table->overdue : &worker->udp_table->starved,
			&flow->waiting);
	} else if (result < 0) {
		udp_fail_flow(worker, flow, ERROR_FROM_CHILD, -result);
	} else {
		udp_receive_from_child(worker, flow);
	}
}

void udp_receive_complete(struct rk_worker *worker, const struct rk_completion *completion)
{
	struct rk_udp_flow *flow = slab_get(
		&worker->udp_flows, tag_slot(completion->tag), tag_generation(completion->tag));

	if (!flow) {
		worker->stale_completions++;
		if (completion->flags & RING_BUFFER)
			udp_release_buffer(worker, completion->buffer);
		return;
	}
	if (!(completion->flags & RING_MORE)) {
		flow->receiving = false;
		flow->in_flight--;
	}
	if (flow->state == UDP_CLOSING) {
		if (completion->flags & RING_BUFFER)
			udp_release_buffer(worker, completion->buffer);
	} else {
		if (completion->result >= 0)
			child_datagram(worker, flow, completion);
		if (!(completion->flags & RING_MORE))
			child_receive_ended(worker, flow, completion->result);
	}
	udp_settle_flow(worker, flow);
}

void udp_child_sent(struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer,
	const struct rk_udp_sending *sending, int result)
{
	bool may_retry = !flow->answered && route_has_next(&flow->route, flow->listener->share);

	if (flow->state == UDP_OPEN && may_retry)
		udp_keep_first(worker, flow, buffer, sending->offset, sending->length);
	else
		udp_release_buffer(worker, buffer);
	if (flow->state == UDP_OPEN && result == -ECONNREFUSED && !flow->receiving)
		flow_refused(worker, flow);
}
