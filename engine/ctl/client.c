// client.c: requests to the control API over its UNIX socket (libcurl).

#include "engine/ctl/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_MAX        (64 * 1024 * 1024) // 400 000 ports
#define REQUEST_TIMEOUT_S 60L

struct ctl_client {
	CURL *curl;
	struct curl_slist *headers;
	char socket_path[512];
	char curl_error[CURL_ERROR_SIZE];
	char *answer; // NUL-terminated, NULL = empty
	size_t length;
};

static size_t collect(char *data, size_t size, size_t count, void *context)
{
	struct ctl_client *client = context;
	size_t added = size * count;
	char *answer;

	if (client->length + added > ANSWER_MAX)
		return 0;
	answer = realloc(client->answer, client->length + added + 1);
	if (!answer)
		return 0;
	memcpy(answer + client->length, data, added);
	client->answer = answer;
	client->length += added;
	answer[client->length] = '\0';
	return added;
}

struct ctl_client *client_open(const char *socket_path, bool debug, struct rk_error *e)
{
	struct ctl_client *client;
	struct stat status;

	if (stat(socket_path, &status) < 0) {
		error_errno(e, errno, "%s", socket_path);
		return NULL;
	}
	client = calloc(1, sizeof(*client));
	if (!client || !(client->curl = curl_easy_init())) {
		free(client);
		error_set(e, ENOMEM, "libcurl did not start");
		return NULL;
	}
	client->headers = curl_slist_append(NULL, "Content-Type: application/json");
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, client->headers);
	snprintf(client->socket_path, sizeof(client->socket_path), "%s", socket_path);
	curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH, client->socket_path);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, client);
	curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, client->curl_error);
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT, REQUEST_TIMEOUT_S);
	curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(client->curl, CURLOPT_VERBOSE, debug ? 1L : 0L);
	return client;
}

void client_close(struct ctl_client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->curl);
	curl_slist_free_all(client->headers);
	free(client->answer);
	free(client);
}

static void forget_answer(struct ctl_client *client)
{
	free(client->answer);
	client->answer = NULL;
	client->length = 0;
}

// A server drops connections of other users, root's too, before it reads a byte of them.
static int add_owner_hint(const struct ctl_client *client, struct rk_error *e)
{
	struct stat status;

	if (stat(client->socket_path, &status) < 0 || status.st_uid == geteuid())
		return -e->code;
	return error_hint(
		e, "the socket belongs to user %u, and only that user may use it", status.st_uid);
}

// libcurl's own text names the host and port of the URL, which mean nothing here.
static int explain_no_connection(struct ctl_client *client, struct rk_error *e)
{
	long code = 0;

	curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &code);
	error_errno(e, code ? (int)code : ECONNREFUSED, "connect to %s", client->socket_path);
	return add_owner_hint(client, e);
}

static int perform(struct ctl_client *client, const char *method, const char *path,
	const char *body, long *status, struct rk_error *e)
{
	char url[256];
	CURLcode code;

	forget_answer(client);
	snprintf(url, sizeof(url), "http://rootlesskit%s", path);
	curl_easy_setopt(client->curl, CURLOPT_URL, url);
	curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, method);
	if (body)
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body);
	else
		curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
	client->curl_error[0] = '\0';
	code = curl_easy_perform(client->curl);
	if (code == CURLE_COULDNT_CONNECT)
		return explain_no_connection(client, e);
	if (code != CURLE_OK) {
		error_set(e, EIO, "%s %s over %s: %s", method, path, client->socket_path,
			client->curl_error[0] ? client->curl_error : curl_easy_strerror(code));
		return add_owner_hint(client, e);
	}
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, status);
	return 0;
}

// {"message": TEXT} is the server's own word, unless it is empty; of anything else the first line
// is quoted.
static int refuse(const struct ctl_client *client, long status, struct rk_error *e)
{
	cJSON *body = client->answer ? cJSON_Parse(client->answer) : NULL;
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(body, "message");
	const char *text = client->answer ? client->answer : "";

	if (cJSON_IsString(message) && message->valuestring[0])
		error_set(e, EINVAL, "%s", message->valuestring);
	else
		error_set(e, EINVAL, "unexpected HTTP status %ld: %.*s", status,
			(int)strcspn(text, "\r\n"), text);
	cJSON_Delete(body);
	return -EINVAL;
}

int client_request(struct ctl_client *client, const char *method, const char *path,
	const char *body, cJSON **answer, struct rk_error *e)
{
	long status = 0;
	int rc = perform(client, method, path, body, &status, e);

	if (rc < 0)
		return rc;
	if (status < 200 || status > 299)
		return refuse(client, status, e);
	if (!answer)
		return 0;
	*answer = client->answer ? cJSON_Parse(client->answer) : NULL;
	if (client->answer && !*answer)
		return error_set(e, EPROTO, "%s %s: the answer is no JSON", method, path);
	return 0;
}
