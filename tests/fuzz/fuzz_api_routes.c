// fuzz_api_routes.c: requests to the control API behind HTTP: method, path (a line each) and body.
// Every answer has a status of ours and a body that is JSON; what was published is sound.

#include "engine/api_read.h"
#include "engine/api_routes.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/fuzz/lib/ports.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Cuts a line off the input; what does not fit is left out.
static void take_line(struct fuzz_input *input, char *out, size_t size)
{
	const uint8_t *end = input->left > 0 ? memchr(input->at, '\n', input->left) : NULL;
	size_t length = end ? (size_t)(end - input->at) : input->left;

	snprintf(out, size, "%.*s", (int)length, (const char *)input->at);
	length += end ? 1 : 0;
	input->at += length;
	input->left -= length;
}

static void require_answer(const struct rk_api_reply *reply)
{
	cJSON *body = reply->body ? cJSON_Parse(reply->body) : NULL;

	FUZZ_REQUIRE(reply->status == 200 || reply->status == 201 || reply->status == 400 ||
		     reply->status == 404 || reply->status == 405);
	FUZZ_REQUIRE((reply->status == 405) == (reply->allow != NULL));
	FUZZ_REQUIRE(!reply->body || body);
	if (reply->status >= 400)
		FUZZ_REQUIRE(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(body, "message")));
	cJSON_Delete(body);
}

static void read_metrics(struct rk_metrics *metrics)
{
	char piece[4096];

	while (api_metrics_read(metrics, piece, sizeof(piece)) > 0)
		continue;
	api_metrics_close(metrics);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	char method[16], path[256];
	struct rk_api_request request = {.method = method, .path = path, .connection = -1};
	struct rk_api_reply reply;
	struct rk_port_spec spec;
	struct rk_error e;

	take_line(&input, method, sizeof(method));
	take_line(&input, path, sizeof(path));
	if (input.left > RK_API_BODY_MAX)
		return 0;
	request.body = fuzz_guarded(input.at, input.left);
	request.length = input.left;
	api_routes_answer(&reply, &request, fuzz_api_info(), fuzz_ports());
	if (reply.metrics)
		read_metrics(reply.metrics);
	else
		require_answer(&reply);
	free(reply.body);
	// Also of a port that this machine could not publish.
	if (api_read_spec(request.body, request.length, &spec, &e) == 0)
		fuzz_spec_require(&spec);
	fuzz_ports_require(3);
	return 0;
}
