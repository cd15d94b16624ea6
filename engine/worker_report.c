// worker_report.c: a worker's figures and flows, for the control thread.

#include "engine/worker_report.h"

#include "engine/tcp.h"
#include "engine/udp.h"

#include <string.h>

// Slots looked at in one piece.
#define PIECE_SLOTS 512u

static uint32_t list_length(const struct rk_list *list)
{
	uint32_t length = 0;

	for (const struct rk_node *node = list->head.next; node != &list->head; node = node->next)
		length++;
	return length;
}

static void report_pools(const struct rk_pool *pool, struct rk_worker_stats *stats)
{
	for (unsigned kind = 0; kind < SOCKET_KIND_COUNT; kind++) {
		stats->pools[kind].ready = pool->kinds[kind].count;
		stats->pools[kind].requested = pool->kinds[kind].requested;
		stats->pools[kind].waiting = list_length(&pool->kinds[kind].waiting);
		stats->pools[kind].error = pool->kinds[kind].error;
		stats->pools[kind].requests = pool->kinds[kind].requests;
		stats->pools[kind].empty = pool->kinds[kind].empty;
		stats->pools[kind].failures = pool->kinds[kind].failures;
	}
}

void worker_report_stats(struct rk_worker *worker, struct rk_worker_stats *stats)
{
	*stats = (struct rk_worker_stats){
		.tcp_flows = worker->tcp_flows.used,
		.udp_flows = worker->udp_flows.used,
		.flow_limit = worker->flow_limit,
		.full_listeners = list_length(&worker->full_listeners),
		.stream_buffers = worker->stream_buffers_held,
		.first_datagrams = worker->udp_table->firsts,
		.ring = *ring_stats(worker->ring),
		.stale_completions = worker->stale_completions,
		.helper_channels = worker->helper_channels,
		.helper_losses = worker->helper_losses,
		.lost_sockets = worker->lost_sockets,
		.bulk = {.splices = bulk_splices(&worker->bulk),
			.pipes = worker->bulk.pipe_count - worker->bulk.free_count,
			.copied = worker->bulk.moved[BULK_COPY],
			.spliced = worker->bulk.moved[BULK_SPLICE]},
	};
	for (uint32_t i = 0; i < worker->listener_slots; i++)
		stats->listeners += worker->listeners[i] != NULL;
	for (unsigned kind = 0; kind < TIMER_KIND_COUNT; kind++)
		stats->timers[kind] = worker->timers.kinds[kind].fired;
	report_pools(&worker->pool, stats);
}

// --- flows

static enum rk_flow_state tcp_state(const struct rk_tcp_flow *flow)
{
	switch ((enum rk_tcp_state)flow->state) {
	case TCP_WAITING:
		return FLOW_WAITING;
	case TCP_CONNECTING:
		return FLOW_CONNECTING;
	case TCP_CLOSING:
		return FLOW_CLOSING;
	default:
		return (flow->lanes[LANE_IN].flags | flow->lanes[LANE_OUT].flags) & LANE_EOF
			       ? FLOW_HALF_CLOSED
			       : FLOW_OPEN;
	}
}

static void describe_tcp(
	const struct rk_worker *worker, const struct rk_slot *slot, struct rk_flow_info *info)
{
	const struct rk_tcp_flow *flow = (const struct rk_tcp_flow *)slot;
	uint64_t now_ms = worker->timers.now_ms;

	*info = (struct rk_flow_info){
		.port = flow->share->forward.id,
		.socktype = SOCK_STREAM,
		.state = tcp_state(flow),
		.client = flow->client,
		.target = flow->target,
		.age_ms = now_ms - flow->started_ms,
		.idle_ms = now_ms - flow->active_ms,
		.bytes_in = flow->bytes[LANE_IN],
		.bytes_out = flow->bytes[LANE_OUT],
	};
}

static void describe_udp(
	const struct rk_worker *worker, const struct rk_slot *slot, struct rk_flow_info *info)
{
	static const enum rk_flow_state states[] = {
		[UDP_WAITING] = FLOW_WAITING,
		[UDP_OPEN] = FLOW_OPEN,
		[UDP_CLOSING] = FLOW_CLOSING,
	};
	const struct rk_udp_flow *flow = (const struct rk_udp_flow *)slot;
	uint64_t now_ms = worker->timers.now_ms;
	// Each datagram starts the idle timer again.
	uint64_t active_ms =
		flow->timer.deadline_ms - worker->timers.kinds[TIMER_UDP_IDLE].delay_ms;

	*info = (struct rk_flow_info){
		.port = flow->listener->share->forward.id,
		.socktype = SOCK_DGRAM,
		.state = states[flow->state],
		.client = flow->client,
		.target = flow->target,
		.age_ms = now_ms - flow->started_ms,
		.idle_ms = now_ms - active_ms,
		.bytes_in = flow->bytes_in,
		.bytes_out = flow->bytes_out,
	};
}

typedef void describe_flow(
	const struct rk_worker *worker, const struct rk_slot *slot, struct rk_flow_info *info);

static void append_flow(const struct rk_worker *worker, const struct rk_slab *slab, uint32_t index,
	describe_flow *describe, struct rk_flow_list *list)
{
	const struct rk_slot *slot = slab_at(slab, index);
	struct rk_flow_info info;

	if (!(slot->generation & 1u))
		return;
	describe(worker, slot, &info);
	if (list->port == 0 || list->port == info.port)
		list->items[list->count++] = info;
}

// The cursor runs through the TCP flows, then through the UDP flows.
void worker_report_flows(struct rk_worker *worker, struct rk_flow_list *list)
{
	uint64_t tcp = worker->tcp_flows.capacity;
	uint64_t stop = list->cursor + PIECE_SLOTS;

	if (worker->clock_stale)
		timers_update(&worker->timers);
	for (; list->cursor < stop && list->count < list->capacity; list->cursor++) {
		if (list->cursor < worker->tcp_flows.touched) {
			append_flow(worker, &worker->tcp_flows, (uint32_t)list->cursor,
				describe_tcp, list);
		} else if (list->cursor < tcp) {
			list->cursor = tcp - 1; // the rest was never used
		} else if (list->cursor - tcp < worker->udp_flows.touched) {
			append_flow(worker, &worker->udp_flows, (uint32_t)(list->cursor - tcp),
				describe_udp, list);
		} else {
			list->ended = true;
			return;
		}
	}
}
