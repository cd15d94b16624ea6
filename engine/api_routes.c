// api_routes.c: what the control API answers to a request, free of HTTP's transport.
//
// How it works: one table row per path and method. The path decides between 404 and the rest, the
// method between 405 (with all methods of that path in Allow) and the handler. A handler that
// fails leaves its reason in the error, whose code decides between the client's fault and ours.

#include "engine/api_routes.h"
#include "base/fd.h"
#include "config/quote.h"
#include "engine/api_read.h"

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
	bool existed;         // nothing had to be made: 200 and not 201
	struct rk_metrics *metrics;
};

#define API_BULK_PATH "/v1/ports/bulk"

size_t api_routes_body_max(const char *path)
{
	return strcmp(path, API_BULK_PATH) == 0 ? RK_API_BULK_MAX : RK_API_BODY_MAX;
}

static int get_info(struct call *call, struct rk_error *e)
{
	(void)e;
	call->body = api_json_info(call->info);
	return 0;
}

static int get_ports(struct call *call, struct rk_error *e)
{
	struct rk_port_report *list = NULL;
	ssize_t count = ports_report(call->ports, &list, e);

	if (count >= 0)
		call->body = api_json_states(list, (size_t)count);
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

// The process at the other end, where a spec says that the port is to go with it.
static int open_owner(const struct call *call, const struct rk_port_spec *specs, size_t count,
	struct rk_owner *owner, struct rk_error *e)
{
	*owner = (struct rk_owner){.pidfd = -1};
	for (size_t i = 0; i < count; i++)
		if (specs[i].owned)
			return lease_open_peer(call->request->connection, owner, e);
	return 0;
}

typedef int add_port(struct rk_ports *ports, const struct rk_port_spec *spec,
	const struct rk_owner *owner, struct rk_port *port, struct rk_error *e);

static int add_one(struct call *call, add_port *add, struct rk_error *e)
{
	struct rk_port_spec spec;
	struct rk_owner owner;
	struct rk_port port;
	int rc = api_read_spec(call->request->body, call->request->length, &spec, e);

	if (rc == 0)
		rc = open_owner(call, &spec, 1, &owner, e);
	if (rc < 0)
		return rc;
	rc = add(call->ports, &spec, &owner, &port, e);
	fd_close(&owner.pidfd);
	if (rc >= 0)
		call->body = api_json_port(&port);
	return rc;
}

static int post_port(struct call *call, struct rk_error *e)
{
	return add_one(call, ports_add, e);
}

static int put_port(struct call *call, struct rk_error *e)
{
	int rc = add_one(call, ports_ensure, e);

	call->existed = rc == 1;
	return rc < 0 ? rc : 0;
}

static int post_list(struct call *call, struct rk_error *e)
{
	RK_CLEANUP_FREE struct rk_port_spec *specs = NULL;
	RK_CLEANUP_FREE struct rk_port *added = NULL;
	struct rk_owner owner;
	ssize_t count = api_read_specs(call->request->body, call->request->length, &specs, e);
	int rc;

	if (count < 0)
		return (int)count;
	added = calloc((size_t)count, sizeof(*added));
	if (!added)
		return error_errno(e, ENOMEM, "list of %zd ports", count);
	rc = open_owner(call, specs, (size_t)count, &owner, e);
	if (rc < 0)
		return rc;
	rc = ports_add_all(call->ports, specs, (size_t)count, &owner, added, e);
	fd_close(&owner.pidfd);
	if (rc == 0)
		call->body = api_json_ports(added, (size_t)count);
	return rc;
}

static int delete_list(struct call *call, struct rk_error *e)
{
	RK_CLEANUP_FREE uint32_t *ids = NULL;
	ssize_t count = api_read_ids(call->request->body, call->request->length, &ids, e);

	return count < 0 ? (int)count : ports_remove_all(call->ports, ids, (size_t)count, e);
}

// Digits only: no sign, no space, nothing behind; 0 is read, and is the id of no port.
static int parse_id(const char *text, uint32_t *id, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];
	size_t length = strspn(text, "0123456789");
	unsigned long value = strtoul(text, NULL, 10);

	if (length == 0 || length > 10 || text[length] || value > UINT32_MAX) {
		error_set(e, EINVAL, "bad id %s: not a whole number",
			quote_text(text, strlen(text), quoted, sizeof(quoted)));
		return error_hint(e, "GET /v1/ports (rootlessctl list-ports) tells the ids");
	}
	*id = (uint32_t)value;
	return 0;
}

static int get_metrics(struct call *call, struct rk_error *e)
{
	return api_metrics_open(&call->metrics, call->info, call->ports, e);
}

static int get_flows(struct call *call, struct rk_error *e)
{
	RK_CLEANUP_FREE struct rk_flow_info *list = NULL;
	uint32_t id = 0;
	bool truncated;
	ssize_t count = call->request->port ? parse_id(call->request->port, &id, e) : 0;

	if (count == 0 && call->request->port && id == 0)
		count = error_set(e, ENOENT, "unknown id: 0");
	if (count == 0)
		count = ports_flows(call->ports, id, &list, &truncated, e);
	if (count < 0)
		return (int)count;
	call->body = api_json_flows(list, (size_t)count, truncated);
	return 0;
}

static int delete_port(struct call *call, struct rk_error *e)
{
	uint32_t id = 0;
	int rc = parse_id(call->argument, &id, e);

	return rc == 0 ? ports_remove(call->ports, id, e) : rc;
}

static int patch_port(struct call *call, struct rk_error *e)
{
	struct rk_api_target target;
	struct rk_port port;
	uint32_t id = 0;
	int rc = parse_id(call->argument, &id, e);

	if (rc == 0)
		rc = api_read_target(call->request->body, call->request->length, &target, e);
	if (rc == 0)
		rc = ports_retarget(call->ports, id, target.has_child_ip ? target.child_ip : NULL,
			(uint16_t)target.child_port, &port, e);
	if (rc == 0)
		call->body = api_json_port(&port);
	return rc;
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
	{"/v1/ports", "GET", "GET, POST, PUT", STATUS_OK, true, get_ports},
	{"/v1/ports", "POST", "GET, POST, PUT", STATUS_CREATED, true, post_port},
	{"/v1/ports", "PUT", "GET, POST, PUT", STATUS_CREATED, true, put_port},
	{API_BULK_PATH, "POST", "POST, DELETE", STATUS_CREATED, true, post_list},
	{API_BULK_PATH, "DELETE", "POST, DELETE", STATUS_OK, false, delete_list},
	{"/v1/ports/", "DELETE", "DELETE, PATCH", STATUS_OK, false, delete_port},
	{"/v1/ports/", "PATCH", "DELETE, PATCH", STATUS_OK, true, patch_port},
	{"/v1/stats", "GET", "GET", STATUS_OK, true, get_stats},
	{"/v1/flows", "GET", "GET", STATUS_OK, true, get_flows},
	{"/metrics", "GET", "GET", STATUS_OK, true, get_metrics},
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

	if (rc == 0 && route->has_body && !call->body && !call->metrics)
		rc = error_errno(&e, ENOMEM, "answer");
	if (rc < 0) {
		api_reply_error(
			reply, rc == -ENOMEM ? STATUS_SERVER_ERROR : STATUS_BAD_REQUEST, &e);
		return;
	}
	reply->status = call->existed ? STATUS_OK : route->status;
	reply->body = call->body;
	reply->metrics = call->metrics;
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
		if (!allow)
			allow = routes[i].allow;
		if (strcmp(request->method, routes[i].method) != 0)
			continue;
		run_route(reply, &routes[i], &call);
		return;
	}
	reply_no_route(reply, request->path, allow);
}
