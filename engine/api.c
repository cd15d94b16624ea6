// api.c: the control API's HTTP server (libmicrohttpd), in one thread of its own.
//
// How it works: libmicrohttpd polls the socket and calls handle() for each request: once with the
// headers, then for each piece of the body, then once more when it is complete; only then do we
// answer. A struct body collects as many bytes as the path takes and drops what follows, so that an
// oversized request still gets its 400. One thread serves all connections and never waits for a
// client, so a client that hangs costs a slot until the time-out and nothing else. The handlers
// take milliseconds: they wait for the workers to open or close a listener.

#include "engine/api.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "engine/api_routes.h"
#include "engine/api_socket.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX      64
#define CONNECTION_TIMEOUT_S 30
#define CONNECTION_MEMORY    (32 * 1024)
// A client that goes on sending after this much of a refused body is cut off.
#define BODY_DRAIN_MAX (2 * 1024 * 1024)
#define METRICS_PIECE  (32 * 1024)

struct rk_api {
	struct MHD_Daemon *daemon;
	struct rk_api_info info;
	struct rk_api_peers peers;
	struct rk_log_limit strangers; // lines about them; the server's thread alone uses it
	struct rk_ports *ports;        // borrowed
	struct rk_api_socket_file socket;
};

struct body {
	size_t received;
	size_t max;
	char *bytes; // `max` of them, NULL = none received or no memory
};

__attribute__((format(printf, 2, 0))) static void log_server(
	void *context, const char *format, va_list args)
{
	char text[256];

	(void)context;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug("api: %s", text);
}

static void log_stranger(struct rk_api *api)
{
	uint64_t left_out;

	if (!log_limit_pass(&api->strangers, (uint64_t)clock_now_ms(), &left_out))
		return;
	if (left_out == 0)
		log_warning("api: refused a connection of another user");
	else
		log_warning("api: refused a connection of another user, and %llu since the last "
			    "such line",
			(unsigned long long)left_out);
}

// Called on accept: a stranger's connection is shut before a byte of it is read.
static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
	enum MHD_ConnectionNotificationCode code)
{
	struct rk_api *api = context;
	const union MHD_ConnectionInfo *info;

	(void)socket_context;
	if (code != MHD_CONNECTION_NOTIFY_STARTED)
		return;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (!info || api_peers_allow(&api->peers, info->connect_fd))
		return;
	log_stranger(api);
	shutdown(info->connect_fd, SHUT_RDWR);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
	enum MHD_RequestTerminationCode code)
{
	struct body *body = *request_context;

	(void)context;
	(void)connection;
	(void)code;
	if (!body)
		return;
	free(body->bytes);
	free(body);
	*request_context = NULL;
}

// Most requests have no body, so the buffer is made for the first piece.
static void body_append(struct body *body, const char *data, size_t size)
{
	size_t end = body->received + size;

	if (!body->bytes)
		body->bytes = malloc(body->max);
	if (body->bytes && end <= body->max)
		memcpy(body->bytes + body->received, data, size);
	body->received = end;
}

static ssize_t read_metrics(void *context, uint64_t position, char *buffer, size_t size)
{
	size_t length = api_metrics_read(context, buffer, size);

	(void)position;
	return length > 0 ? (ssize_t)length : MHD_CONTENT_READER_END_OF_STREAM;
}

static void close_metrics(void *context)
{
	api_metrics_close(context);
}

// Text in pieces, as fast as the client takes them: never all of it is in memory.
static enum MHD_Result send_metrics(struct MHD_Connection *connection, struct rk_api_reply *reply)
{
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, METRICS_PIECE, read_metrics, reply->metrics, close_metrics);
	enum MHD_Result result;

	if (!response) {
		api_metrics_close(reply->metrics);
		return MHD_NO;
	}
	MHD_add_response_header(
		response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
	result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct rk_api_reply *reply)
{
	static char empty[1];
	char *text = reply->body ? reply->body : empty;
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(text), text, reply->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!response) {
		free(reply->body);
		return MHD_NO;
	}
	if (reply->body)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	if (reply->allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
	result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer(struct rk_api *api, struct MHD_Connection *connection,
	const struct rk_api_request *request, const struct body *body)
{
	struct rk_api_reply reply = {0};
	struct rk_error e;

	if (body->received > body->max) {
		error_set(&e, EMSGSIZE, "the body is longer than %zu bytes", body->max);
		api_reply_error(&reply, MHD_HTTP_BAD_REQUEST, &e);
	} else if (body->received > 0 && !body->bytes) {
		error_errno(&e, ENOMEM, "request body");
		api_reply_error(&reply, MHD_HTTP_INTERNAL_SERVER_ERROR, &e);
	} else {
		api_routes_answer(&reply, request, &api->info, api->ports);
	}
	log_debug("api: %s %s: %u", request->method, request->path, reply.status);
	return reply.metrics ? send_metrics(connection, &reply) : send_reply(connection, &reply);
}

// The length of a body that is too long to be read to its end, as its header announces it; else 0.
// Answered at once, a client that asked first (Expect: 100-continue) does not even send it.
static size_t announced_excess(struct MHD_Connection *connection)
{
	const char *text = MHD_lookup_connection_value(
		connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	size_t length = text ? strtoul(text, NULL, 10) : 0;

	return length > BODY_DRAIN_MAX ? length : 0;
}

static int socket_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
	const char *method, const char *version, const char *data, size_t *size,
	void **request_context)
{
	struct rk_api *api = context;
	struct body *body = *request_context;
	struct rk_api_request request = {
		.method = method, .path = path, .connection = socket_of(connection)};

	(void)version;
	if (!body) {
		*request_context = body = calloc(1, sizeof(*body));
		if (!body)
			return MHD_NO;
		body->max = api_routes_body_max(path);
		body->received = announced_excess(connection);
		return body->received ? answer(api, connection, &request, body) : MHD_YES;
	}
	if (*size > 0) {
		body_append(body, data, *size);
		*size = 0;
		return body->received <= BODY_DRAIN_MAX ? MHD_YES : MHD_NO;
	}
	request.body = body->bytes;
	request.length = body->received;
	request.port = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "port");
	return answer(api, connection, &request, body);
}

// A NUL would end a path or an argument before its end, and name another object. What has one stays
// as it was sent, which is the name of nothing. A raw NUL is beyond us: libmicrohttpd 0.9.75 ends
// the path there in every form that it shows us.
static size_t unescape(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strstr(text, "%00") ? strlen(text) : MHD_http_unescape(text);
}

static int start_server(struct rk_api *api, int listener, struct rk_error *e)
{
	api->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ERROR_LOG, 0, NULL, NULL,
		handle, api, MHD_OPTION_EXTERNAL_LOGGER, log_server, NULL, MHD_OPTION_LISTEN_SOCKET,
		listener, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, api, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, api, MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_END);
	if (api->daemon)
		return 0;
	return error_set(e, errno ? errno : EIO, "API socket %s: the HTTP server did not start",
		api->socket.path);
}

int api_start(struct rk_api **out, const char *path, const struct rk_api_info *info,
	struct rk_ports *ports, struct rk_error *e)
{
	struct rk_api *api = calloc(1, sizeof(*api));
	RK_CLEANUP_FD int listener = -1;
	int rc;

	*out = NULL;
	if (!api)
		return error_errno(e, ENOMEM, "API server");
	api->info = *info;
	api->ports = ports;
	api_peers_read(&api->peers, info->network->child_pid);
	listener = api_socket_listen(&api->socket, path, e);
	rc = listener < 0 ? listener : start_server(api, listener, e);
	if (rc == 0) {
		listener = -1; // the server closes it
		*out = api;
		return 0;
	}
	if (listener >= 0)
		api_socket_remove(&api->socket);
	free(api);
	return rc;
}

void api_stop(struct rk_api *api)
{
	if (!api)
		return;
	api_socket_remove(&api->socket);
	MHD_stop_daemon(api->daemon);
	free(api);
}
