// top.c: rootlessctl top: the busiest ports and clients, live (see top.h).

#include "engine/ctl/top.h"
#include "base/fd.h"
#include "engine/ctl/terminal.h"
#include "engine/ctl/top_sample.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DELAY_MIN_S 0.1
#define DELAY_MAX_S 3600.0
#define CLIENTS_MAX 10u

struct view {
	bool batch;
	double delay;
	unsigned long count; // frames, 0 = no end
	unsigned columns, rows;
	unsigned row; // lines printed of this frame
};

static int read_options(struct view *view, const struct ctl_options *options, struct rk_error *e)
{
	char *end = "";

	*view = (struct view){.batch = options->batch || !isatty(STDOUT_FILENO), .delay = 1};
	if (options->delay && options->delay[0])
		view->delay = strtod(options->delay, &end);
	if (*end || !(view->delay >= DELAY_MIN_S && view->delay <= DELAY_MAX_S))
		return error_set(e, EINVAL, "-d: seconds from 0.1 to 3600 are expected");
	if (options->count && options->count[0])
		view->count = strtoul(options->count, &end, 10);
	if (*end || (options->count && (view->count == 0 || options->count[0] == '-')))
		return error_set(e, EINVAL, "-n: a whole number from 1 is expected");
	return 0;
}

// One line, cut to the screen; lines below the screen are left out.
__attribute__((format(printf, 2, 3))) static void print_line(
	struct view *view, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (view->batch)
		puts(line);
	else if (view->row + 1 < view->rows)
		printf("%.*s\033[K\r\n", (int)view->columns, line);
	view->row++;
}

// Three digits and a unit: "999", "1.2k", "34.5M".
static const char *scale(double value, char text[16])
{
	static const char units[] = " kMGTP";
	unsigned unit = 0;

	while (value >= 999.5 && units[unit + 1]) {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(text, 16, value > 0 && value < 9.95 ? "%.1f" : "%.0f", value);
	else
		snprintf(text, 16, value < 99.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
	return text;
}

static void show_summary(struct view *view, const struct top_sample *sample)
{
	double open = 0, connections = 0, in = 0, out = 0;
	char texts[3][16];
	char stamp[32];
	time_t now = time(NULL);
	struct tm local;

	for (size_t i = 0; i < sample->port_count; i++) {
		open += sample->ports[i].open;
		connections += sample->ports[i].rate.connections;
		in += sample->ports[i].rate.in;
		out += sample->ports[i].rate.out;
	}
	strftime(stamp, sizeof(stamp), "%H:%M:%S", localtime_r(&now, &local));
	print_line(view, "%s  %zu ports, %.0f open, %s connections/s, %s bit/s in, %s bit/s out",
		stamp, sample->port_count, open, scale(connections, texts[0]),
		scale(8 * in, texts[1]), scale(8 * out, texts[2]));
}

static void show_port(struct view *view, const struct top_port *port)
{
	char texts[5][16];

	print_line(view, "%5.0f %-5s %-22s %-10s %6.0f %7s %7s %7s %7s %7s  %s", port->id,
		port->proto, port->parent, port->state, port->open,
		scale(port->rate.connections, texts[0]), scale(8 * port->rate.in, texts[1]),
		scale(8 * port->rate.out, texts[2]), scale(port->rate.failed, texts[3]),
		scale(port->rate.dropped, texts[4]), port->error);
}

static void show_clients(struct view *view, const struct top_sample *sample)
{
	char text[16];

	print_line(view, "%s", "");
	print_line(view, "%-40s %7s %9s%s", "CLIENT", "FLOWS", "BIT/S",
		sample->truncated ? "  (of the first flows only: there are more)" : "");
	for (size_t i = 0; i < sample->client_count && i < CLIENTS_MAX; i++)
		print_line(view, "%-40s %7u %9s", sample->clients[i].address,
			sample->clients[i].flows, scale(8 * sample->clients[i].rate, text));
}

// On a screen the ports leave room for the clients below them.
static size_t ports_that_fit(const struct view *view, const struct top_sample *sample)
{
	size_t clients = sample->client_count < CLIENTS_MAX ? sample->client_count : CLIENTS_MAX;
	size_t others = 5 + clients;

	if (view->batch || sample->port_count + others <= view->rows)
		return sample->port_count;
	return view->rows > others + 3 ? view->rows - others : 3;
}

static void show(struct view *view, struct top_sample *sample)
{
	size_t ports;

	terminal_size(&view->columns, &view->rows);
	view->row = 0;
	top_sample_sort(sample);
	ports = ports_that_fit(view, sample);
	if (!view->batch)
		fputs("\033[H", stdout);
	show_summary(view, sample);
	print_line(view, "%5s %-5s %-22s %-10s %6s %7s %7s %7s %7s %7s  %s", "ID", "PROTO",
		"PARENT", "STATE", "OPEN", "CONN/S", "BIT/S-I", "BIT/S-O", "FAIL/S", "DROP/S",
		"LAST-ERROR");
	for (size_t i = 0; i < ports && i < sample->port_count; i++)
		show_port(view, &sample->ports[i]);
	show_clients(view, sample);
	fputs(view->batch ? "\n" : "\033[J", stdout);
	fflush(stdout);
	top_sample_restore(sample);
}

// Until the delay is over; a new size only draws again. False: leave.
static bool pause_between(struct view *view, struct top_sample *shown)
{
	enum terminal_event event;

	while ((event = terminal_wait(view->delay)) == TERMINAL_RESIZED)
		if (shown->time > 0 && !view->batch)
			show(view, shown);
	return event == TERMINAL_TIMEOUT;
}

// The first frame needs two samples: rates since the one before.
static int run(struct view *view, struct ctl_client *client, struct rk_error *e)
{
	struct top_sample before, now;
	int rc = top_sample_take(&before, client, e);

	if (rc < 0)
		return rc;
	for (unsigned long frame = 0; view->count == 0 || frame < view->count; frame++) {
		if (!pause_between(view, &before))
			break;
		rc = top_sample_take(&now, client, e);
		if (rc < 0)
			break;
		top_sample_compare(&now, &before);
		show(view, &now);
		top_sample_free(&before);
		before = now;
		if (ferror(stdout))
			break;
	}
	top_sample_free(&before);
	return rc;
}

int top_run(struct ctl_client *client, char *const *words, const struct ctl_options *options,
	struct rk_error *e)
{
	struct view view;
	int rc = read_options(&view, options, e);

	(void)words;
	if (rc < 0)
		return rc;
	terminal_catch_signals();
	if (!view.batch)
		terminal_open();
	rc = run(&view, client, e);
	terminal_close();
	return rc;
}
