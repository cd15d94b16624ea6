// show.c: the control API's answers as text for people.
//
// How it works: a table's columns are paths into the objects of the answer, so that a server that
// leaves a member out (an empty address) or adds one needs nothing here.

#include "engine/ctl/show.h"
#include "base/fd.h"
#include "base/printable.h"
#include "engine/ctl/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELL_MAX 160

struct column {
	const char *title;
	const char *group; // the member that holds `member`, NULL = the object itself
	const char *member;
	const char *end; // the member that ends the range, NULL = none can
};

static const struct column port_columns[] = {
	{"ID", NULL, "id", NULL},
	{"PROTO", "spec", "proto", NULL},
	{"PARENTIP", "spec", "parentIP", NULL},
	{"PARENTPORT", "spec", "parentPort", "parentPortEnd"},
	{"CHILDIP", "spec", "childIP", NULL},
	{"CHILDPORT", "spec", "childPort", "childPortEnd"},
};

static const struct column stats_columns[] = {
	{"ID", NULL, "id", NULL},
	{"PROTO", "spec", "proto", NULL},
	{"PARENTIP", "spec", "parentIP", NULL},
	{"PARENTPORT", "spec", "parentPort", "parentPortEnd"},
	{"STATE", NULL, "state", NULL},
	{"OPEN", "connections", "open", NULL},
	{"PENDING", "connections", "pending", NULL},
	{"TOTAL", "connections", "total", NULL},
	{"REFUSED", "connections", "refused", NULL},
	{"FAILED", "connections", "failed", NULL},
	{"DOWNGRADED", "connections", "downgraded", NULL},
	{"WHY", NULL, "downgrades", NULL},
	{"BYTES-IN", "bytes", "in", NULL},
	{"BYTES-OUT", "bytes", "out", NULL},
	{"DROPPED", "datagrams", "dropped", NULL},
	{"SOURCE-IP", "sourceIP", "mode", NULL},
	{"V4", "sourceIP", "ipv4", NULL},
	{"V6", "sourceIP", "ipv6", NULL},
	{"PROXY", NULL, "proxyProtocol", NULL},
	{"LAST-ERROR", NULL, "lastError", NULL},
};

static const struct column flow_columns[] = {
	{"PORT", NULL, "port", NULL},
	{"PROTO", NULL, "proto", NULL},
	{"CLIENT", NULL, "client", NULL},
	{"TARGET", NULL, "target", NULL},
	{"STATE", NULL, "state", NULL},
	{"AGE-MS", NULL, "ageMs", NULL},
	{"IDLE-MS", NULL, "idleMs", NULL},
	{"BYTES-IN", "bytes", "in", NULL},
	{"BYTES-OUT", "bytes", "out", NULL},
};

static const cJSON *find(const cJSON *object, const char *group, const char *member)
{
	if (group)
		object = cJSON_GetObjectItemCaseSensitive(object, group);
	return cJSON_GetObjectItemCaseSensitive(object, member);
}

// As in "family=2,inside=1".
static void format_counters(const cJSON *counters, char *out, size_t size)
{
	const cJSON *counter;
	size_t used = 0;

	cJSON_ArrayForEach(counter, counters)
	{
		if (used < size)
			used += (size_t)snprintf(out + used, size - used, "%s%s=%.0f",
				used ? "," : "", counter->string, counter->valuedouble);
	}
}

const char *show_last_error(const cJSON *error, char *out, size_t size)
{
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(error, "message");
	const cJSON *phase = cJSON_GetObjectItemCaseSensitive(error, "phase");
	const cJSON *client = cJSON_GetObjectItemCaseSensitive(error, "client");
	const cJSON *age = cJSON_GetObjectItemCaseSensitive(error, "ageMs");

	out[0] = '\0';
	if (cJSON_IsString(message) && cJSON_IsString(phase))
		snprintf(out, size, "%s: %s%s%s, %.0f s ago", phase->valuestring,
			message->valuestring, cJSON_IsString(client) ? ", client " : "",
			cJSON_IsString(client) ? client->valuestring : "",
			cJSON_IsNumber(age) ? age->valuedouble / 1000 : 0.0);
	return out;
}

// The member's text, fit for a terminal; "" when it is absent.
static void format_member(const cJSON *member, char *out, size_t size)
{
	out[0] = '\0';
	if (cJSON_GetObjectItemCaseSensitive(member, "phase"))
		show_last_error(member, out, size);
	else if (cJSON_IsObject(member))
		format_counters(member, out, size);
	else if (cJSON_IsString(member))
		snprintf(out, size, "%s", member->valuestring);
	else if (cJSON_IsNumber(member))
		snprintf(out, size, "%.0f", member->valuedouble);
	printable_clean(out);
}

static void format_cell(const cJSON *item, const struct column *column, char text[CELL_MAX])
{
	const cJSON *end = column->end ? find(item, column->group, column->end) : NULL;
	size_t length;

	format_member(find(item, column->group, column->member), text, CELL_MAX);
	length = strlen(text);
	if (cJSON_IsNumber(end))
		snprintf(text + length, CELL_MAX - length, "-%.0f", end->valuedouble);
}

static size_t item_count(const cJSON *array)
{
	return cJSON_IsArray(array) ? (size_t)cJSON_GetArraySize(array) : 0;
}

// Upstream's server answers null when there are no ports.
static int check_array(const cJSON *array, struct rk_error *e)
{
	if (cJSON_IsArray(array) || cJSON_IsNull(array))
		return 0;
	return error_set(e, EPROTO, "the server's answer is no list");
}

static int show_table(
	const cJSON *array, const struct column *columns, size_t count, struct rk_error *e)
{
	size_t rows = item_count(array) + 1;
	RK_CLEANUP_FREE char(*texts)[CELL_MAX] = calloc(rows * count, sizeof(*texts));
	RK_CLEANUP_FREE const char **cells = calloc(rows * count, sizeof(*cells));
	const cJSON *item;
	size_t next = count;

	if (!texts || !cells)
		return error_errno(e, ENOMEM, "table of %zu rows", rows);
	for (size_t i = 0; i < count; i++)
		cells[i] = columns[i].title;
	cJSON_ArrayForEach(item, array)
	{
		for (size_t i = 0; i < count; i++, next++) {
			format_cell(item, &columns[i], texts[next]);
			cells[next] = texts[next];
		}
	}
	if (table_print(cells, rows, count) < 0)
		return error_errno(e, ENOMEM, "table of %zu rows", rows);
	return 0;
}

int show_ports(const cJSON *ports, struct rk_error *e)
{
	int rc = check_array(ports, e);

	if (rc < 0)
		return rc;
	return show_table(ports, port_columns, sizeof(port_columns) / sizeof(port_columns[0]), e);
}

int show_stats(const cJSON *reports, struct rk_error *e)
{
	int rc = check_array(reports, e);

	if (rc < 0)
		return rc;
	return show_table(
		reports, stats_columns, sizeof(stats_columns) / sizeof(stats_columns[0]), e);
}

int show_flows(const cJSON *answer, struct rk_error *e)
{
	const cJSON *flows = cJSON_GetObjectItemCaseSensitive(answer, "flows");
	int rc = check_array(flows, e);

	if (rc == 0)
		rc = show_table(
			flows, flow_columns, sizeof(flow_columns) / sizeof(flow_columns[0]), e);
	if (rc == 0 && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "truncated")))
		puts("... and more: the list is cut here");
	return rc;
}

static void show_member(const char *title, const cJSON *object, const char *name)
{
	char text[4096];

	format_member(cJSON_GetObjectItemCaseSensitive(object, name), text, sizeof(text));
	printf("%s: %s\n", title, text);
}

static void show_list(const char *title, const cJSON *object, const char *name)
{
	const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, name);
	const char *gap = "";
	const cJSON *item;
	char text[CELL_MAX];

	printf("%s: [", title);
	cJSON_ArrayForEach(item, array)
	{
		format_member(item, text, sizeof(text));
		printf("%s%s", gap, text);
		gap = " ";
	}
	printf("]\n");
}

// How far clients' addresses can be shown, by protocol and family.
static void show_source(const cJSON *source)
{
	char name[CELL_MAX], text[CELL_MAX];
	const cJSON *level;

	if (!cJSON_IsObject(source))
		return;
	printf("  - Source IP:");
	cJSON_ArrayForEach(level, source)
	{
		snprintf(name, sizeof(name), "%s", level->string);
		printable_clean(name);
		format_member(level, text, sizeof(text));
		printf(" %s=%s", name, text);
	}
	putchar('\n');
}

int show_info(const cJSON *info, struct rk_error *e)
{
	const cJSON *network = cJSON_GetObjectItemCaseSensitive(info, "networkDriver");
	const cJSON *port = cJSON_GetObjectItemCaseSensitive(info, "portDriver");
	const cJSON *engine = cJSON_GetObjectItemCaseSensitive(info, "engine");

	if (!cJSON_IsObject(info))
		return error_set(e, EPROTO, "the server's answer is no object");
	show_member("- REST API version", info, "apiVersion");
	show_member("- Implementation version", info, "version");
	show_member("- State Directory", info, "stateDir");
	show_member("- Child PID", info, "childPID");
	if (cJSON_IsObject(network)) {
		show_member("- Network Driver", network, "driver");
		show_list("  - DNS", network, "dns");
		show_member("  - IP", network, "childIP");
	}
	if (cJSON_IsObject(port)) {
		show_member("- Port Driver", port, "driver");
		show_list("  - Supported protocols", port, "protos");
	}
	if (cJSON_IsObject(engine)) {
		show_member("- Engine", engine, "io");
		show_member("  - Workers", engine, "workers");
		show_source(cJSON_GetObjectItemCaseSensitive(engine, "sourceIP"));
	}
	return 0;
}

int show_port_id(const cJSON *port, struct rk_error *e)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(port, "id");

	if (!cJSON_IsNumber(id))
		return error_set(e, EPROTO, "the server's answer has no id");
	printf("%.0f\n", id->valuedouble);
	return 0;
}
