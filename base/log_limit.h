// log_limit.h: a line of the log that an outsider can cause: at most one in ten seconds, with a
// count of those left out. Not for several threads at once.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_REST_MS 10000

// All zero at the start.
struct rk_log_limit {
	uint64_t next_ms;  // CLOCK_MONOTONIC: when a line may be written again
	uint64_t left_out; // since the last one
};

// Whether to write the line now (a moment of CLOCK_MONOTONIC). Then *left_out tells how many were
// not written since the last one; else this one is counted.
bool log_limit_pass(struct rk_log_limit *limit, uint64_t now_ms, uint64_t *left_out);
