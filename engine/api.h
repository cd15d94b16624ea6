// api.h: the control API: RootlessKit's REST over a UNIX socket, in a thread of its own.
#pragma once

#include "base/error.h"
#include "engine/api_json.h"
#include "engine/ports.h"

struct rk_api;

// Binds `path` (0600), starts the thread. `info` is copied, what it points to and `ports` are
// borrowed until api_stop(). 0 or -code with *e.
int api_start(struct rk_api **api, const char *path, const struct rk_api_info *info,
	struct rk_ports *ports, struct rk_error *e);
// Ends the thread and removes the socket; NULL is allowed.
void api_stop(struct rk_api *api);
