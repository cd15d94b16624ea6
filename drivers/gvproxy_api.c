// gvproxy_api.c: the requests to gvproxy's HTTP API that open and close ports of the host.

#include "drivers/gvproxy_api.h"

#include "drivers/curl_late.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_TIMEOUT_MS 5000L
#define ANSWER_MAX         256 // of its words; the rest is dropped

struct gvproxy_api {
	const struct curl_late *library;
	CURL *curl;
	char answer[ANSWER_MAX];
	size_t length;
};

// Keeps the start of the answer, on one line.
static size_t collect(char *data, size_t size, size_t count, void *context)
{
	struct gvproxy_api *api = context;

	for (size_t i = 0; i < size * count && api->length + 1 < ANSWER_MAX; i++)
		api->answer[api->length++] = isprint((unsigned char)data[i]) ? data[i] : ' ';
	while (api->length > 0 && api->answer[api->length - 1] == ' ')
		api->length--;
	api->answer[api->length] = '\0';
	return size * count;
}

struct gvproxy_api *gvproxy_api_open(const char *socket_path, struct rk_error *e)
{
	const struct curl_late *library = curl_late_load(e);
	struct gvproxy_api *api;

	if (!library)
		return NULL;
	api = calloc(1, sizeof(*api));
	if (!api || !(api->curl = library->init())) {
		free(api);
		error_set(e, ENOMEM, "libcurl did not start");
		return NULL;
	}
	api->library = library;
	library->setopt(api->curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	library->setopt(api->curl, CURLOPT_NOPROXY, "*");
	library->setopt(api->curl, CURLOPT_NOSIGNAL, 1L);
	library->setopt(api->curl, CURLOPT_TIMEOUT_MS, REQUEST_TIMEOUT_MS);
	library->setopt(api->curl, CURLOPT_WRITEFUNCTION, collect);
	library->setopt(api->curl, CURLOPT_WRITEDATA, api);
	return api;
}

void gvproxy_api_close(struct gvproxy_api *api)
{
	if (!api)
		return;
	api->library->cleanup(api->curl);
	free(api);
}

static int post(struct gvproxy_api *api, const char *url, const char *body, struct rk_error *e)
{
	const struct curl_late *library = api->library;
	CURLcode code;
	long status = 0;

	api->length = 0;
	api->answer[0] = '\0';
	library->setopt(api->curl, CURLOPT_URL, url);
	library->setopt(api->curl, CURLOPT_POSTFIELDS, body);
	code = library->perform(api->curl);
	if (code != CURLE_OK)
		return error_set(e, code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : EIO,
			"gvproxy's API: %s", library->strerror(code));
	library->getinfo(api->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return 0;
	return error_set(e, EREMOTEIO, "gvproxy: %s (HTTP status %ld)",
		api->answer[0] ? api->answer : "no reason given", status);
}

// `remote` may be NULL.
static int request(struct gvproxy_api *api, const char *url, const char *proto, const char *local,
	const char *remote, struct rk_error *e)
{
	cJSON *object = cJSON_CreateObject();
	bool complete = cJSON_AddStringToObject(object, "protocol", proto) &&
			cJSON_AddStringToObject(object, "local", local) &&
			(!remote || cJSON_AddStringToObject(object, "remote", remote));
	char *body = complete ? cJSON_PrintUnformatted(object) : NULL;
	int rc;

	rc = body ? post(api, url, body, e) : error_errno(e, ENOMEM, "gvproxy's API");
	cJSON_free(body);
	cJSON_Delete(object);
	return rc;
}

int gvproxy_api_expose(struct gvproxy_api *api, const char *proto, const char *local,
	const char *remote, struct rk_error *e)
{
	return request(api, "http://gvproxy/services/forwarder/expose", proto, local, remote, e);
}

int gvproxy_api_unexpose(
	struct gvproxy_api *api, const char *proto, const char *local, struct rk_error *e)
{
	return request(api, "http://gvproxy/services/forwarder/unexpose", proto, local, NULL, e);
}
