// port_state.c: what state a port is in, from what its listeners and its last clients tell.

#include "engine/port_state.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void add_listener(struct rk_port_view *view, struct rk_listener *listener)
{
	bool full = atomic_load_explicit(&listener->full, memory_order_relaxed);
	bool held = atomic_load_explicit(&listener->held, memory_order_relaxed);
	bool starved = atomic_load_explicit(&listener->starved, memory_order_relaxed);
	int error = atomic_load_explicit(&listener->error, memory_order_relaxed);

	if (error)
		view->error = error;
	else if (full)
		view->full = true;
	else if (held)
		view->held = true;
	else if (starved)
		view->starved = true;
}

void port_view_add(struct rk_port_view *view, struct rk_share *share, bool worker_broken)
{
	uint64_t reached = atomic_load_explicit(&share->counters.reached, memory_order_relaxed);
	uint64_t shown = atomic_load_explicit(&share->counters.shown, memory_order_relaxed);

	view->broken |= worker_broken;
	if (reached > view->reached)
		view->reached = reached;
	if (shown > view->shown)
		view->shown = shown;
	for (unsigned i = 0; i < share->listener_count; i++)
		add_listener(view, &share->listeners[i]);
}

static void set(struct rk_port_stats *stats, enum rk_port_state state, enum rk_port_reason reason,
	int error)
{
	stats->state = state;
	stats->reason = reason;
	stats->reason_error = error;
}

static bool is_bad(uint64_t verdict)
{
	return verdict && !(verdict & 1u);
}

void port_view_conclude(const struct rk_port_view *view, struct rk_port_stats *stats)
{
	if (view->broken)
		set(stats, PORT_FAILED, REASON_WORKER, EIO);
	else if (view->error && !error_is_shortage(view->error))
		set(stats, PORT_FAILED, REASON_ERROR, view->error);
	else if (view->error)
		set(stats, PORT_PAUSED, REASON_ERROR, view->error);
	else if (view->full)
		set(stats, PORT_PAUSED, REASON_FLOWS, 0);
	else if (view->held)
		set(stats, PORT_PAUSED, REASON_PENDING, 0);
	else if (view->starved)
		set(stats, PORT_PAUSED, REASON_BUFFERS, 0);
	else if (is_bad(view->reached))
		set(stats, PORT_FAILED, REASON_TARGET,
			stats->last_error.phase == ERROR_CONNECT ? stats->last_error.code : 0);
	else if (is_bad(view->shown))
		set(stats, PORT_DOWNGRADED, REASON_SOURCE, 0);
}

const char *port_state_name(enum rk_port_state state)
{
	static const char *const names[] = {
		[PORT_LISTENING] = "listening",
		[PORT_DOWNGRADED] = "downgraded",
		[PORT_PAUSED] = "paused",
		[PORT_FAILED] = "failed",
	};

	return names[state];
}

static const char *error_remedy(int error)
{
	switch (error) {
	case EMFILE:
		return "raise the limit of open files (ulimit -n)";
	case ENFILE:
		return "raise `sysctl fs.file-max`";
	case ENOMEM:
	case ENOBUFS:
		return "free memory";
	default:
		return "see the log";
	}
}

const char *port_reason_text(const struct rk_port_stats *stats, char *text, size_t size)
{
	const char *error = stats->reason_error ? strerror(stats->reason_error) : "no answer";

	text[0] = '\0';
	switch (stats->reason) {
	case REASON_NONE:
		break;
	case REASON_SOURCE:
		snprintf(text, size,
			"the last client's address was not shown to the service; "
			"see `rootlessctl info` for what this namespace can show");
		break;
	case REASON_BUFFERS:
		snprintf(text, size, "no datagram buffer is free");
		break;
	case REASON_FLOWS:
		snprintf(text, size,
			"all flows are in use; raise [engine] max-flows and "
			"the limit of open files");
		break;
	case REASON_PENDING:
		snprintf(text, size,
			"too many clients wait for the service to accept them; is it reachable? "
			"The bound is [port] max-pending");
		break;
	case REASON_ERROR:
		snprintf(text, size, "%s; %s", error, error_remedy(stats->reason_error));
		break;
	case REASON_TARGET:
		snprintf(text, size, "the last client reached no service: %s; is it running?",
			error);
		break;
	case REASON_WORKER:
		snprintf(text, size, "a worker thread cannot go on; restart the engine");
		break;
	}
	return text;
}
