// api_json_stats.c: states, counters and flows as JSON.

#include "base/clock.h"
#include "engine/api_json.h"
#include "engine/api_json_parts.h"
#include "engine/json.h"
#include "engine/port_state.h"

#include <string.h>

#define REASON_TEXT_MAX 256

struct counter {
	const char *name;
	uint64_t value;
};

static bool add_counters(
	cJSON *object, const char *name, const struct counter *counters, size_t count)
{
	cJSON *inner = cJSON_AddObjectToObject(object, name);
	bool complete = inner;

	for (size_t i = 0; complete && i < count; i++)
		complete = json_add_counter(inner, counters[i].name, counters[i].value) == 0;
	return complete;
}
#define ADD_COUNTERS(object, name, counters)                                                       \
	add_counters(object, name, counters, sizeof(counters) / sizeof((counters)[0]))

static bool add_error(cJSON *object, const struct rk_last_error *error)
{
	char text[RK_ADDR_TEXT_MAX];
	cJSON *inner;

	if (error->code == 0)
		return true;
	inner = cJSON_AddObjectToObject(object, "lastError");
	return inner && api_add_text(inner, "message", strerror(error->code)) &&
	       cJSON_AddNumberToObject(inner, "errno", error->code) &&
	       api_add_text(inner, "phase", error_phase_name(error->phase)) &&
	       (error->client.sa.sa_family == AF_UNSPEC ||
		       api_add_text(
			       inner, "client", addr_format(&error->client, text, sizeof(text)))) &&
	       api_add_text(inner, "time", clock_format(error->at_ms, text, sizeof(text))) &&
	       json_add_counter(inner, "ageMs", (uint64_t)clock_now_ms() - error->at_ms) == 0;
}

static bool add_state(cJSON *object, const struct rk_port_stats *stats)
{
	char reason[REASON_TEXT_MAX];

	port_reason_text(stats, reason, sizeof(reason));
	return api_add_text(object, "state", port_state_name(stats->state)) &&
	       (!reason[0] || api_add_text(object, "stateReason", reason)) &&
	       add_error(object, &stats->last_error);
}

static bool add_connections(cJSON *object, const struct rk_port_stats *stats)
{
	const uint64_t *counts = stats->counts;
	const struct counter connections[] = {
		{"open", counts[COUNT_OPEN]},
		{"pending", stats->pending},
		{"total", counts[COUNT_TOTAL]},
		{"refused", counts[COUNT_REFUSED]},
		{"failed", counts[COUNT_FAILED]},
		{"timedOut", counts[COUNT_TIMED_OUT]},
		{"downgraded", counts[COUNT_DOWNGRADED]},
		{"untracked", counts[COUNT_UNTRACKED]},
		{"resetByClient", counts[COUNT_RESET_BY_CLIENT]},
		{"resetByChild", counts[COUNT_RESET_BY_CHILD]},
		{"retries", counts[COUNT_RETRIES]},
		{"socketWaits", counts[COUNT_SOCKET_WAITS]},
		{"bufferWaits", counts[COUNT_BUFFER_WAITS]},
	};
	const struct counter listener[] = {
		{"pauses", counts[COUNT_PAUSES]},
		{"roomWaits", counts[COUNT_ROOM_WAITS]},
		{"pendingWaits", counts[COUNT_PENDING_WAITS]},
		{"backlog", stats->backlog},
		{"kernelDropped", stats->kernel_dropped},
	};

	return ADD_COUNTERS(object, "connections", connections) &&
	       ADD_COUNTERS(object, "listener", listener);
}

// Reasons that never occurred are left out.
static bool add_downgrades(cJSON *object, const struct rk_port_stats *stats)
{
	cJSON *inner;
	bool complete;

	if (stats->counts[COUNT_DOWNGRADED] == 0)
		return true;
	inner = cJSON_AddObjectToObject(object, "downgrades");
	complete = inner;
	for (unsigned i = 0; complete && i < DOWNGRADE_COUNT; i++)
		if (stats->downgrades[i] > 0)
			complete = json_add_counter(inner, downgrade_name((enum rk_downgrade)i),
					   stats->downgrades[i]) == 0;
	return complete;
}

static bool add_traffic(cJSON *object, const struct rk_port_stats *stats)
{
	const uint64_t *counts = stats->counts;
	const struct counter bytes[] = {
		{"in", counts[COUNT_BYTES_IN]}, {"out", counts[COUNT_BYTES_OUT]}};
	const struct counter datagrams[] = {
		{"in", counts[COUNT_DATAGRAMS_IN]},
		{"out", counts[COUNT_DATAGRAMS_OUT]},
		{"dropped", plane_datagrams_dropped(stats)},
	};
	const struct counter drops[] = {
		{"room", counts[COUNT_DROPPED_ROOM]},
		{"socket", counts[COUNT_DROPPED_SOCKET]},
		{"buffer", counts[COUNT_DROPPED_BUFFER]},
		{"target", counts[COUNT_DROPPED_TARGET]},
		{"send", counts[COUNT_DROPPED_SEND]},
		{"invalid", counts[COUNT_DROPPED_INVALID]},
	};

	return ADD_COUNTERS(object, "bytes", bytes) &&
	       ADD_COUNTERS(object, "datagrams", datagrams) && ADD_COUNTERS(object, "drops", drops);
}

char *api_json_states(const struct rk_port_report *reports, size_t count)
{
	cJSON *array = cJSON_CreateArray();
	bool complete = array;

	for (size_t i = 0; complete && i < count; i++) {
		cJSON *object = api_append_object(array);

		complete = api_add_port(object, &reports[i].port) &&
			   add_state(object, &reports[i].stats);
	}
	return api_print_and_free(array, complete);
}

char *api_json_stats(const struct rk_port_report *reports, size_t count)
{
	cJSON *array = cJSON_CreateArray();
	bool complete = array;

	for (size_t i = 0; complete && i < count; i++) {
		cJSON *object = api_append_object(array);

		complete = api_add_port(object, &reports[i].port) &&
			   add_state(object, &reports[i].stats) &&
			   add_connections(object, &reports[i].stats) &&
			   add_downgrades(object, &reports[i].stats) &&
			   add_traffic(object, &reports[i].stats);
	}
	return api_print_and_free(array, complete);
}

// --- flows

static bool add_address(cJSON *object, const char *name, const struct rk_addr *addr)
{
	char text[RK_ADDR_TEXT_MAX];

	return addr->sa.sa_family == AF_UNSPEC || addr_port(addr) == 0 ||
	       api_add_text(object, name, addr_format(addr, text, sizeof(text)));
}

static bool add_flow(cJSON *object, const struct rk_flow_info *flow)
{
	static const char *const states[] = {
		[FLOW_WAITING] = "waiting",
		[FLOW_CONNECTING] = "connecting",
		[FLOW_OPEN] = "open",
		[FLOW_HALF_CLOSED] = "half-closed",
		[FLOW_CLOSING] = "closing",
	};
	const struct counter bytes[] = {{"in", flow->bytes_in}, {"out", flow->bytes_out}};

	return object && json_add_counter(object, "port", flow->port) == 0 &&
	       api_add_text(object, "proto", flow->socktype == SOCK_STREAM ? "tcp" : "udp") &&
	       add_address(object, "client", &flow->client) &&
	       add_address(object, "target", &flow->target) &&
	       api_add_text(object, "state", states[flow->state]) &&
	       json_add_counter(object, "ageMs", flow->age_ms) == 0 &&
	       json_add_counter(object, "idleMs", flow->idle_ms) == 0 &&
	       ADD_COUNTERS(object, "bytes", bytes);
}

char *api_json_flows(const struct rk_flow_info *flows, size_t count, bool truncated)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *array = root ? cJSON_AddArrayToObject(root, "flows") : NULL;
	bool complete = array;

	for (size_t i = 0; complete && i < count; i++)
		complete = add_flow(api_append_object(array), &flows[i]);
	if (complete)
		complete = cJSON_AddBoolToObject(root, "truncated", truncated);
	return api_print_and_free(root, complete);
}
