// api_metrics_table.h: what GET /metrics has, one row per metric; for api_metrics*.c only.
#pragma once

#include "engine/api_metrics.h"
#include "engine/api_process.h"

#include <stdbool.h>
#include <stdint.h>

// The snapshot, and where printing it has come to.
struct rk_metrics {
	struct rk_api_info info;
	struct rk_port_report *reports;
	size_t report_count;
	struct rk_worker_stats *workers;
	size_t worker_count;
	uint64_t process[PROCESS_FIGURES];
	size_t metric; // index into the table
	size_t row;    // port or worker
	size_t series; // of that row
	bool head_printed;
};

#define METRIC_UNKNOWN UINT64_MAX

enum metric_scope { SCOPE_PORT, SCOPE_WORKER, SCOPE_INFO, SCOPE_PROCESS };

// Several samples of one port or worker differ in a label.
struct metric_series {
	const char *labels; // `name="value"`, NULL = none
	unsigned index;     // which figure, for the value function
};

struct metric {
	const char *name;
	const char *type;
	const char *help;
	enum metric_scope scope;
	bool in_ms; // the figure is milliseconds, printed as seconds
	uint64_t (*value)(const struct rk_metrics *metrics, size_t row, unsigned index);
	const struct metric_series *series;
	size_t series_count;
};

extern const struct metric metric_table[];
extern const size_t metric_count;
