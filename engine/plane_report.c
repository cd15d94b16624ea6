// plane_report.c: the data plane's figures: counters and states of ports, workers, flows.
//
// How it works: what is counted per port is read directly (atomics of the shares) or asked of the
// kernel about the listening sockets; what belongs to a worker alone (its ring, pool, flows) is
// asked of the worker by a command, so that its hot path needs no atomics for it.

#include "engine/plane_internal.h"
#include "engine/port_state.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <unistd.h>

// What the kernel dropped at a listening socket, who waits there, and who waits behind it.
static void add_listener(struct rk_port_stats *stats, const struct rk_listener *listener)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	struct tcp_info info = {0};
	socklen_t length = sizeof(memory);

	if (getsockopt(listener->fd, SOL_SOCKET, SO_MEMINFO, memory, &length) == 0)
		stats->kernel_dropped += memory[SK_MEMINFO_DROPS];
	length = sizeof(info);
	// Of a listening socket these two are the length of its queue and the most it may be.
	if (listener->share->forward.socktype == SOCK_STREAM &&
		getsockopt(listener->fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0)
		stats->backlog += info.tcpi_unacked;
	stats->pending += atomic_load_explicit(&listener->pending, memory_order_relaxed);
}

static void add_counters(struct rk_port_stats *stats, struct rk_counters *counters)
{
	for (unsigned i = 0; i < PORT_COUNTERS; i++)
		stats->counts[i] +=
			atomic_load_explicit(&counters->values[i], memory_order_relaxed);
	for (unsigned i = 0; i < DOWNGRADE_COUNT; i++)
		stats->downgrades[i] +=
			atomic_load_explicit(&counters->downgrades[i], memory_order_relaxed);
}

static void add_error(struct rk_port_stats *stats, struct rk_error_record *record)
{
	struct rk_last_error error;

	error_record_read(record, &error);
	if (error.code && (!stats->last_error.code || error.at_ms > stats->last_error.at_ms))
		stats->last_error = error;
}

int plane_stats(struct rk_plane *plane, uint32_t id, struct rk_port_stats *stats)
{
	struct rk_plane_port *port = *plane_find_port(plane, id);
	struct rk_port_view view = {0};

	if (!port)
		return -ENOENT;
	*stats = (struct rk_port_stats){.state = PORT_LISTENING};
	for (uint32_t i = 0; i < plane->worker_count; i++) {
		struct rk_share *share = port->shares[i];

		add_counters(stats, &share->counters);
		add_error(stats, &share->error);
		for (unsigned j = 0; j < share->listener_count; j++)
			add_listener(stats, &share->listeners[j]);
		port_view_add(&view, share, atomic_load(&plane->workers[i].broken));
	}
	port_view_conclude(&view, stats);
	return 0;
}

uint32_t plane_worker_count(const struct rk_plane *plane)
{
	return plane->worker_count;
}

void plane_worker_stats(struct rk_plane *plane, uint32_t index, struct rk_worker_stats *stats)
{
	struct rk_command command = {.type = COMMAND_STATS, .stats = stats};

	if (worker_command(&plane->workers[index], &command) < 0)
		*stats = (struct rk_worker_stats){.broken = true};
}

size_t plane_flows(struct rk_plane *plane, uint32_t id, struct rk_flow_info *flows, size_t capacity,
	bool *truncated)
{
	struct rk_flow_list list = {.port = id, .capacity = capacity, .items = flows};
	int result;

	*truncated = false;
	for (uint32_t i = 0; i < plane->worker_count; i++) {
		list.cursor = 0;
		list.ended = false;
		do {
			struct rk_command command = {.type = COMMAND_FLOWS, .flows = &list};

			result = worker_command(&plane->workers[i], &command);
		} while (result == 0 && !list.ended && list.count < capacity);
		*truncated |= result == 0 && !list.ended;
	}
	return list.count;
}

int plane_changed_fd(const struct rk_plane *plane)
{
	return plane->notice.fd;
}

void plane_watch_again(struct rk_plane *plane)
{
	uint64_t times;

	// Non-blocking: it may have been read already. First the descriptor, then the flag: what
	// comes between both is seen by the look at the ports that follows.
	if (read(plane->notice.fd, &times, sizeof(times)) < 0)
		times = 0;
	atomic_store_explicit(&plane->notice.pending, false, memory_order_release);
}
