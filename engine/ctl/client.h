// client.h: requests to the control API over its UNIX socket (libcurl).
#pragma once

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

struct ctl_client;

// Checks that `socket_path` exists; nothing is connected yet. NULL with *e.
struct ctl_client *client_open(const char *socket_path, bool debug, struct rk_error *e);
void client_close(struct ctl_client *client);

// Sends one request; `body` may be NULL. On a status of 2xx *answer is the parsed body (NULL when
// it is empty; cJSON_Delete() it; `answer` NULL: not wanted). Any other status is an error with
// the server's message. 0 or -code with *e.
int client_request(struct ctl_client *client, const char *method, const char *path,
	const char *body, cJSON **answer, struct rk_error *e);
