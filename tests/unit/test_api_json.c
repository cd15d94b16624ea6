// test_api_json.c: the bodies of the control API: good, malformed, oversized, of wrong types.

#include "engine/api_json.h"
#include "engine/api_read.h"
#include "engine/api_routes.h"
#include "engine/json.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOD "{\"proto\":\"tcp\",\"parentPort\":8080,\"childPort\":80}"

static int read_spec(const char *body, struct rk_port_spec *spec, struct rk_error *e)
{
	// A copy without a NUL: reading past the end is seen by the address sanitizer.
	size_t length = strlen(body);
	char *exact = malloc(length ? length : 1);
	int rc;

	cr_assert(exact);
	memcpy(exact, body, length);
	rc = api_read_spec(exact, length, spec, e);
	free(exact);
	return rc;
}

Test(api_json, reads_every_member)
{
	struct rk_port_spec spec;
	struct rk_error e;

	cr_assert_eq(read_spec("{\"proto\":\"udp6\",\"parentIP\":\"::1\",\"parentPort\":1,"
			       "\"childIP\":\"10.0.2.100\",\"childPort\":65535}",
			     &spec, &e),
		0, "%s", e.text);
	cr_expect_eq(spec.proto, PROTO_UDP6);
	cr_expect_str_eq(spec.parent_ip, "::1");
	cr_expect_eq(spec.parent_port, 1);
	cr_expect_str_eq(spec.child_ip, "10.0.2.100");
	cr_expect_eq(spec.child_port, 65535);
}

Test(api_json, reads_what_go_clients_send)
{
	struct rk_port_spec spec;
	struct rk_error e;

	cr_expect_eq(read_spec(" " GOOD "\n", &spec, &e), 0, "white space around");
	cr_expect_eq(read_spec("{\"proto\":\"tcp\",\"parentIP\":\"\",\"parentPort\":1,\"childIP\":"
			       "null,\"childPort\":1,\"more\":[{}]}",
			     &spec, &e),
		0, "empty, null and unknown members: %s", e.text);
	cr_expect_eq(read_spec("{\"proto\":\"bad\",\"proto\":\"tcp\",\"parentPort\":1,"
			       "\"childPort\":1}",
			     &spec, &e),
		0, "the last of two members counts");
}

Test(api_json, reads_what_is_ours)
{
	struct rk_port_spec spec;
	struct rk_error e;

	cr_assert_eq(
		read_spec("{\"proto\":\"tcp\",\"parentPort\":0,\"childPort\":1}", &spec, &e), 0);
	cr_expect_eq(spec.parent_port, 0);
	cr_expect_not(spec.owned);
	cr_assert_eq(read_spec("{\"proto\":\"tcp\",\"parentPort\":5,\"childPort\":1,"
			       "\"parentPortEnd\":9,\"childPortEnd\":5,\"owner\":\"peer\"}",
			     &spec, &e),
		0);
	cr_expect_eq(spec.parent_port_end, 9);
	cr_expect(spec.owned);
	cr_assert_eq(read_spec("{\"proto\":\"tcp\",\"parentPort\":5,\"childPort\":1,"
			       "\"parentPortEnd\":5}",
			     &spec, &e),
		0);
	cr_expect_eq(spec.parent_port_end, 0);
}

Test(api_json, reads_lists)
{
	static const char specs_body[] = "[" GOOD "," GOOD "]";
	struct rk_port_spec *specs;
	uint32_t *ids;
	struct rk_error e;

	cr_assert_eq(api_read_specs(specs_body, strlen(specs_body), &specs, &e), 2, "%s", e.text);
	cr_expect_eq(specs[1].parent_port, 8080);
	free(specs);
	cr_expect_eq(api_read_specs("[]", 2, &specs, &e), -EINVAL);
	cr_expect_eq(api_read_specs("[1]", 3, &specs, &e), -EINVAL);
	cr_expect_str_eq(e.text, "item 1: an object is expected");
	cr_expect_eq(api_read_specs(GOOD, strlen(GOOD), &specs, &e), -EINVAL);
	cr_assert_eq(api_read_ids("[1,4294967295]", 14, &ids, &e), 2, "%s", e.text);
	cr_expect_eq(ids[1], UINT32_MAX);
	free(ids);
	cr_expect_eq(api_read_ids("[1,\"2\"]", 7, &ids, &e), -EINVAL);
	cr_expect_eq(api_read_ids("[0]", 3, &ids, &e), -EINVAL);
}

Test(api_json, reads_a_target)
{
	struct rk_api_target target;
	struct rk_error e;

	cr_assert_eq(api_read_target("{\"childIP\":\"\"}", 14, &target, &e), 0);
	cr_expect(target.has_child_ip);
	cr_expect_eq(target.child_port, 0);
	cr_assert_eq(api_read_target("{\"childPort\":7}", 15, &target, &e), 0);
	cr_expect_not(target.has_child_ip);
	cr_expect_eq(target.child_port, 7);
	cr_expect_eq(api_read_target("{}", 2, &target, &e), -EINVAL);
	cr_expect_eq(api_read_target("{\"childPort\":0}", 15, &target, &e), -EINVAL);
}

struct bad_body {
	char body[160];
	char names[32]; // what the message must mention
};

ParameterizedTestParameters(api_json, refuses)
{
	static struct bad_body cases[] = {
		{"", "empty"},
		{"{", "JSON"},
		{"{\"proto\":\"tcp\",\"parentPort\":8080,\"childPort\":80", "JSON"},
		{"{\"proto\":\"tcp", "JSON"},
		{"nonsense", "JSON"},
		{"[]", "object"},
		{"null", "object"},
		{"\"tcp\"", "object"},
		{GOOD GOOD, "object"},
		{GOOD "x", "object"},
		{"{}", "proto"},
		{"{\"proto\":\"tcp\\u0000x\",\"parentPort\":1,\"childPort\":1}", "NUL"},
		{"{\"proto\":\"TCP\",\"parentPort\":1,\"childPort\":1}", "TCP"},
		{"{\"proto\":\"sctp\",\"parentPort\":1,\"childPort\":1}", "sctp"},
		{"{\"proto\":6,\"parentPort\":1,\"childPort\":1}", "proto"},
		{"{\"proto\":\"tcp\",\"parentPort\":\"1\",\"childPort\":1}", "parentPort"},
		{"{\"proto\":\"tcp\",\"parentPort\":1.5,\"childPort\":1}", "parentPort"},
		{"{\"proto\":\"tcp\",\"parentPort\":-1,\"childPort\":1}", "parentPort"},
		{"{\"proto\":\"tcp\",\"parentPort\":1e300,\"childPort\":1}", "parentPort"},
		{"{\"proto\":\"tcp\",\"parentPort\":true,\"childPort\":1}", "parentPort"},
		{"{\"proto\":\"tcp\",\"parentPort\":1,\"childPort\":65536}", "childPort"},
		{"{\"proto\":\"tcp\",\"parentPort\":1,\"childPort\":[1]}", "childPort"},
		{"{\"proto\":\"tcp\",\"parentPort\":1}", "child port"},
		{"{\"proto\":\"tcp\",\"parentPort\":9,\"childPort\":1,\"parentPortEnd\":8}",
			"parentPortEnd"},
		{"{\"proto\":\"tcp\",\"parentPort\":0,\"childPort\":1,\"parentPortEnd\":8}",
			"a range"},
		{"{\"proto\":\"tcp\",\"parentPort\":9,\"childPort\":1,\"parentPortEnd\":10,"
		 "\"childPortEnd\":3}",
			"childPortEnd"},
		{"{\"proto\":\"tcp\",\"parentPort\":1,\"childPort\":1,\"owner\":\"me\"}", "owner"},
		{"{\"proto\":\"tcp\",\"childPort\":1}", "parent port"},
		{"{\"proto\":\"tcp\",\"parentIP\":1,\"parentPort\":1,\"childPort\":1}", "parentIP"},
		{"{\"proto\":\"tcp\",\"parentIP\":\"x\",\"parentPort\":1,\"childPort\":1}",
			"parent"},
		{"{\"proto\":\"tcp4\",\"parentIP\":\"::1\",\"parentPort\":1,\"childPort\":1}",
			"::1"},
		{"{\"proto\":\"tcp\",\"parentPort\":1,\"childIP\":{},\"childPort\":1}", "childIP"},
	};

	return cr_make_param_array(struct bad_body, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct bad_body *bad, api_json, refuses)
{
	struct rk_port_spec spec;
	struct rk_error e = {0};

	cr_expect_eq(read_spec(bad->body, &spec, &e), -EINVAL, "accepted: %s", bad->body);
	cr_expect(strstr(e.text, bad->names), "%s: the message does not say \"%s\": %s", bad->body,
		bad->names, e.text);
}

Test(api_json, refuses_a_string_that_does_not_fit)
{
	struct rk_port_spec spec;
	struct rk_error e;
	char body[256];

	snprintf(body, sizeof(body),
		"{\"proto\":\"tcp\",\"parentIP\":\"%0100d\",\"parentPort\":1,\"childPort\":1}", 1);
	cr_expect_eq(read_spec(body, &spec, &e), -EINVAL);
	cr_expect(strstr(e.text, "parentIP"), "%s", e.text);
}

Test(api_json, survives_deep_nesting)
{
	static char body[RK_API_BODY_MAX];
	struct rk_port_spec spec;
	struct rk_error e;

	memset(body, '[', sizeof(body));
	cr_expect_eq(api_read_spec(body, sizeof(body), &spec, &e), -EINVAL);
}

static void expect_text(char *text, const char *expected)
{
	cr_assert(text);
	cr_expect_str_eq(text, expected);
	free(text);
}

// The expected texts below are answers of RootlessKit 1.1.0.
Test(api_json, prints_ports_as_upstream)
{
	const struct rk_port list[] = {
		{1, {PROTO_TCP, "127.0.0.1", "", 28080, 80}},
		{2, {PROTO_UDP, "::1", "10.0.0.1", 27071, 81}},
	};

	const struct rk_port_report reports[] = {{.port = list[0]}, {.port = list[1]}};

	expect_text(api_json_port(&list[0]),
		"{\"id\":1,\"spec\":{\"proto\":\"tcp\",\"parentIP\":\"127.0.0.1\","
		"\"parentPort\":28080,\"childPort\":80}}");
	expect_text(api_json_states(reports, 0), "[]");
	expect_text(api_json_states(reports, 2),
		"[{\"id\":1,\"spec\":{\"proto\":\"tcp\",\"parentIP\":\"127.0.0.1\","
		"\"parentPort\":28080,\"childPort\":80},\"state\":\"listening\"},"
		"{\"id\":2,\"spec\":{\"proto\":\"udp\",\"parentIP\":\"::1\",\"parentPort\":27071,"
		"\"childPort\":81,\"childIP\":\"10.0.0.1\"},\"state\":\"listening\"}]");
}

Test(api_json, prints_info_as_upstream)
{
	static const char *const protos[] = {"tcp", "udp", NULL};
	struct rk_network_info network = {
		.driver = "slirp4netns",
		.ip = "10.0.2.100",
		.dns = {"10.0.2.3"},
		.child_pid = 10589,
	};
	struct rk_api_info info = {
		.state_dir = "/s",
		.network = &network,
		.port_driver = "builtin",
		.protos = protos,
	};

	expect_text(api_json_info(&info),
		"{\"apiVersion\":\"1.1.1\",\"version\":\"" RK_VERSION "\",\"stateDir\":\"/s\","
		"\"childPID\":10589,\"networkDriver\":{\"driver\":\"slirp4netns\","
		"\"dns\":[\"10.0.2.3\"],\"childIP\":\"10.0.2.100\"},"
		"\"portDriver\":{\"driver\":\"builtin\",\"protos\":[\"tcp\",\"udp\"]}}");
	network.driver[0] = '\0';
	info.port_driver = NULL;
	expect_text(api_json_info(&info),
		"{\"apiVersion\":\"1.1.1\",\"version\":\"" RK_VERSION "\",\"stateDir\":\"/s\","
		"\"childPID\":10589}");
}

Test(api_json, prints_counters_exactly)
{
	const struct rk_port_report report = {
		.port = {1, {PROTO_TCP, "", "", 1, 1}},
		.stats =
			{
				.state = PORT_PAUSED,
				.reason = REASON_ERROR,
				.reason_error = EMFILE,
				.last_error = {.code = ECONNREFUSED, .phase = ERROR_CONNECT},
				.counts = {[COUNT_BYTES_IN] = UINT64_MAX},
			},
	};
	char *text = api_json_stats(&report, 1);

	cr_assert(text);
	cr_expect(strstr(text, "\"bytes\":{\"in\":18446744073709551615,\"out\":0}"), "%s", text);
	cr_expect(strstr(text, "\"state\":\"paused\",\"stateReason\":\"Too many open files; raise"),
		"%s", text);
	cr_expect(strstr(text, "\"lastError\":{\"message\":\"Connection refused\",\"errno\":111,"
			       "\"phase\":\"connect to the child\",\"time\":\""),
		"%s", text);
	free(text);
}

Test(api_json, escapes_messages)
{
	// Filled by hand: error_set() would leave one line of it.
	struct rk_error e = {EINVAL, "a \"quoted\"\nline", ""};

	expect_text(api_json_error(&e),
		"{\"message\":\"a \\\"quoted\\\"\\nline\",\"code\":\"EINVAL\"}");
	error_hint(&e, "do this");
	expect_text(api_json_error(&e),
		"{\"message\":\"a \\\"quoted\\\"\\nline (do this)\",\"code\":\"EINVAL\"}");
}

// --- routes

struct routed {
	char method[8];
	char path[32];
	unsigned status;
	char allow[16];
};

ParameterizedTestParameters(api_routes, answers)
{
	static struct routed cases[] = {
		{"GET", "/v1/info", 200, ""},
		{"POST", "/v1/info", 405, "GET"},
		{"GET", "/v1/ports", 400, ""}, // no port driver here
		{"PUT", "/v1/ports", 400, ""},
		{"PATCH", "/v1/ports", 405, "GET, POST, PUT"},
		{"PATCH", "/v1/ports/1", 400, ""},
		{"POST", "/v1/ports/bulk", 400, ""},
		{"DELETE", "/v1/ports/bulk", 400, ""},
		{"GET", "/v1/ports/bulk", 405, "POST, DELETE"},
		{"DELETE", "/v1/ports/1", 400, ""},
		{"DELETE", "/v1/ports/-1", 400, ""},
		{"DELETE", "/v1/ports/4294967297", 400, ""},
		{"GET", "/v1/ports/1", 405, "DELETE, PATCH"},
		{"DELETE", "/v1/ports/", 404, ""},
		{"DELETE", "/v1/ports/1/2", 404, ""},
		{"GET", "/v1/info/", 404, ""},
		{"GET", "/", 404, ""},
		{"GET", "", 404, ""},
	};

	return cr_make_param_array(struct routed, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct routed *expected, api_routes, answers)
{
	const struct rk_api_request request = {.method = expected->method, .path = expected->path};
	const struct rk_network_info network = {.child_pid = 1};
	const struct rk_api_info info = {.state_dir = "/s", .network = &network};
	struct rk_ports *none = ports_create(NULL);
	struct rk_api_reply reply;

	api_routes_answer(&reply, &request, &info, none);
	cr_expect_eq(reply.status, expected->status, "%s %s: %u", expected->method, expected->path,
		reply.status);
	cr_expect_str_eq(reply.allow ? reply.allow : "", expected->allow);
	cr_expect(reply.body && reply.body[0] == '{');
	if (expected->status != 200)
		cr_expect(strncmp(reply.body, "{\"message\":\"", 12) == 0, "%s", reply.body);
	free(reply.body);
	ports_destroy(none);
}

Test(api_routes, bad_ids_are_named)
{
	static const char *const paths[] = {
		"/v1/ports/-1", "/v1/ports/ 1", "/v1/ports/1x", "/v1/ports/4294967297"};
	const struct rk_network_info network = {.child_pid = 1};
	const struct rk_api_info info = {.state_dir = "/s", .network = &network};
	struct rk_ports *none = ports_create(NULL);

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct rk_api_request request = {.method = "DELETE", .path = paths[i]};
		struct rk_api_reply reply;

		api_routes_answer(&reply, &request, &info, none);
		cr_expect(
			reply.body && strstr(reply.body, "bad id"), "%s: %s", paths[i], reply.body);
		free(reply.body);
	}
	ports_destroy(none);
}

// The items of an array have no names to compare with.
Test(api_json, finds_no_member_in_what_is_no_object)
{
	cJSON *array = cJSON_Parse("[1, \"x\"]");
	char text[8] = "kept";
	uint32_t number = 7;
	struct rk_error e;

	cr_expect_eq(json_get_text(array, "childIP", text, sizeof(text), &e), 0);
	cr_expect_eq(json_get_integer(array, "id", 1, 9, &number, &e), 0);
	cr_expect_str_eq(text, "kept");
	cr_expect_eq(number, 7);
	cJSON_Delete(array);
}

// A scope that the text form cannot say must not come in by JSON either.
Test(api_json, refuses_scopes_that_the_text_form_has_not)
{
	static const char *const scopes[] = {"a,b", "a\\u0001", "\\u00e9", "a b", "a/b"};
	struct rk_port_spec spec;
	struct rk_error e;
	char body[128];

	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		snprintf(body, sizeof(body),
			"{\"proto\":\"tcp\",\"parentPort\":1,\"childPort\":2,"
			"\"childIP\":\"fe80::1%%%s\"}",
			scopes[i]);
		cr_expect_eq(read_spec(body, &spec, &e), -EINVAL, "%s", scopes[i]);
	}
}
