// udp_client.c: the clients' side of UDP flows: a datagram of a listener finds its flow, or makes
// one, and goes to the child; an answer goes back from the address that the client used.

#include "engine/listener.h"
#include "engine/pktinfo.h"
#include "engine/udp_internal.h"
#include "engine/udp_table.h"

#include <errno.h>

// Room for any address in front of the ancillary data, which wants 8-byte alignment.
#define NAME_SPACE 32
_Static_assert(sizeof(struct rk_addr) <= NAME_SPACE, "an address fits");

static const struct msghdr listener_shape = {
	.msg_namelen = NAME_SPACE, .msg_controllen = PKTINFO_SPACE};

// --- from a client

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
		udp_connect_flow(worker, flow);
	else
		udp_fail_flow(worker, flow, ERROR_CONNECT, EADDRNOTAVAIL);
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
		udp_send_to_child(worker, flow, buffer, offset, (uint32_t)datagram->payload_length);
	} else if (flow && flow->state == UDP_WAITING) {
		udp_keep_first(worker, flow, buffer, offset, (uint32_t)datagram->payload_length);
	} else {
		count_one(&listener->share->counters,
			flow ? COUNT_DROPPED_TARGET : COUNT_DROPPED_ROOM);
		udp_release_buffer(worker, buffer);
	}
	if (flow)
		udp_settle_flow(worker, flow);
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
	udp_release_buffer(worker, completion->buffer);
}

void udp_receive(struct rk_worker *worker, struct rk_listener *listener, uint64_t tag)
{
	ring_receive_from(worker->ring, listener->fd, &listener_shape, tag);
}

// No datagram buffer is free: the next clients' datagrams wait in the socket.
static void listener_starve(struct rk_worker *worker, struct rk_listener *listener)
{
	count_one(&listener->share->counters, COUNT_BUFFER_WAITS);
	atomic_store_explicit(&listener->starved, true, memory_order_relaxed);
	list_append(&worker->udp_table->starved_listeners, &listener->waiting);
}

void udp_listener_complete(struct rk_worker *worker, const struct rk_completion *completion)
{
	struct rk_listener *listener = listener_of(worker, completion->tag);

	if (!listener) {
		worker->stale_completions++;
		if (completion->flags & RING_BUFFER)
			udp_release_buffer(worker, completion->buffer);
		return;
	}
	if (completion->flags & RING_BUFFER)
		listener_datagram(worker, listener, completion);
	if (completion->flags & RING_MORE)
		return;
	listener->armed = false;
	if (listener->stopping)
		listener_drained(worker, listener);
	else if (completion->result == -ENOBUFS)
		listener_starve(worker, listener);
	else if (completion->result >= 0)
		listener_resume(worker, listener);
	else
		listener_pause(worker, listener, -completion->result);
}

// --- to a client

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

void udp_send_to_client(
	struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer, uint32_t length)
{
	void *data = ring_buffer_data(worker->ring, RING_POOL_DATAGRAM, buffer);
	struct iovec payload = {data, length};

	worker->udp_table->sending[buffer] = (struct rk_udp_sending){
		.flow = flow->slot.index, .length = length, .to_client = true};
	send_message_to_client(
		worker, flow, &payload, tag_make(OP_UDP_SEND, flow->slot.generation, buffer));
}

void udp_send_empty_to_client(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	struct iovec nothing = {NULL, 0};

	send_message_to_client(worker, flow, &nothing, udp_tag(flow, OP_UDP_SEND_EMPTY));
}

void udp_reply_sent(struct rk_worker *worker, struct rk_listener *listener)
{
	listener->sends--;
	if (listener->stopping)
		listener_drained(worker, listener);
}
