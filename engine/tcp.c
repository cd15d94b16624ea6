// tcp.c: the life of a TCP flow, from the accepted client to the closed sockets (see the state
// picture in tcp.h). What happens to its bytes in between is in tcp_move.c.

#include "engine/listener.h"
#include "engine/proxy_header.h"
#include "engine/tcp_internal.h"

#include <errno.h>

// What a call says of the number of a descriptor that an accept made up.
static bool is_bogus(int error)
{
	return error == EBADF || error == ENOTSOCK;
}

// False: `fd` is no socket.
static bool reset_on_close(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0 ||
	       !is_bogus(errno);
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

// It has reached its target, or never will. Its listener may accept the next client.
static void end_pending(struct rk_worker *worker, struct rk_tcp_flow *flow)
{
	struct rk_listener *listener = flow->pending_at;

	flow->pending_at = NULL;
	if (listener)
		listener_pending_ended(worker, listener);
}

// Each operation by its name: all of a descriptor would be looked for among those of every flow,
// which took seconds when thousands of clients left at once.
static void cancel(
	struct rk_worker *worker, const struct rk_tcp_flow *flow, unsigned side, uint64_t operation)
{
	if (flow->fds[side] >= 0)
		ring_cancel_one(worker->ring, flow->fds[side], operation, tag_make(OP_NONE, 0, 0));
}

// Starts TCP_CLOSING; tcp_settle_flow() ends it.
void tcp_close_flow(struct rk_worker *worker, struct rk_tcp_flow *flow, bool reset)
{
	bool connecting = flow->state == TCP_CONNECTING;

	if (flow->state == TCP_CLOSING)
		return;
	flow->state = TCP_CLOSING;
	flow->reset = reset;
	end_pending(worker, flow);
	timer_stop(&flow->timer);
	timer_stop(&flow->patience);
	list_remove(&flow->waiting);
	list_remove(&flow->ready);
	for (unsigned i = 0; i < LANE_COUNT; i++)
		tcp_splice_release(worker, &flow->lanes[i]);
	if (connecting)
		cancel(worker, flow, LANE_OUT, tcp_tag(flow, OP_TCP_CONNECT));
	for (unsigned i = 0; i < LANE_COUNT; i++) {
		if (flow->lanes[i].flags & LANE_RECEIVING)
			cancel(worker, flow, i, tcp_lane_tag(flow, OP_TCP_RECEIVE_IN, i));
		if (flow->lanes[i].flags & LANE_SENDING)
			cancel(worker, flow, !i, tcp_lane_tag(flow, OP_TCP_SEND_IN, i));
		if (flow->watched & 1u << i)
			cancel(worker, flow, i, tcp_lane_tag(flow, OP_TCP_WATCH_IN, i));
	}
}

void tcp_settle_flow(struct rk_worker *worker, struct rk_tcp_flow *flow)
{
	if (flow->state == TCP_CLOSING && flow->in_flight == 0)
		flow_free(worker, flow);
}

void tcp_note_error(struct rk_worker *worker, const struct rk_tcp_flow *flow,
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

void tcp_fail_flow(
	struct rk_worker *worker, struct rk_tcp_flow *flow, enum rk_error_phase phase, int error)
{
	tcp_note_error(worker, flow, phase, error);
	if (flow->state != TCP_OPEN)
		count_failure(worker, flow, phase, error);
	tcp_close_flow(worker, flow, true);
}

// True when the client's descriptor was none: then it is not ours to close.
bool tcp_drop_bogus_client(struct rk_worker *worker, struct rk_tcp_flow *flow, int error)
{
	if (!is_bogus(error))
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
	if (untracked_begin(
		    worker, &flow->route, flow->share, flow->fds[LANE_OUT], &target, &flow->client))
		timer_start(&worker->timers, &flow->patience, TIMER_UNTRACKED);
	flow->state = TCP_CONNECTING;
	flow->in_flight++;
	ring_connect(worker->ring, flow->fds[LANE_OUT], &target, tcp_tag(flow, OP_TCP_CONNECT));
	return 0;
}

static void flow_connect(struct rk_worker *worker, struct rk_tcp_flow *flow)
{
	int result;

	do {
		result = try_target(worker, flow);
	} while (result < 0 && route_retry(worker, &flow->route, flow->share, -result));
	if (result < 0)
		tcp_fail_flow(worker, flow, ERROR_CONNECT, -result);
}

// Finds out who the client is, and so where its flow leads. 0 or -errno.
static int flow_route(
	struct rk_worker *worker, struct rk_tcp_flow *flow, const struct rk_listener *listener)
{
	const struct rk_share *share = listener->share;
	socklen_t length = sizeof(flow->client);

	if (getpeername(flow->fds[LANE_IN], &flow->client.sa, &length) < 0) {
		int error = errno;

		flow->client = listener->addr; // its family
		addr_set_port(&flow->client, 0);
		// A bogus one must not live until a failure closes it.
		if (share->forward.source_ip != SOURCE_IP_OFF || is_bogus(error))
			return -error;
	}
	return route_start(worker, &flow->route, listener, &flow->client) ? 0 : -EADDRNOTAVAIL;
}

void tcp_refuse(struct rk_worker *worker, struct rk_share *share, int fd)
{
	count_one(&share->counters, COUNT_TOTAL);
	count_one(&share->counters, COUNT_FAILED);
	if (reset_on_close(fd))
		close_socket(worker, &fd, false);
	else
		listener_accept_singly(worker);
}

static bool is_socket(int fd)
{
	int type;
	socklen_t length = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 || !is_bogus(errno);
}

void tcp_open(struct rk_worker *worker, struct rk_listener *listener, int fd)
{
	struct rk_share *share = listener->share;
	struct rk_tcp_flow *flow = worker_has_room(worker) ? slab_take(&worker->tcp_flows) : NULL;
	int result;

	if (!flow) {
		if (!is_socket(fd) || !listener_park(listener, fd))
			tcp_refuse(worker, share, fd);
		return;
	}
	count_one(&share->counters, COUNT_TOTAL);
	flow->share = share;
	flow->fds[LANE_IN] = fd;
	flow->fds[LANE_OUT] = -1;
	share->flows++;
	flow->started_ms = flow->active_ms = worker->timers.now_ms;
	count_one(&share->counters, COUNT_OPEN);
	flow->pending_at = listener;
	listener_pending_began(listener);
	// Once: it covers the wait for a socket and all tries.
	timer_start(&worker->timers, &flow->timer, TIMER_CONNECT);
	result = flow_route(worker, flow, listener);
	if (result == 0) {
		flow_connect(worker, flow);
	} else {
		tcp_drop_bogus_client(worker, flow, -result);
		tcp_fail_flow(worker, flow, ERROR_ACCEPT, -result);
	}
	tcp_settle_flow(worker, flow);
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
		tcp_settle_flow(worker, flow);
	}
}

void tcp_pool_starved(struct rk_worker *worker, enum rk_socket_kind kind, int error)
{
	struct rk_node *node;

	while ((node = list_first(&worker->pool.kinds[kind].waiting))) {
		struct rk_tcp_flow *flow = RK_CONTAINER_OF(node, struct rk_tcp_flow, waiting);

		tcp_fail_flow(worker, flow, ERROR_SOCKET, error);
		tcp_settle_flow(worker, flow);
	}
}

void tcp_connect_timeout(struct rk_worker *worker, struct rk_timer *timer)
{
	struct rk_tcp_flow *flow = RK_CONTAINER_OF(timer, struct rk_tcp_flow, timer);

	if (flow->state == TCP_CONNECTING && flow->route.untracked)
		untracked_failed(worker, &flow->route, flow->share, ETIMEDOUT);
	tcp_fail_flow(
		worker, flow, flow->state == TCP_WAITING ? ERROR_SOCKET : ERROR_CONNECT, ETIMEDOUT);
	tcp_settle_flow(worker, flow);
}

// The cancelled connect fails, and the route has another way to the same target.
void tcp_untracked_timeout(struct rk_worker *worker, struct rk_timer *patience)
{
	struct rk_tcp_flow *flow = RK_CONTAINER_OF(patience, struct rk_tcp_flow, patience);

	cancel(worker, flow, LANE_OUT, tcp_tag(flow, OP_TCP_CONNECT));
}

// To a server that expects it, before the client's first byte. 0 or -errno.
static int send_proxy_header(const struct rk_tcp_flow *flow)
{
	unsigned char header[PROXY_HEADER_MAX];
	struct rk_addr server;
	socklen_t server_length = sizeof(server);
	size_t length;
	ssize_t sent;

	if (addr_port(&flow->client) == 0)
		return -ENOTCONN;
	if (getsockname(flow->fds[LANE_IN], &server.sa, &server_length) < 0)
		return -errno;
	length = proxy_header_write(
		header, flow->share->forward.proxy_protocol, &flow->client, &server);
	// A connection that has sent nothing yet has room for it.
	sent = send(flow->fds[LANE_OUT], header, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	return (size_t)sent == length ? 0 : -ENOBUFS;
}

static void connect_failed(struct rk_worker *worker, struct rk_tcp_flow *flow, int error)
{
	// Until it is closed it would keep the client's port from the next.
	if (flow->route.untracked)
		addr_disconnect(flow->fds[LANE_OUT]);
	close_socket(worker, &flow->fds[LANE_OUT], false);
	if (route_retry(worker, &flow->route, flow->share, error))
		flow_connect(worker, flow);
	else
		tcp_fail_flow(worker, flow, ERROR_CONNECT, error);
}

static void connect_complete(
	struct rk_worker *worker, struct rk_tcp_flow *flow, const struct rk_completion *completion)
{
	int result = 0;

	flow->in_flight--;
	timer_stop(&flow->patience);
	if (flow->state == TCP_CLOSING)
		return;
	if (completion->result < 0) {
		connect_failed(worker, flow, -completion->result);
		return;
	}
	if (flow->share->forward.proxy_protocol != PROXY_PROTOCOL_OFF)
		result = send_proxy_header(flow);
	if (result < 0) {
		tcp_fail_flow(worker, flow, ERROR_TO_CHILD, -result);
		return;
	}
	route_remember(&flow->route, flow->share);
	if (flow->route.untracked) {
		untracked_answered(&flow->route, flow->share);
		count_one(&flow->share->counters, COUNT_UNTRACKED);
	}
	route_count(worker, &flow->route, flow->share);
	worker_reached(worker, flow->share, true);
	flow->state = TCP_OPEN;
	end_pending(worker, flow);
	timer_stop(&flow->timer);
	tcp_start_lanes(worker, flow);
}

// --- events of the worker

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
		tcp_receive_complete(worker, flow, operation == OP_TCP_RECEIVE_OUT, completion);
		break;
	case OP_TCP_SEND_IN:
	case OP_TCP_SEND_OUT:
		tcp_send_complete(worker, flow, operation == OP_TCP_SEND_OUT, completion);
		break;
	case OP_TCP_WATCH_IN:
	case OP_TCP_WATCH_OUT:
		tcp_watch_complete(worker, flow, operation == OP_TCP_WATCH_OUT, completion);
		break;
	}
	tcp_settle_flow(worker, flow);
}

void tcp_reset_all(struct rk_worker *worker)
{
	for (uint32_t i = 0; i < worker->tcp_flows.touched; i++) {
		struct rk_slot *slot = slab_at(&worker->tcp_flows, i);

		if (!(slot->generation & 1u))
			continue;
		tcp_close_flow(worker, (struct rk_tcp_flow *)slot, true);
		tcp_settle_flow(worker, (struct rk_tcp_flow *)slot);
	}
}
