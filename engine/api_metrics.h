// api_metrics.h: GET /metrics: all figures in Prometheus's text format 0.0.4.
//
// How it works: opening takes a snapshot of all counters (a fixed number of bytes per port);
// reading prints it piece by piece, because the format wants all samples of one metric together and
// the text for thousands of ports is many times larger than the snapshot. A table has one row per
// metric, with its type, its help and who has it: each port, each worker, or the process.
#pragma once

#include "base/error.h"
#include "engine/api_json.h"
#include "engine/ports.h"

#include <stddef.h>

struct rk_metrics;

int api_metrics_open(struct rk_metrics **metrics, const struct rk_api_info *info,
	struct rk_ports *ports, struct rk_error *e);
// Takes the lists over (free()); for tests, and for api_metrics_open().
int api_metrics_create(struct rk_metrics **metrics, const struct rk_api_info *info,
	struct rk_port_report *reports, size_t report_count, struct rk_worker_stats *workers,
	size_t worker_count);
// Whole lines, as many as fit into `size` (1024 at least); 0 = that was all.
size_t api_metrics_read(struct rk_metrics *metrics, char *buffer, size_t size);
void api_metrics_close(struct rk_metrics *metrics);

// A label's value with backslash, double quote and line feed escaped; cut where it does not fit.
// Returns `out`.
const char *api_metrics_escape(const char *value, char *out, size_t size);
