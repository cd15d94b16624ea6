// udp.c: the life of a UDP flow (see the description in udp.h): its first datagram, its end, and
// what every send comes to. Its two sides are in udp_client.c and udp_child.c.

#include "engine/listener.h"
#include "engine/udp_internal.h"
#include "engine/udp_table.h"

// --- the first datagram of a flow

void udp_keep_first(struct rk_worker *worker, struct rk_udp_flow *flow, uint32_t buffer,
	uint32_t offset, uint32_t length)
{
	if (flow->first.held || worker->udp_table->firsts == UDP_FIRST_MAX) {
		udp_release_buffer(worker, buffer);
		if (flow->state == UDP_WAITING)
			count_one(udp_counters(flow),
				flow->first.held ? COUNT_DROPPED_SOCKET : COUNT_DROPPED_BUFFER);
		return;
	}
	worker->udp_table->firsts++;
	flow->first.buffer = buffer;
	flow->first.offset = offset;
	flow->first.length = length;
	flow->first.held = true;
}

void udp_release_first(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	if (!flow->first.held)
		return;
	flow->first.held = false;
	worker->udp_table->firsts--;
	udp_release_buffer(worker, flow->first.buffer);
}

// --- the end of a flow

// An idle flow has only its receive in flight. Thousands of flows may become idle within a moment,
// and to cancel by descriptor looks at every operation of the ring.
static void cancel_operations(struct rk_worker *worker, const struct rk_udp_flow *flow)
{
	if (flow->in_flight == 0 || flow->fd < 0)
		return;
	if (flow->receiving && flow->in_flight == 1)
		ring_cancel_one(worker->ring, flow->fd, udp_tag(flow, OP_UDP_RECEIVE),
			tag_make(OP_NONE, 0, 0));
	else
		ring_cancel(worker->ring, flow->fd, tag_make(OP_NONE, 0, 0));
}

void udp_close_flow(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	if (flow->state == UDP_CLOSING)
		return;
	if (flow->state == UDP_WAITING && flow->first.held)
		count_one(udp_counters(flow), COUNT_DROPPED_SOCKET);
	flow->state = UDP_CLOSING;
	timer_stop(&flow->timer);
	list_remove(&flow->waiting);
	udp_table_remove(worker, flow);
	udp_release_first(worker, flow);
	cancel_operations(worker, flow);
}

void udp_settle_flow(struct rk_worker *worker, struct rk_udp_flow *flow)
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

void udp_note_error(struct rk_worker *worker, const struct rk_udp_flow *flow,
	enum rk_error_phase phase, int error)
{
	error_record_write(
		&flow->listener->share->error, phase, error, &flow->client, worker->timers.now_ms);
}

void udp_fail_flow(
	struct rk_worker *worker, struct rk_udp_flow *flow, enum rk_error_phase phase, int error)
{
	udp_note_error(worker, flow, phase, error);
	count_one(udp_counters(flow), COUNT_FAILED);
	if (phase == ERROR_CONNECT)
		worker_reached(worker, flow->listener->share, false);
	udp_close_flow(worker, flow);
}

// --- completions of sends

static void count_sent(
	struct rk_worker *worker, struct rk_udp_flow *flow, bool to_client, int result)
{
	struct rk_counters *counters = udp_counters(flow);

	if (result < 0) {
		udp_note_error(worker, flow, to_client ? ERROR_TO_CLIENT : ERROR_TO_CHILD, -result);
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

void udp_send_complete(struct rk_worker *worker, const struct rk_completion *completion)
{
	uint32_t buffer = tag_slot(completion->tag);
	struct rk_udp_sending sending = worker->udp_table->sending[buffer];
	struct rk_udp_flow *flow =
		slab_get(&worker->udp_flows, sending.flow, tag_generation(completion->tag));

	if (!flow) {
		worker->stale_completions++;
		udp_release_buffer(worker, buffer);
		return;
	}
	flow->in_flight--;
	count_sent(worker, flow, sending.to_client, completion->result);
	if (sending.to_client) {
		udp_release_buffer(worker, buffer);
		udp_reply_sent(worker, flow->listener);
	} else {
		udp_child_sent(worker, flow, buffer, &sending, completion->result);
	}
	udp_settle_flow(worker, flow);
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
	udp_reply_sent(worker, flow->listener);
	udp_settle_flow(worker, flow);
}

// --- events of the worker

void udp_idle_timeout(struct rk_worker *worker, struct rk_timer *timer)
{
	struct rk_udp_flow *flow = RK_CONTAINER_OF(timer, struct rk_udp_flow, timer);

	if (flow->sent)
		worker_reached(worker, flow->listener->share, true);
	udp_close_flow(worker, flow);
	udp_settle_flow(worker, flow);
}

static struct rk_node *first_starved_flow(const struct rk_udp_table *table)
{
	struct rk_node *first = list_first(&table->overdue);

	return first ? first : list_first(&table->starved);
}

// Of a few flows each may take a part of a turn's buffers; more than buffers would be in vain.
static void receive_starved_flows(struct rk_worker *worker)
{
	struct rk_node *node;

	for (unsigned i = 0; i < DATAGRAM_BUFFER_READY; i++) {
		struct rk_udp_flow *flow;

		node = first_starved_flow(worker->udp_table);
		if (!node)
			return;
		list_remove(node);
		flow = RK_CONTAINER_OF(node, struct rk_udp_flow, waiting);
		flow->overdue = true;
		udp_receive_from_child(worker, flow);
	}
}

// A listener alone has its turn: under a flood one takes every buffer that there is.
void udp_buffers_free(struct rk_worker *worker)
{
	struct rk_udp_table *table = worker->udp_table;
	struct rk_node *listener = list_first(&table->starved_listeners);
	bool flows = first_starved_flow(table) && (table->flows_turn || !listener);

	table->flows_turn = !flows;
	if (flows) {
		receive_starved_flows(worker);
	} else if (listener) {
		list_remove(listener);
		listener_resume(worker, RK_CONTAINER_OF(listener, struct rk_listener, waiting));
	}
}

bool udp_buffers_wanted(const struct rk_worker *worker)
{
	const struct rk_udp_table *table = worker->udp_table;

	return first_starved_flow(table) || list_first(&table->starved_listeners);
}

void udp_close_flows(struct rk_worker *worker, const struct rk_share *share)
{
	for (uint32_t i = 0; i < worker->udp_flows.touched; i++) {
		struct rk_udp_flow *flow = (struct rk_udp_flow *)slab_at(&worker->udp_flows, i);

		if (!(flow->slot.generation & 1u) || (share && flow->listener->share != share))
			continue;
		udp_close_flow(worker, flow);
		udp_settle_flow(worker, flow);
	}
}
