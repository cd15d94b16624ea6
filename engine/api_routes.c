// api_routes.c: what the control API answers to a request, free of HTTP's transport.
//
// How it works: one table row per path and method. The path decides between 404 and the rest, the
// method between 405 (with all methods of that path in Allow) and the handler. A handler that
// fails leaves its reason in the error, whose code decides between the client's fault and ours.

#include "engine/api_routes.h"
#include "config/quote.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	STATUS_OK = 200,
	STATUS_CREATED = 201,
	STATUS_BAD_REQUEST = 400,
	STATUS_NOT_FOUND = 404,
	STATUS_METHOD_NOT_ALLOWED = 405,
	STATUS_SERVER_ERROR = 500
};

struct call {
	const struct rk_api_request *request;
	const struct rk_api_info *info;
	struct rk_ports *ports;
	const char *argument; // what stands for {id} in the path
	char *body;           // the answer
};

static int get_info(struct call *call, struct rk_error *e)
{
	(void)e;
	call->body = api_json_info(call->info);
	return 0;
}

static int get_ports(struct call *call, struct rk_error *e)
{
	struct rk_port *list = NULL;
	ssize_t count = ports_list(call->ports, &list, e);

	if (count >= 0)
		call->body = api_json_ports(list, (size_t)count);
	free(list);
	return count < 0 ? (int)count : 0;
}

static int get_stats(struct call *call, struct rk_error *e)
{
	struct rk_port_report *list = NULL;
	ssize_t count = ports_report(call->ports, &list, e);

	if (count >= 0)
		call->body = api_json_stats(list, (size_t)count);
	free(list);
	return count < 0 ? (int)count : 0;
}

static int post_port(struct call *call, struct rk_error *e)
{
	struct rk_port_spec spec;
	struct rk_port port;
	int rc = api_json_read_spec(call->request->body, call->request->length, &spec, e);

	if (rc == 0)
		rc = ports_add(call->ports, &spec, &port, e);
	if (rc == 0)
		call->body = api_json_port(&port);
	return rc;
}

// Digits only: no sign, no space, nothing behind; 0 is read, and is the id of no port.
static int parse_id(const char *text, uint32_t *id, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];
	size_t length = strspn(text, "0123456789");
	unsigned long value = strtoul(text, NULL, 10);

	if (length == 0 || length > 10 || text[length] || value > UINT32_MAX)
		return error_set(e, EINVAL, "bad id %s: not a whole number",
			quote_text(text, strlen(text), quoted, sizeof(quoted)));
	*id = (uint32_t)value;
	return 0;
}

static int delete_port(struct call *call, struct rk_error *e)
{
	uint32_t id = 0;
	int rc = parse_id(call->argument, &id, e);

	return rc == 0 ? ports_remove(call->ports, id, e) : rc;
}

// A path that ends in '/' takes the rest, which is not empty and has no '/', as its argument.
static const struct route {
	const char *path;
	const char *method;
	const char *allow;
	unsigned status;
	bool has_body;
	int (*handle)(struct call *call, struct rk_error *e);
} routes[] = {
	{"/v1/info", "GET", "GET", STATUS_OK, true, get_info},
	{"/v1/ports", "GET", "GET, POST", STATUS_OK, true, get_ports},
	{"/v1/ports", "POST", "GET, POST", STATUS_CREATED, true, post_port},
	{"/v1/ports/", "DELETE", "DELETE", STATUS_OK, false, delete_port},
	{"/v1/stats", "GET", "GET", STATUS_OK, true, get_stats},
};

static bool path_matches(const struct route *route, const char *path, const char **argument)
{
	size_t length = strlen(route->path);

	*argument = path + length;
	if (route->path[length - 1] != '/')
		return strcmp(path, route->path) == 0;
	return strncmp(path, route->path, length) == 0 && path[length] &&
	       !strchr(path + length, '/');
}

void api_reply_error(struct rk_api_reply *reply, unsigned status, const struct rk_error *e)
{
	reply->status = status;
	reply->body = api_json_error(e);
}

static void reply_no_route(struct rk_api_reply *reply, const char *path, const char *allow)
{
	char quoted[RK_QUOTE_MAX];
	struct rk_error e;

	quote_text(path, strlen(path), quoted, sizeof(quoted));
	reply->allow = allow;
	if (allow) {
		error_set(&e, EINVAL, "%s: only %s", quoted, allow);
		api_reply_error(reply, STATUS_METHOD_NOT_ALLOWED, &e);
	} else {
		error_set(&e, ENOENT, "%s: no such path", quoted);
		api_reply_error(reply, STATUS_NOT_FOUND, &e);
	}
}

static void run_route(struct rk_api_reply *reply, const struct route *route, struct call *call)
{
	struct rk_error e;
	int rc = route->handle(call, &e);

	if (rc == 0 && route->has_body && !call->body)
		rc = error_errno(&e, ENOMEM, "answer");
	if (rc < 0) {
		api_reply_error(
			reply, rc == -ENOMEM ? STATUS_SERVER_ERROR : STATUS_BAD_REQUEST, &e);
		return;
	}
	reply->status = route->status;
	reply->body = call->body;
}

void api_routes_answer(struct rk_api_reply *reply, const struct rk_api_request *request,
	const struct rk_api_info *info, struct rk_ports *ports)
{
	struct call call = {.request = request, .info = info, .ports = ports};
	const char *allow = NULL;

	memset(reply, 0, sizeof(*reply));
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!path_matches(&routes[i], request->path, &call.argument))
			continue;
		allow = routes[i].allow;
		if (strcmp(request->method, routes[i].method) != 0)
			continue;
		run_route(reply, &routes[i], &call);
		return;
	}
	reply_no_route(reply, request->path, allow);
}
