// Unit tests: GET /metrics: escaping, lines, reading in pieces, figures of the process.

#include "engine/api_metrics.h"
#include "engine/api_process.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(metrics, escapes_label_values)
{
	char out[64];

	cr_expect_str_eq(api_metrics_escape("plain", out, sizeof(out)), "plain");
	cr_expect_str_eq(api_metrics_escape("a\"b\\c\nd", out, sizeof(out)), "a\\\"b\\\\c\\nd");
	// Never half an escape.
	cr_expect_str_eq(api_metrics_escape("ab\"\"", out, 6), "ab\\\"");
}

static struct rk_metrics *open_metrics(size_t ports, const char *parent_ip)
{
	static const struct rk_network_info network = {.child_pid = 1};
	const struct rk_api_info info = {
		.state_dir = "/s", .network = &network, .io_name = "io_uring"};
	struct rk_port_report *reports = calloc(ports + 1, sizeof(*reports));
	struct rk_worker_stats *workers = calloc(1, sizeof(*workers));
	struct rk_metrics *metrics = NULL;

	cr_assert(reports && workers);
	for (size_t i = 0; i < ports; i++) {
		reports[i].port.id = (uint32_t)i + 1;
		reports[i].port.spec.parent_port = 8080;
		strcpy(reports[i].port.spec.parent_ip, parent_ip);
		reports[i].stats.counts[COUNT_BYTES_IN] = UINT64_MAX - i - 1;
		reports[i].stats.counts[COUNT_FAILED] = 5;
		reports[i].stats.counts[COUNT_TIMED_OUT] = 2;
	}
	workers[0].timers[TIMER_PAUSE] = 7;
	cr_assert_eq(api_metrics_create(&metrics, &info, reports, ports, workers, 1), 0);
	return metrics;
}

// All of it, read in pieces of `size`.
static char *read_all(struct rk_metrics *metrics, size_t size)
{
	char *text = calloc(1, 4 * 1024 * 1024);
	char *piece = malloc(size);
	size_t used = 0, length;

	cr_assert(text && piece);
	while ((length = api_metrics_read(metrics, piece, size)) > 0) {
		cr_assert_leq(length, size);
		cr_assert_eq(piece[length - 1], '\n', "whole lines only");
		memcpy(text + used, piece, length);
		used += length;
	}
	free(piece);
	api_metrics_close(metrics);
	return text;
}

static void expect_line(const char *text, const char *line)
{
	cr_expect(strstr(text, line), "missing: %s", line);
}

Test(metrics, prints_figures_with_their_labels)
{
	char *text = read_all(open_metrics(2, "127.0.0.1"), 4096);

	expect_line(text,
		"\n# TYPE rk_engine_port_bytes_total counter\n"
		"rk_engine_port_bytes_total{port=\"1\",proto=\"tcp\",parent=\"127.0.0.1:8080\","
		"direction=\"in\"} 18446744073709551614\n");
	expect_line(
		text, "{port=\"2\",proto=\"tcp\",parent=\"127.0.0.1:8080\",reason=\"other\"} 3\n");
	expect_line(text, "\nrk_engine_worker_timers_total{worker=\"0\",kind=\"pause\"} 7\n");
	expect_line(text, "\nrk_engine_build_info{version=\"" RK_VERSION "\",io=\"io_uring\"} 1\n");
	expect_line(text, "\nprocess_max_fds ");
	// Nothing has gone wrong yet: no time.
	cr_expect_not(strstr(text, "rk_engine_port_last_error_timestamp_seconds{"));
	free(text);
}

Test(metrics, writes_addresses_as_port_specs_do)
{
	char *text = read_all(open_metrics(1, "fe80::1%a\"b\\"), 4096);

	expect_line(text, "parent=\"[fe80::1%a\\\"b\\\\]:8080\"");
	free(text);
	text = read_all(open_metrics(1, ""), 4096);
	expect_line(text, "parent=\":8080\"");
	free(text);
}

Test(metrics, pieces_of_any_size_make_the_same_text)
{
	char *small = read_all(open_metrics(40, "::1"), 1024);
	char *large = read_all(open_metrics(40, "::1"), 1024 * 1024);

	// What the process itself uses changes meanwhile.
	*strstr(small, "# HELP process_") = '\0';
	*strstr(large, "# HELP process_") = '\0';
	cr_expect_str_eq(small, large);
	free(small);
	free(large);
}

Test(metrics, has_no_lines_for_what_is_not_there)
{
	char *text = read_all(open_metrics(0, ""), 4096);

	cr_expect_not(strstr(text, "rk_engine_port_"));
	expect_line(text, "rk_engine_worker_up{worker=\"0\"} 1\n");
	free(text);
}

Test(process_figures, are_those_of_this_process)
{
	uint64_t figures[PROCESS_FIGURES];

	process_read_figures(figures);
	for (unsigned i = 0; i < PROCESS_FIGURES; i++)
		cr_expect_neq(figures[i], PROCESS_UNKNOWN, "figure %u", i);
	cr_expect_geq(figures[PROCESS_OPEN_FDS], 3);
	cr_expect_leq(figures[PROCESS_OPEN_FDS], 100);
	cr_expect_gt(figures[PROCESS_RESIDENT_BYTES], 1024 * 1024);
	cr_expect_gt(figures[PROCESS_VIRTUAL_BYTES], figures[PROCESS_RESIDENT_BYTES]);
	cr_expect_gt(figures[PROCESS_START_MS], 1600000000000);
}
