// api_metrics_table.c: what GET /metrics has, one row per metric. Names follow Prometheus's
// conventions: base units, _total for what only grows.

#include "engine/api_metrics_table.h"

#include "base/clock.h"

// --- figures of a port

static uint64_t port_count(const struct rk_metrics *metrics, size_t row, unsigned index)
{
	return metrics->reports[row].stats.counts[index];
}

static uint64_t port_state(const struct rk_metrics *metrics, size_t row, unsigned index)
{
	return metrics->reports[row].stats.state == (enum rk_port_state)index;
}

enum { FAILED_REFUSED, FAILED_TIMED_OUT, FAILED_OTHER };
static uint64_t port_failed(const struct rk_metrics *metrics, size_t row, unsigned index)
{
	const uint64_t *counts = metrics->reports[row].stats.counts;

	if (index == FAILED_REFUSED)
		return counts[COUNT_REFUSED];
	return index == FAILED_TIMED_OUT ? counts[COUNT_TIMED_OUT]
					 : counts[COUNT_FAILED] - counts[COUNT_TIMED_OUT];
}

enum { LISTENER_BACKLOG, LISTENER_DROPPED, LISTENER_PENDING };
static uint64_t port_listener(const struct rk_metrics *metrics, size_t row, unsigned index)
{
	const struct rk_port_stats *stats = &metrics->reports[row].stats;

	if (index == LISTENER_PENDING)
		return stats->pending;
	return index == LISTENER_BACKLOG ? stats->backlog : stats->kernel_dropped;
}

static uint64_t port_error_time(const struct rk_metrics *metrics, size_t row, unsigned index)
{
	const struct rk_last_error *error = &metrics->reports[row].stats.last_error;

	(void)index;
	return error->code ? clock_wall_ms(error->at_ms) : METRIC_UNKNOWN;
}

static uint64_t port_downgrades(const struct rk_metrics *metrics, size_t row, unsigned index)
{
	return metrics->reports[row].stats.downgrades[index];
}

// --- figures of a worker

enum worker_figure {
	WORKER_UP,
	WORKER_TCP_FLOWS,
	WORKER_UDP_FLOWS,
	WORKER_FLOW_LIMIT,
	WORKER_LISTENERS,
	WORKER_FULL,
	WORKER_BUFFERS,
	WORKER_FIRSTS,
	WORKER_WAITS,
	WORKER_COMPLETIONS,
	WORKER_OVERFLOWS,
	WORKER_NO_BUFFERS,
	WORKER_STALE,
	WORKER_HELPERS,
	WORKER_HELPER_LOSSES,
	WORKER_LOST_SOCKETS,
	WORKER_SPLICES,
	WORKER_PIPES,
	WORKER_COPIED,
	WORKER_SPLICED,
};
static uint64_t worker_figure(const struct rk_metrics *metrics, size_t row, unsigned index)
{
	const struct rk_worker_stats *stats = &metrics->workers[row];
	const uint64_t figures[] = {
		[WORKER_UP] = !stats->broken,
		[WORKER_TCP_FLOWS] = stats->tcp_flows,
		[WORKER_UDP_FLOWS] = stats->udp_flows,
		[WORKER_FLOW_LIMIT] = stats->flow_limit,
		[WORKER_LISTENERS] = stats->listeners,
		[WORKER_FULL] = stats->full_listeners,
		[WORKER_BUFFERS] = stats->stream_buffers,
		[WORKER_FIRSTS] = stats->first_datagrams,
		[WORKER_WAITS] = stats->ring.waits,
		[WORKER_COMPLETIONS] = stats->ring.completions,
		[WORKER_OVERFLOWS] = stats->ring.overflows,
		[WORKER_NO_BUFFERS] = stats->ring.no_buffers,
		[WORKER_STALE] = stats->stale_completions,
		[WORKER_HELPERS] = stats->helper_channels,
		[WORKER_HELPER_LOSSES] = stats->helper_losses,
		[WORKER_LOST_SOCKETS] = stats->lost_sockets,
		[WORKER_SPLICES] = stats->bulk.splices,
		[WORKER_PIPES] = stats->bulk.pipes,
		[WORKER_COPIED] = stats->bulk.copied,
		[WORKER_SPLICED] = stats->bulk.spliced,
	};

	return stats->broken && index != WORKER_UP ? METRIC_UNKNOWN : figures[index];
}

static uint64_t worker_timer(const struct rk_metrics *metrics, size_t row, unsigned index)
{
	const struct rk_worker_stats *stats = &metrics->workers[row];

	return stats->broken ? METRIC_UNKNOWN : stats->timers[index];
}

// One function for each figure of a pool; the index is the kind of sockets.
#define POOL_FIGURE(member)                                                                        \
	static uint64_t pool_##member(                                                             \
		const struct rk_metrics *metrics, size_t row, unsigned index)                      \
	{                                                                                          \
		const struct rk_worker_stats *stats = &metrics->workers[row];                      \
                                                                                                   \
		return stats->broken ? METRIC_UNKNOWN : stats->pools[index].member;                \
	}
POOL_FIGURE(ready)
POOL_FIGURE(requested)
POOL_FIGURE(waiting)
POOL_FIGURE(requests)
POOL_FIGURE(empty)
POOL_FIGURE(failures)

// --- figures of the process

static uint64_t build_info(const struct rk_metrics *metrics, size_t row, unsigned index)
{
	(void)metrics;
	(void)row;
	(void)index;
	return 1;
}

static uint64_t process_figure(const struct rk_metrics *metrics, size_t row, unsigned index)
{
	(void)row;
	return metrics->process[index];
}

// --- the table

#define SERIES(...)                                                                                \
	.series = (const struct metric_series[]){__VA_ARGS__},                                     \
	.series_count =                                                                            \
		sizeof((const struct metric_series[]){__VA_ARGS__}) / sizeof(struct metric_series)
#define PORT(type, name, function, help, ...)                                                      \
	{                                                                                          \
		"rk_engine_port_" name, type, help, SCOPE_PORT, false, function,                   \
			SERIES(__VA_ARGS__)                                                        \
	}
#define WORKER(type, name, function, help, ...)                                                    \
	{                                                                                          \
		"rk_engine_worker_" name, type, help, SCOPE_WORKER, false, function,               \
			SERIES(__VA_ARGS__)                                                        \
	}
#define PROCESS(type, name, in_ms, help, index)                                                    \
	{                                                                                          \
		"process_" name, type, help, SCOPE_PROCESS, in_ms, process_figure,                 \
			SERIES({NULL, index})                                                      \
	}
#define POOL_SERIES                                                                                \
	{"kind=\"tcp4\"", SOCKET_TCP4}, {"kind=\"tcp6\"", SOCKET_TCP6},                            \
		{"kind=\"udp4\"", SOCKET_UDP4},                                                    \
	{                                                                                          \
		"kind=\"udp6\"", SOCKET_UDP6                                                       \
	}

const struct metric metric_table[] = {
	{"rk_engine_build_info", "gauge", "Always 1; the version and the I/O method in use.",
		SCOPE_INFO, false, build_info, SERIES({NULL, 0})},

	PORT("gauge", "state", port_state, "Whether the port is in that state (1) or not (0).",
		{"state=\"listening\"", PORT_LISTENING}, {"state=\"downgraded\"", PORT_DOWNGRADED},
		{"state=\"paused\"", PORT_PAUSED}, {"state=\"failed\"", PORT_FAILED}),
	PORT("gauge", "connections", port_count, "Connections and UDP flows that are open.",
		{NULL, COUNT_OPEN}),
	PORT("gauge", "connections_pending", port_listener,
		"Connections that have not reached their service yet.", {NULL, LISTENER_PENDING}),
	PORT("counter", "connections_total", port_count,
		"Connections that were accepted, and UDP flows that began.", {NULL, COUNT_TOTAL}),
	PORT("counter", "connections_failed_total", port_failed,
		"Connections that reached no service, and refusals of UDP datagrams.",
		{"reason=\"refused\"", FAILED_REFUSED}, {"reason=\"timed_out\"", FAILED_TIMED_OUT},
		{"reason=\"other\"", FAILED_OTHER}),
	PORT("counter", "connections_downgraded_total", port_downgrades,
		"Connections whose service was not shown the client's address.",
		{"reason=\"unprepared\"", DOWNGRADE_UNPREPARED},
		{"reason=\"family\"", DOWNGRADE_FAMILY},
		{"reason=\"link-local\"", DOWNGRADE_LINK_LOCAL},
		{"reason=\"inside\"", DOWNGRADE_INSIDE},
		{"reason=\"unreached\"", DOWNGRADE_UNREACHED},
		{"reason=\"proxy\"", DOWNGRADE_PROXY}),
	PORT("counter", "connections_untracked_total", port_count,
		"TCP connections that went past connection tracking in the namespace.",
		{NULL, COUNT_UNTRACKED}),
	PORT("counter", "connections_reset_total", port_count,
		"Connections that were reset after they were connected.",
		{"by=\"client\"", COUNT_RESET_BY_CLIENT}, {"by=\"child\"", COUNT_RESET_BY_CHILD}),
	PORT("counter", "retries_total", port_count,
		"Times that another target, or another way to it, was tried.",
		{NULL, COUNT_RETRIES}),
	PORT("counter", "waits_total", port_count,
		"Times that a flow waited for a socket or a buffer, or the listener for a free "
		"flow or until fewer connections were pending.",
		{"for=\"socket\"", COUNT_SOCKET_WAITS}, {"for=\"buffer\"", COUNT_BUFFER_WAITS},
		{"for=\"flow\"", COUNT_ROOM_WAITS}, {"for=\"pending\"", COUNT_PENDING_WAITS}),
	PORT("counter", "pauses_total", port_count,
		"Times that a listener paused after an error (descriptors, memory).",
		{NULL, COUNT_PAUSES}),
	PORT("gauge", "backlog", port_listener, "Clients that wait to be accepted.",
		{NULL, LISTENER_BACKLOG}),
	PORT("counter", "kernel_dropped_total", port_listener,
		"Datagrams or connection requests that found the kernel's queue full.",
		{NULL, LISTENER_DROPPED}),
	PORT("counter", "bytes_total", port_count, "Bytes moved: in = to the service.",
		{"direction=\"in\"", COUNT_BYTES_IN}, {"direction=\"out\"", COUNT_BYTES_OUT}),
	PORT("counter", "datagrams_total", port_count, "Datagrams moved: in = to the service.",
		{"direction=\"in\"", COUNT_DATAGRAMS_IN},
		{"direction=\"out\"", COUNT_DATAGRAMS_OUT}),
	PORT("counter", "datagrams_dropped_total", port_count, "Datagrams that were dropped.",
		{"reason=\"flow\"", COUNT_DROPPED_ROOM},
		{"reason=\"socket\"", COUNT_DROPPED_SOCKET},
		{"reason=\"buffer\"", COUNT_DROPPED_BUFFER},
		{"reason=\"target\"", COUNT_DROPPED_TARGET},
		{"reason=\"send\"", COUNT_DROPPED_SEND},
		{"reason=\"invalid\"", COUNT_DROPPED_INVALID}),
	{"rk_engine_port_last_error_timestamp_seconds", "gauge", "When the last error was seen.",
		SCOPE_PORT, true, port_error_time, SERIES({NULL, 0})},

	WORKER("gauge", "up", worker_figure, "Whether the worker thread runs.", {NULL, WORKER_UP}),
	WORKER("gauge", "flows", worker_figure, "Flows in use.",
		{"proto=\"tcp\"", WORKER_TCP_FLOWS}, {"proto=\"udp\"", WORKER_UDP_FLOWS}),
	WORKER("gauge", "flows_limit", worker_figure, "Flows that there can be, of both protocols.",
		{NULL, WORKER_FLOW_LIMIT}),
	WORKER("gauge", "listeners", worker_figure, "Listening sockets.", {NULL, WORKER_LISTENERS}),
	WORKER("gauge", "listeners_full", worker_figure,
		"Listening sockets that wait for a free flow.", {NULL, WORKER_FULL}),
	WORKER("gauge", "stream_buffers", worker_figure, "Stream buffers that hold bytes, of 1024.",
		{NULL, WORKER_BUFFERS}),
	WORKER("gauge", "first_datagrams", worker_figure,
		"Datagrams kept for flows that have no target yet, of 192.", {NULL, WORKER_FIRSTS}),
	WORKER("counter", "waits_total", worker_figure, "Turns of the worker's loop.",
		{NULL, WORKER_WAITS}),
	WORKER("counter", "completions_total", worker_figure, "Operations that completed.",
		{NULL, WORKER_COMPLETIONS}),
	WORKER("counter", "completion_overflows_total", worker_figure,
		"Turns that found the completion queue overflown.", {NULL, WORKER_OVERFLOWS}),
	WORKER("counter", "no_buffers_total", worker_figure,
		"Receives that found no buffer and were tried again.", {NULL, WORKER_NO_BUFFERS}),
	WORKER("counter", "stale_completions_total", worker_figure,
		"Completions for an owner that had gone.", {NULL, WORKER_STALE}),
	WORKER("counter", "helpers_total", worker_figure,
		"Helpers that made sockets for this worker, one after the other.",
		{NULL, WORKER_HELPERS}),
	WORKER("counter", "helper_losses_total", worker_figure, "Helpers that ended.",
		{NULL, WORKER_HELPER_LOSSES}),
	WORKER("counter", "lost_sockets_total", worker_figure,
		"Messages of the helper for whose sockets there were no descriptors.",
		{NULL, WORKER_LOST_SOCKETS}),
	WORKER("gauge", "splices", worker_figure,
		"Whether flows that send in bulk are spliced now (1) or copied (0).",
		{NULL, WORKER_SPLICES}),
	WORKER("gauge", "pipes", worker_figure, "Pipes that flows use to splice.",
		{NULL, WORKER_PIPES}),
	WORKER("counter", "bulk_bytes_total", worker_figure,
		"Bytes of flows that send in bulk, by how they were moved.",
		{"way=\"copy\"", WORKER_COPIED}, {"way=\"splice\"", WORKER_SPLICED}),
	WORKER("counter", "timers_total", worker_timer, "Timers that ran out.",
		{"kind=\"connect\"", TIMER_CONNECT}, {"kind=\"untracked\"", TIMER_UNTRACKED},
		{"kind=\"half_closed\"", TIMER_HALF_CLOSED}, {"kind=\"pause\"", TIMER_PAUSE},
		{"kind=\"udp_idle\"", TIMER_UDP_IDLE}, {"kind=\"pool\"", TIMER_POOL},
		{"kind=\"poll\"", TIMER_POLL}),
	WORKER("gauge", "pool_sockets", pool_ready, "Sockets of the namespace that are ready.",
		POOL_SERIES),
	WORKER("gauge", "pool_requested", pool_requested, "Sockets that the helper was asked for.",
		POOL_SERIES),
	WORKER("gauge", "pool_waiting", pool_waiting, "Flows that wait for a socket.", POOL_SERIES),
	WORKER("counter", "pool_requests_total", pool_requests, "Requests to the helper.",
		POOL_SERIES),
	WORKER("counter", "pool_empty_total", pool_empty, "Flows that found no socket ready.",
		POOL_SERIES),
	WORKER("counter", "pool_failures_total", pool_failures,
		"Requests for which the helper could make no socket.", POOL_SERIES),

	PROCESS("counter", "cpu_seconds_total", true, "User and system time.", PROCESS_CPU_MS),
	PROCESS("gauge", "start_time_seconds", true, "When the process started.", PROCESS_START_MS),
	PROCESS("gauge", "resident_memory_bytes", false, "Memory in use.", PROCESS_RESIDENT_BYTES),
	PROCESS("gauge", "virtual_memory_bytes", false, "Address space.", PROCESS_VIRTUAL_BYTES),
	PROCESS("gauge", "open_fds", false, "Descriptors that are open.", PROCESS_OPEN_FDS),
	PROCESS("gauge", "max_fds", false, "Descriptors that may be open.", PROCESS_MAX_FDS),
};
const size_t metric_count = sizeof(metric_table) / sizeof(metric_table[0]);
