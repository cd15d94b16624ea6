// port_state.h: what state a port is in, from what its listeners and its last clients tell.
#pragma once

#include "engine/share.h"

#include <stddef.h>

// Gathers what the shares of a port say; starts zeroed.
struct rk_port_view {
	bool broken; // a worker does not run
	bool starved;
	bool full;
	bool held;
	int error;        // why a listener pauses, an errno
	uint64_t reached; // the latest verdicts, see counters.h
	uint64_t shown;
};

void port_view_add(struct rk_port_view *view, struct rk_share *share, bool worker_broken);
// Fills state, reason and reason_error; the counters and the last error are there already.
void port_view_conclude(const struct rk_port_view *view, struct rk_port_stats *stats);

// "paused" and so on.
const char *port_state_name(enum rk_port_state state);
// Why, and what to do about it, in one line; "" when there is nothing to explain. Returns `text`.
const char *port_reason_text(const struct rk_port_stats *stats, char *text, size_t size);
