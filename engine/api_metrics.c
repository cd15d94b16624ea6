// api_metrics.c: GET /metrics: the snapshot, and printing it in pieces (see api_metrics.h).

#include "engine/api_metrics_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Labels of one port or worker, escaped.
#define LABELS_MAX 512
// The longest line: name, labels, value.
#define LINE_MAX_LENGTH 1024

const char *api_metrics_escape(const char *value, char *out, size_t size)
{
	size_t used = 0;

	for (; *value && used + 3 <= size; value++) {
		if (*value == '\\' || *value == '"' || *value == '\n')
			out[used++] = '\\';
		out[used++] = *value == '\n' ? 'n' : *value;
	}
	out[used] = '\0';
	return out;
}

// Both ends as a port spec writes them: "[::1]:80", ":80" for all addresses.
static void format_end(const char *ip, uint16_t port, char *text, size_t size)
{
	bool is_ipv6 = strchr(ip, ':');
	char plain[RK_IP_TEXT_MAX + 10];

	snprintf(plain, sizeof(plain), "%s%s%s:%u", is_ipv6 ? "[" : "", ip, is_ipv6 ? "]" : "",
		port);
	api_metrics_escape(plain, text, size);
}

static void format_port_labels(const struct rk_port *port, char *labels, size_t size)
{
	char parent[2 * RK_IP_TEXT_MAX + 20];

	format_end(port->spec.parent_ip, port->spec.parent_port, parent, sizeof(parent));
	snprintf(labels, size, "port=\"%" PRIu32 "\",proto=\"%s\",parent=\"%s\"", port->id,
		proto_name(port->spec.proto), parent);
}

static void format_info_labels(const struct rk_metrics *metrics, char *labels, size_t size)
{
	const char *io = metrics->info.io_name;

	snprintf(labels, size, "version=\"%s\",io=\"%s\"", RK_VERSION, io ? io : "none");
}

static void format_labels(const struct rk_metrics *metrics, const struct metric *metric, size_t row,
	char *labels, size_t size)
{
	labels[0] = '\0';
	switch (metric->scope) {
	case SCOPE_PORT:
		format_port_labels(&metrics->reports[row].port, labels, size);
		break;
	case SCOPE_WORKER:
		snprintf(labels, size, "worker=\"%zu\"", row);
		break;
	case SCOPE_INFO:
		format_info_labels(metrics, labels, size);
		break;
	case SCOPE_PROCESS:
		break;
	}
}

static size_t row_count(const struct rk_metrics *metrics, const struct metric *metric)
{
	switch (metric->scope) {
	case SCOPE_PORT:
		return metrics->report_count;
	case SCOPE_WORKER:
		return metrics->worker_count;
	default:
		return 1;
	}
}

static int format_head(const struct metric *metric, char *out, size_t size)
{
	return snprintf(out, size, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
		metric->name, metric->type);
}

// One sample, or nothing when the figure is not known.
static int format_sample(struct rk_metrics *metrics, const struct metric *metric, char *out)
{
	const char *extra = metric->series[metrics->series].labels;
	unsigned index = metric->series[metrics->series].index;
	uint64_t value = metric->value(metrics, metrics->row, index);
	char labels[LABELS_MAX];
	char number[32];
	bool labelled;

	if (value == METRIC_UNKNOWN)
		return 0;
	format_labels(metrics, metric, metrics->row, labels, sizeof(labels));
	labelled = labels[0] || extra;
	if (metric->in_ms)
		snprintf(number, sizeof(number), "%" PRIu64 ".%03u", value / 1000,
			(unsigned)(value % 1000));
	else
		snprintf(number, sizeof(number), "%" PRIu64, value);
	return snprintf(out, LINE_MAX_LENGTH, "%s%s%s%s%s%s %s\n", metric->name,
		labelled ? "{" : "", labels, labels[0] && extra ? "," : "", extra ? extra : "",
		labelled ? "}" : "", number);
}

// To the next series, row or metric.
static void advance(struct rk_metrics *metrics, const struct metric *metric)
{
	if (++metrics->series < metric->series_count)
		return;
	metrics->series = 0;
	if (++metrics->row < row_count(metrics, metric))
		return;
	metrics->row = 0;
	metrics->metric++;
	metrics->head_printed = false;
}

// The next line into `out`, which has room for it; its length, 0 = nothing to print here.
static int next_line(struct rk_metrics *metrics, char *out)
{
	const struct metric *metric = &metric_table[metrics->metric];
	int length = 0;

	if (row_count(metrics, metric) == 0) {
		metrics->metric++;
		return 0;
	}
	if (!metrics->head_printed) {
		metrics->head_printed = true;
		return format_head(metric, out, LINE_MAX_LENGTH);
	}
	length = format_sample(metrics, metric, out);
	advance(metrics, metric);
	return length;
}

size_t api_metrics_read(struct rk_metrics *metrics, char *buffer, size_t size)
{
	size_t used = 0;

	while (size - used >= LINE_MAX_LENGTH && metrics->metric < metric_count)
		used += (size_t)next_line(metrics, buffer + used);
	return used;
}

int api_metrics_create(struct rk_metrics **result, const struct rk_api_info *info,
	struct rk_port_report *reports, size_t report_count, struct rk_worker_stats *workers,
	size_t worker_count)
{
	struct rk_metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics) {
		free(reports);
		free(workers);
		return -ENOMEM;
	}
	metrics->info = *info;
	metrics->reports = reports;
	metrics->report_count = report_count;
	metrics->workers = workers;
	metrics->worker_count = worker_count;
	process_read_figures(metrics->process);
	*result = metrics;
	return 0;
}

int api_metrics_open(struct rk_metrics **metrics, const struct rk_api_info *info,
	struct rk_ports *ports, struct rk_error *e)
{
	struct rk_port_report *reports = NULL;
	struct rk_worker_stats *workers = NULL;
	// Without a port driver there are no ports, but still a process.
	ssize_t report_count = info->port_driver ? ports_report(ports, &reports, e) : 0;
	ssize_t worker_count = report_count < 0 ? -1 : ports_worker_stats(ports, &workers, e);

	if (worker_count < 0) {
		free(reports);
		return -e->code;
	}
	if (api_metrics_create(metrics, info, reports, (size_t)report_count, workers,
		    (size_t)worker_count) < 0)
		return error_errno(e, ENOMEM, "metrics");
	return 0;
}

void api_metrics_close(struct rk_metrics *metrics)
{
	if (!metrics)
		return;
	free(metrics->reports);
	free(metrics->workers);
	free(metrics);
}
