// api_process.h: what the kernel says about this process, for GET /metrics.
#pragma once

#include <stdint.h>

enum rk_process_figure {
	PROCESS_CPU_MS,
	PROCESS_START_MS, // since 1970
	PROCESS_RESIDENT_BYTES,
	PROCESS_VIRTUAL_BYTES,
	PROCESS_OPEN_FDS,
	PROCESS_MAX_FDS,
	PROCESS_FIGURES
};

#define PROCESS_UNKNOWN UINT64_MAX // /proc does not tell

void process_read_figures(uint64_t figures[PROCESS_FIGURES]);
