// api_routes.h: what the control API answers to a request, free of HTTP's transport.
#pragma once

#include "engine/api_json.h"
#include "engine/api_metrics.h"
#include "engine/ports.h"

#include <stddef.h>

#define RK_API_BODY_MAX (64 * 1024)
#define RK_API_BULK_MAX (1024 * 1024) // of lists

struct rk_api_request {
	const char *method;
	const char *path; // without the query
	const char *port; // the query's "port", NULL = none
	const char *body;
	size_t length;
	int connection; // the peer's socket
};

// `body` is owned by the caller, NULL = empty; or `metrics` is, which is text to be read in pieces.
// `allow` is set with status 405 only.
struct rk_api_reply {
	unsigned status;
	char *body;
	struct rk_metrics *metrics;
	const char *allow;
};

// How long a body this path takes, bytes.
size_t api_routes_body_max(const char *path);
void api_routes_answer(struct rk_api_reply *reply, const struct rk_api_request *request,
	const struct rk_api_info *info, struct rk_ports *ports);

// A reply of `status` with the error's text.
void api_reply_error(struct rk_api_reply *reply, unsigned status, const struct rk_error *e);
