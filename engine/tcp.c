// tcp.c: the life of a TCP flow (see the state picture in tcp.h).

#include "engine/tcp.h"

#include "engine/listener.h"
#include "engine/proxy_header.h"

#include <errno.h>
#include <poll.h>

static const uint8_t receive_operation[LANE_COUNT] = {OP_TCP_RECEIVE_IN, OP_TCP_RECEIVE_OUT};
static const uint8_t send_operation[LANE_COUNT] = {OP_TCP_SEND_IN, OP_TCP_SEND_OUT};
static const uint8_t watch_operation[LANE_COUNT] = {OP_TCP_WATCH_IN, OP_TCP_WATCH_OUT};

// Flows that wait for buffers get them in turns, so few and so little at a time that all of a turn
// find some: a receive may bring twice what it was given, and a flow has two lanes.
#define STARVED_BYTES ((size_t)STREAM_BUFFER_SIZE)
#define STARVED_FLOWS (STREAM_BUFFER_READY / 4)

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
	count_add(&share->counters, COUNT_OPEN, (uint64_t)-1);
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

static void flow_note_error(struct rk_worker *worker, const struct rk_tcp_flow *flow,
	enum rk_error_phase phase, int error)
{
	error_record_write(&flow->share->error, phase, error,
		addr_port(&flow->client) ? &flow->client : NULL, worker->timers.now_ms);
}

// It never reached a target.
static void count_failure(struct rk_worker *worker, const struct rk_tcp_flow *flow,
	enum rk_error_phase phase, int error)
{
	struct rk_counters *counters = &flow->share->counters;

	count_one(counters, error == ECONNREFUSED ? COUNT_REFUSED : COUNT_FAILED);
	if (error == ETIMEDOUT)
		count_one(counters, COUNT_TIMED_OUT);
	if (phase == ERROR_CONNECT)
		worker_reached(worker, flow->share, false);
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

static void flow_fail(
	struct rk_worker *worker, struct rk_tcp_flow *flow, enum rk_error_phase phase, int error)
{
	flow_note_error(worker, flow, phase, error);
	if (flow->state != TCP_OPEN)
		count_failure(worker, flow, phase, error);
	flow_close(worker, flow, true);
}

// True when the client's descriptor was none: then it is not ours to close.
static bool flow_drop_bogus(struct rk_worker *worker, struct rk_tcp_flow *flow, int error)
{
	if (error != EBADF && error != ENOTSOCK)
		return false;
	flow->fds[LANE_IN] = -1;
	listener_accept_singly(worker);
	return true;
}

// --- connecting to the child

// One try at the current target. 0: connecting, or waiting for a socket; else -errno.
static int try_target(struct rk_worker *worker, struct rk_tcp_flow *flow)
{
	struct rk_addr target;
	enum rk_socket_kind kind;
	int result;

	if (!route_refresh(&flow->route, flow->share, &flow->client))
		return -EADDRNOTAVAIL;
	target = flow->target = route_target(&flow->route, flow->share);
	kind = pool_kind(SOCK_STREAM, target.sa.sa_family);

	flow->fds[LANE_OUT] = pool_take(&worker->pool, &worker->timers, kind);
	if (flow->fds[LANE_OUT] < 0 && worker->pool.kinds[kind].error)
		return -worker->pool.kinds[kind].error;
	if (flow->fds[LANE_OUT] < 0) {
		flow->state = TCP_WAITING;
		count_one(&flow->share->counters, COUNT_SOCKET_WAITS);
		list_append(&worker->pool.kinds[kind].waiting, &flow->waiting);
		return 0;
	}
	result = keepalive_apply(&flow->share->keepalive, flow->fds[LANE_OUT]);
	if (result == 0)
		result = route_bind(&flow->route, flow->fds[LANE_OUT], &flow->client);
	if (result < 0) {
		close_socket(worker, &flow->fds[LANE_OUT], false);
		return result;
	}
	flow->state = TCP_CONNECTING;
	flow->in_flight++;
	ring_connect(worker->ring, flow->fds[LANE_OUT], &target, flow_tag(flow, OP_TCP_CONNECT));
	return 0;
}

static void flow_connect(struct rk_worker *worker, struct rk_tcp_flow *flow)
{
	int result;

	timer_start(&worker->timers, &flow->timer, TIMER_CONNECT);
	do {
		result = try_target(worker, flow);
	} while (result < 0 && route_retry(&flow->route, flow->share, -result));
	if (result < 0)
		flow_fail(worker, flow, ERROR_CONNECT, -result);
}

// Finds out who the client is, and so where its flow leads. 0 or -errno.
static int flow_route(
	struct rk_worker *worker, struct rk_tcp_flow *flow, const struct rk_listener *listener)
{
	const struct rk_share *share = listener->share;
	socklen_t length = sizeof(flow->client);

	if (getpeername(flow->fds[LANE_IN], &flow->client.sa, &length) < 0) {
		flow->client = listener->addr; // its family
		addr_set_port(&flow->client, 0);
		if (share->forward.source_ip != SOURCE_IP_OFF)
			return -errno;
	}
	return route_start(worker, &flow->route, listener, &flow->client) ? 0 : -EADDRNOTAVAIL;
}

void tcp_open(struct rk_worker *worker, struct rk_listener *listener, int fd)
{
	struct rk_share *share = listener->share;
	struct rk_tcp_flow *flow = worker_has_room(worker) ? slab_take(&worker->tcp_flows) : NULL;
	int result;

	count_one(&share->counters, COUNT_TOTAL);
	if (!flow) {
		count_one(&share->counters, COUNT_FAILED);
		close_socket(worker, &fd, true);
		return;
	}
	flow->share = share;
	flow->fds[LANE_IN] = fd;
	flow->fds[LANE_OUT] = -1;
	share->flows++;
	flow->started_ms = flow->active_ms = worker->timers.now_ms;
	count_one(&share->counters, COUNT_OPEN);
	result = flow_route(worker, flow, listener);
	if (result == 0) {
		flow_connect(worker, flow);
	} else {
		flow_drop_bogus(worker, flow, -result);
		flow_fail(worker, flow, ERROR_ACCEPT, -result);
	}
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

		flow_fail(worker, flow, ERROR_SOCKET, error);
		flow_settle(worker, flow);
	}
}

void tcp_connect_timeout(struct rk_worker *worker, struct rk_timer *timer)
{
	struct rk_tcp_flow *flow = RK_CONTAINER_OF(timer, struct rk_tcp_flow, timer);

	flow_fail(
		worker, flow, flow->state == TCP_WAITING ? ERROR_SOCKET : ERROR_CONNECT, ETIMEDOUT);
	flow_settle(worker, flow);
}

// --- moving bytes

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
		flow_tag(flow, receive_operation[index]));
}

static void lane_starve(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	flow->lanes[index].flags |= LANE_STARVED;
	if (!node_is_linked(&flow->waiting))
		list_append(&worker->starved, &flow->waiting);
}

// While flows wait for buffers everybody queues behind them: a few that receive without a pause
// would take all that one turn has, each turn anew.
static void lane_receive(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	const struct rk_lane *lane = &flow->lanes[index];

	if (lane->flags & (LANE_RECEIVING | LANE_EOF))
		return;
	if (list_first(&worker->starved))
		lane_starve(worker, flow, index);
	else
		lane_receive_some(worker, flow, index, LANE_LIMIT);
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
	// the call never blocks. ENOTCONN: a reset, which shows in the next receive. After any
	// other failure the end would never arrive.
	if (shutdown(flow->fds[!index], SHUT_WR) < 0 && errno != ENOTCONN) {
		flow_fail(worker, flow, index == LANE_IN ? ERROR_TO_CHILD : ERROR_TO_CLIENT, errno);
		return;
	}
	timer_start(&worker->timers, &flow->timer, TIMER_HALF_CLOSED);
}

static void lane_ended(
	struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, int error)
{
	struct rk_lane *lane = &flow->lanes[index];

	lane->flags |= LANE_EOF;
	if (error) {
		lane->flags |= LANE_BROKEN;
		count_reset(flow, index, error);
		flow_note_error(worker, flow,
			index == LANE_IN ? ERROR_FROM_CLIENT : ERROR_FROM_CHILD, error);
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
		flow->active_ms = worker->timers.now_ms;
		if (lane_push(lane, worker->ring, completion->buffer, (uint32_t)result,
			    &worker->stream_buffers_held) < 0) {
			flow_fail(worker, flow,
				index == LANE_IN ? ERROR_FROM_CLIENT : ERROR_FROM_CHILD, ENOBUFS);
			return;
		}
		lane_send(worker, flow, index);
		lane_receive(worker, flow, index);
	} else if (result == -ENOBUFS) {
		count_one(&flow->share->counters, COUNT_BUFFER_WAITS);
		lane_starve(worker, flow, index);
	} else if (index == LANE_IN && flow_drop_bogus(worker, flow, -result)) {
		flow_fail(worker, flow, ERROR_ACCEPT, -result);
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
		count_reset(flow, !index, -completion->result);
		flow_fail(worker, flow, index == LANE_IN ? ERROR_TO_CHILD : ERROR_TO_CLIENT,
			-completion->result);
		return;
	}
	count_add(counters, index == LANE_IN ? COUNT_BYTES_IN : COUNT_BYTES_OUT,
		(uint64_t)completion->result);
	flow->bytes[index] += (uint64_t)completion->result;
	flow->active_ms = worker->timers.now_ms;
	lane_pop(lane, worker->ring, (uint32_t)completion->result, &worker->stream_buffers_held);
	if (lane->bytes > 0)
		lane_send(worker, flow, index);
	else if (lane->flags & LANE_EOF)
		lane_finish(worker, flow, index);
	if (flow->state == TCP_OPEN)
		lane_receive(worker, flow, index);
}

// To a server that expects it, before the client's first byte. 0 or -errno.
static int send_proxy_header(const struct rk_tcp_flow *flow)
{
	unsigned char header[PROXY_HEADER_MAX];
	struct rk_addr client, server;
	socklen_t client_length = sizeof(client), server_length = sizeof(server);
	size_t length;
	ssize_t sent;

	if (getpeername(flow->fds[LANE_IN], &client.sa, &client_length) < 0 ||
		getsockname(flow->fds[LANE_IN], &server.sa, &server_length) < 0)
		return -errno;
	length = proxy_header_write(header, flow->share->forward.proxy_protocol, &client, &server);
	// A connection that has sent nothing yet has room for it.
	sent = send(flow->fds[LANE_OUT], header, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	return (size_t)sent == length ? 0 : -ENOBUFS;
}

static void connect_failed(struct rk_worker *worker, struct rk_tcp_flow *flow, int error)
{
	close_socket(worker, &flow->fds[LANE_OUT], false);
	if (route_retry(&flow->route, flow->share, error))
		flow_connect(worker, flow);
	else
		flow_fail(worker, flow, ERROR_CONNECT, error);
}

static void connect_complete(
	struct rk_worker *worker, struct rk_tcp_flow *flow, const struct rk_completion *completion)
{
	int result = 0;

	flow->in_flight--;
	if (flow->state == TCP_CLOSING)
		return;
	if (completion->result < 0) {
		connect_failed(worker, flow, -completion->result);
		return;
	}
	if (flow->share->forward.proxy_protocol != PROXY_PROTOCOL_OFF)
		result = send_proxy_header(flow);
	if (result < 0) {
		flow_fail(worker, flow, ERROR_TO_CHILD, -result);
		return;
	}
	route_remember(&flow->route, flow->share);
	route_count(worker, &flow->route, flow->share);
	worker_reached(worker, flow->share, true);
	flow->state = TCP_OPEN;
	timer_stop(&flow->timer);
	lane_receive(worker, flow, LANE_IN);
	lane_receive(worker, flow, LANE_OUT);
}

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
			flow->lanes[lane].flags &= (uint8_t)~LANE_STARVED;
			lane_receive_some(worker, flow, lane, STARVED_BYTES);
		}
	}
}

bool tcp_buffers_wanted(const struct rk_worker *worker)
{
	return list_first(&worker->starved) && worker->stream_buffers_held < STREAM_BUFFER_COUNT;
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
		count_reset(flow, index, ECONNRESET);
		flow_fail(worker, flow, index == LANE_IN ? ERROR_FROM_CLIENT : ERROR_FROM_CHILD,
			ECONNRESET);
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
