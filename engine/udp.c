// udp.c: UDP flows (see the description in udp.h).

#include "engine/udp.h"

#include "engine/listener.h"
#include "engine/pktinfo.h"
#include "engine/udp_table.h"

#include <errno.h>
#include <unistd.h>

// Room for any address in front of the ancillary data, which wants 8-byte alignment.
#define NAME_SPACE 32
_Static_assert(sizeof(struct rk_addr) <= NAME_SPACE, "an address fits");

static const struct msghdr listener_shape = {
	.msg_namelen = NAME_SPACE, .msg_controllen = PKTINFO_SPACE};

static uint64_t flow_tag(const struct rk_udp_flow *flow, uint8_t operation)
{
	return tag_make(operation, flow->slot.generation, flow->slot.index);
}

static struct rk_counters *flow_counters(const struct rk_udp_flow *flow)
{
	return &flow->listener->share->counters;
}

static void release_buffer(struct rk_worker *worker, uint32_t buffer)
{
	ring_buffer_release(worker->ring, RING_POOL_DATAGRAM, buffer);
}

// --- the first datagram of a flow

// Keeps it when there is room, else it is dropped.
static void first_keep(struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer,
	uint32_t offset, uint32_t length)
{
	if (flow->first.held || worker->udp_table->firsts == UDP_FIRST_MAX) {
		release_buffer(worker, buffer);
		if (flow->state == UDP_WAITING)
			count_one(flow_counters(flow),
				flow->first.held ? COUNT_DROPPED_SOCKET : COUNT_DROPPED_BUFFER);
		return;
	}
	worker->udp_table->firsts++;
	flow->first.buffer = buffer;
	flow->first.offset = offset;
	flow->first.length = length;
	flow->first.held = true;
}

static void first_release(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	if (!flow->first.held)
		return;
	flow->first.held = false;
	worker->udp_table->firsts--;
	release_buffer(worker, flow->first.buffer);
}

// --- the end of a flow

static void flow_close(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	if (flow->state == UDP_CLOSING)
		return;
	if (flow->state == UDP_WAITING && flow->first.held)
		count_one(flow_counters(flow), COUNT_DROPPED_SOCKET);
	flow->state = UDP_CLOSING;
	timer_stop(&flow->timer);
	list_remove(&flow->waiting);
	udp_table_remove(worker, flow);
	first_release(worker, flow);
	if (flow->in_flight > 0 && flow->fd >= 0)
		ring_cancel(worker->ring, flow->fd, tag_make(OP_NONE, 0, 0));
}

// The last thing that every entry to this file does with a flow.
static void flow_settle(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	struct rk_share *share = flow->listener->share;

	if (flow->state != UDP_CLOSING || flow->in_flight > 0)
		return;
	if (flow->fd >= 0)
		ring_close_fd(worker->ring, flow->fd, tag_make(OP_NONE, 0, 0));
	count_add(&share->counters, COUNT_OPEN, (uint64_t)-1);
	slab_release(&worker->udp_flows, flow);
	worker_flow_freed(worker, share);
}

static void flow_note_error(struct rk_worker *worker, const struct rk_udp_flow *flow,
	enum rk_error_phase phase, int error)
{
	error_record_write(
		&flow->listener->share->error, phase, error, &flow->client, worker->timers.now_ms);
}

static void flow_fail(
	struct rk_worker *worker, struct rk_udp_flow *flow, enum rk_error_phase phase, int error)
{
	flow_note_error(worker, flow, phase, error);
	count_one(flow_counters(flow), COUNT_FAILED);
	if (phase == ERROR_CONNECT)
		worker_reached(worker, flow->listener->share, false);
	flow_close(worker, flow);
}

// --- sending

// The buffer's owner is the send from here on.
static void send_to_child(struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer,
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

static void send_message_to_client(
	struct rk_worker *worker, struct rk_udp_flow *flow, struct iovec *payload, uint64_t tag)
{
	struct rk_listener *listener = flow->listener;
	char control[PKTINFO_SPACE] __attribute__((aligned(8))) = {0};
	struct msghdr message = {
		.msg_name = &flow->client,
		.msg_namelen = addr_length(&flow->client),
		.msg_iov = payload,
		.msg_iovlen = 1,
		.msg_control = control,
	};

	if (listener->wildcard)
		pktinfo_write(&message, flow->client.sa.sa_family, &flow->local);
	flow->in_flight++;
	listener->sends++;
	ring_send_message(worker->ring, listener->fd, &message, tag);
}

static void send_to_client(
	struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer, uint32_t length)
{
	void *data = ring_buffer_data(worker->ring, RING_POOL_DATAGRAM, buffer);
	struct iovec payload = {data, length};

	worker->udp_table->sending[buffer] = (struct rk_udp_sending){
		.flow = flow->slot.index, .length = length, .to_client = true};
	send_message_to_client(
		worker, flow, &payload, tag_make(OP_UDP_SEND, flow->slot.generation, buffer));
}

// --- the child's side

static void child_receive(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	flow->receiving = true;
	flow->in_flight++;
	ring_receive_datagram(worker->ring, flow->fd, flow_tag(flow, OP_UDP_RECEIVE));
}

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
		count_one(flow_counters(flow), COUNT_SOCKET_WAITS);
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

// Gives the flow a socket connected to its target. False: the flow waits or failed.
static bool flow_connect(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	struct rk_share *share = flow->listener->share;
	int result;

	do {
		result = try_target(worker, flow);
	} while (result < 0 && route_retry(&flow->route, share, -result));
	if (result < 0) {
		flow_fail(worker, flow, ERROR_CONNECT, -result);
		return false;
	}
	if (flow->fd < 0)
		return false;
	route_count(worker, &flow->route, share);
	child_receive(worker, flow);
	return true;
}

static void send_first(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	if (!flow->first.held)
		return;
	flow->first.held = false;
	worker->udp_table->firsts--;
	send_to_child(worker, flow, flow->first.buffer, flow->first.offset, flow->first.length);
}

// The child refused: nobody listens on that target. Tries the next one with the kept datagram as
// long as no target ever answered this flow. After the last one the flow ends, so that the client's
// next datagram starts anew.
static void flow_refused(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	struct rk_share *share = flow->listener->share;

	flow_note_error(worker, flow, ERROR_CONNECT, ECONNREFUSED);
	count_one(&share->counters, COUNT_REFUSED);
	// The port leads elsewhere now, and whom this flow talked to is gone.
	if (flow->answered && route_is_stale(&flow->route, share)) {
		flow_close(worker, flow);
		return;
	}
	if (flow->answered || flow->in_flight > 0) {
		if (!flow->receiving)
			child_receive(worker, flow);
		return;
	}
	if (!route_retry(&flow->route, share, ECONNREFUSED)) {
		worker_reached(worker, share, false);
		flow_close(worker, flow);
		return;
	}
	ring_close_fd(worker->ring, flow->fd, tag_make(OP_NONE, 0, 0));
	flow->fd = -1;
	if (flow_connect(worker, flow))
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
	first_release(worker, flow);
}

static void child_datagram(
	struct rk_worker *worker, struct rk_udp_flow *flow, const struct rk_completion *completion)
{
	struct iovec nothing = {NULL, 0};

	flow_answered(worker, flow);
	if (completion->flags & RING_BUFFER)
		send_to_client(worker, flow, completion->buffer, (uint32_t)completion->result);
	else
		send_message_to_client(worker, flow, &nothing, flow_tag(flow, OP_UDP_SEND_EMPTY));
}

static void child_receive_ended(struct rk_worker *worker, struct rk_udp_flow *flow, int result)
{
	if (result == -ECONNREFUSED) {
		flow_refused(worker, flow);
	} else if (result == -ENOBUFS) {
		count_one(flow_counters(flow), COUNT_BUFFER_WAITS);
		list_append(&worker->udp_table->starved, &flow->waiting);
	} else if (result < 0) {
		flow_fail(worker, flow, ERROR_FROM_CHILD, -result);
	} else {
		child_receive(worker, flow);
	}
}

void udp_receive_complete(struct rk_worker *worker, const struct rk_completion *completion)
{
	struct rk_udp_flow *flow = slab_get(
		&worker->udp_flows, tag_slot(completion->tag), tag_generation(completion->tag));

	if (!flow) {
		worker->stale_completions++;
		if (completion->flags & RING_BUFFER)
			release_buffer(worker, completion->buffer);
		return;
	}
	if (!(completion->flags & RING_MORE)) {
		flow->receiving = false;
		flow->in_flight--;
	}
	if (flow->state == UDP_CLOSING) {
		if (completion->flags & RING_BUFFER)
			release_buffer(worker, completion->buffer);
	} else {
		if (completion->result >= 0)
			child_datagram(worker, flow, completion);
		if (!(completion->flags & RING_MORE))
			child_receive_ended(worker, flow, completion->result);
	}
	flow_settle(worker, flow);
}

// --- the clients' side

static struct rk_udp_flow *flow_create(
	struct rk_worker *worker, const struct rk_udp_key *key, uint32_t hash)
{
	struct rk_share *share = key->listener->share;
	struct rk_udp_flow *flow = worker_has_room(worker) ? slab_take(&worker->udp_flows) : NULL;

	count_one(&share->counters, COUNT_TOTAL);
	if (!flow) {
		count_one(&share->counters, COUNT_FAILED);
		return NULL;
	}
	count_one(&share->counters, COUNT_OPEN);
	flow->started_ms = worker->timers.now_ms;
	share->flows++;
	flow->listener = (struct rk_listener *)key->listener;
	flow->client = *key->client;
	flow->local = *key->local;
	flow->hash = hash;
	flow->fd = -1;
	udp_table_insert(worker->udp_table, flow);
	timer_start(&worker->timers, &flow->timer, TIMER_UDP_IDLE);
	if (route_start(worker, &flow->route, flow->listener, &flow->client))
		flow_connect(worker, flow);
	else
		flow_fail(worker, flow, ERROR_CONNECT, EADDRNOTAVAIL);
	return flow;
}

// Takes the buffer over.
static void client_datagram(struct rk_worker *worker, struct rk_listener *listener, uint32_t buffer,
	const struct rk_datagram *datagram)
{
	unsigned char *start = ring_buffer_data(worker->ring, RING_POOL_DATAGRAM, buffer);
	uint32_t offset = (uint32_t)((unsigned char *)datagram->payload - start);
	struct in6_pktinfo local;
	struct rk_udp_key key = {listener, datagram->source, &local};
	struct rk_udp_flow *flow;
	uint32_t hash;

	pktinfo_read(datagram->control, datagram->control_length, &local);
	hash = udp_table_hash(worker->udp_table, &key);
	flow = udp_table_find(worker, &key, hash);
	// A client that never pauses must not hold on to the target that the port had before.
	if (flow && !route_is_stale(&flow->route, listener->share))
		timer_start(&worker->timers, &flow->timer, TIMER_UDP_IDLE);
	if (!flow)
		flow = flow_create(worker, &key, hash);
	if (flow && flow->state == UDP_OPEN) {
		send_to_child(worker, flow, buffer, offset, (uint32_t)datagram->payload_length);
	} else if (flow && flow->state == UDP_WAITING) {
		first_keep(worker, flow, buffer, offset, (uint32_t)datagram->payload_length);
	} else {
		count_one(&listener->share->counters,
			flow ? COUNT_DROPPED_TARGET : COUNT_DROPPED_ROOM);
		release_buffer(worker, buffer);
	}
	if (flow)
		flow_settle(worker, flow);
}

static void listener_datagram(struct rk_worker *worker, struct rk_listener *listener,
	const struct rk_completion *completion)
{
	struct rk_datagram datagram;

	if (ring_datagram_parse(worker->ring, completion->buffer, (size_t)completion->result,
		    &listener_shape, &datagram) == 0 &&
		!datagram.truncated && !listener->stopping) {
		client_datagram(worker, listener, completion->buffer, &datagram);
		return;
	}
	count_one(&listener->share->counters, COUNT_DROPPED_INVALID);
	release_buffer(worker, completion->buffer);
}

void udp_receive(struct rk_worker *worker, struct rk_listener *listener, uint64_t tag)
{
	ring_receive_from(worker->ring, listener->fd, &listener_shape, tag);
}

// No datagram buffer is free: the next clients' datagrams wait in the socket.
static void listener_starve(struct rk_worker *worker, struct rk_listener *listener)
{
	count_one(&listener->share->counters, COUNT_BUFFER_WAITS);
	list_append(&worker->udp_table->starved_listeners, &listener->waiting);
}

void udp_listener_complete(struct rk_worker *worker, const struct rk_completion *completion)
{
	struct rk_listener *listener = listener_of(worker, completion->tag);

	if (!listener) {
		worker->stale_completions++;
		if (completion->flags & RING_BUFFER)
			release_buffer(worker, completion->buffer);
		return;
	}
	if (completion->flags & RING_BUFFER)
		listener_datagram(worker, listener, completion);
	if (completion->flags & RING_MORE)
		return;
	listener_disarmed(listener);
	if (listener->stopping)
		listener_drained(worker, listener);
	else if (completion->result == -ENOBUFS)
		listener_starve(worker, listener);
	else if (completion->result >= 0)
		listener_resume(worker, listener);
	else
		listener_pause(worker, listener, -completion->result);
}

// --- completions of sends

static void count_sent(
	struct rk_worker *worker, struct rk_udp_flow *flow, bool to_client, int result)
{
	struct rk_counters *counters = flow_counters(flow);

	if (result < 0) {
		flow_note_error(
			worker, flow, to_client ? ERROR_TO_CLIENT : ERROR_TO_CHILD, -result);
		count_one(counters, COUNT_DROPPED_SEND);
	} else if (to_client) {
		count_one(counters, COUNT_DATAGRAMS_OUT);
		count_add(counters, COUNT_BYTES_OUT, (uint64_t)result);
		flow->bytes_out += (uint64_t)result;
	} else {
		count_one(counters, COUNT_DATAGRAMS_IN);
		count_add(counters, COUNT_BYTES_IN, (uint64_t)result);
		flow->bytes_in += (uint64_t)result;
		// A refusal of the one before would have come back instead.
		if (flow->sent)
			worker_reached(worker, flow->listener->share, true);
		flow->sent = true;
	}
}

static void reply_sent(struct rk_worker *worker, struct rk_listener *listener)
{
	listener->sends--;
	if (listener->stopping)
		listener_drained(worker, listener);
}

// After a send to the child: the buffer is kept while it may have to go to another target.
static void child_sent(struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer,
	const struct rk_udp_sending *sending, int result)
{
	bool may_retry = !flow->answered && route_has_next(&flow->route, flow->listener->share);

	if (flow->state == UDP_OPEN && may_retry)
		first_keep(worker, flow, buffer, sending->offset, sending->length);
	else
		release_buffer(worker, buffer);
	if (flow->state == UDP_OPEN && result == -ECONNREFUSED && !flow->receiving)
		flow_refused(worker, flow);
}

void udp_send_complete(struct rk_worker *worker, const struct rk_completion *completion)
{
	uint32_t buffer = tag_slot(completion->tag);
	struct rk_udp_sending sending = worker->udp_table->sending[buffer];
	struct rk_udp_flow *flow =
		slab_get(&worker->udp_flows, sending.flow, tag_generation(completion->tag));

	if (!flow) {
		worker->stale_completions++;
		release_buffer(worker, buffer);
		return;
	}
	flow->in_flight--;
	count_sent(worker, flow, sending.to_client, completion->result);
	if (sending.to_client) {
		release_buffer(worker, buffer);
		reply_sent(worker, flow->listener);
	} else {
		child_sent(worker, flow, buffer, &sending, completion->result);
	}
	flow_settle(worker, flow);
}

void udp_send_empty_complete(struct rk_worker *worker, const struct rk_completion *completion)
{
	struct rk_udp_flow *flow = slab_get(
		&worker->udp_flows, tag_slot(completion->tag), tag_generation(completion->tag));

	if (!flow) {
		worker->stale_completions++;
		return;
	}
	flow->in_flight--;
	count_sent(worker, flow, true, completion->result);
	reply_sent(worker, flow->listener);
	flow_settle(worker, flow);
}

// --- events of the worker

void udp_pool_filled(struct rk_worker *worker, enum rk_socket_kind kind)
{
	struct rk_list *waiting = &worker->pool.kinds[kind].waiting;
	struct rk_node *node;

	while ((worker->pool.kinds[kind].count > 0 || worker->pool.kinds[kind].error) &&
		(node = list_first(waiting))) {
		struct rk_udp_flow *flow = RK_CONTAINER_OF(node, struct rk_udp_flow, waiting);

		list_remove(node);
		if (flow_connect(worker, flow))
			send_first(worker, flow);
		flow_settle(worker, flow);
	}
}

void udp_idle_timeout(struct rk_worker *worker, struct rk_timer *timer)
{
	struct rk_udp_flow *flow = RK_CONTAINER_OF(timer, struct rk_udp_flow, timer);

	if (flow->sent)
		worker_reached(worker, flow->listener->share, true);
	flow_close(worker, flow);
	flow_settle(worker, flow);
}

void udp_buffers_free(struct rk_worker *worker)
{
	struct rk_node *node;

	while ((node = list_first(&worker->udp_table->starved_listeners))) {
		list_remove(node);
		listener_resume(worker, RK_CONTAINER_OF(node, struct rk_listener, waiting));
	}
	while ((node = list_first(&worker->udp_table->starved))) {
		list_remove(node);
		child_receive(worker, RK_CONTAINER_OF(node, struct rk_udp_flow, waiting));
	}
}

void udp_close_flows(struct rk_worker *worker, const struct rk_share *share)
{
	for (uint32_t i = 0; i < worker->udp_flows.touched; i++) {
		struct rk_udp_flow *flow = (struct rk_udp_flow *)slab_at(&worker->udp_flows, i);

		if (!(flow->slot.generation & 1u) || (share && flow->listener->share != share))
			continue;
		flow_close(worker, flow);
		flow_settle(worker, flow);
	}
}
