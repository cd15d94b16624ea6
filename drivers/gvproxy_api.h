// gvproxy_api.h: the requests to gvproxy's HTTP API that open and close ports of the host.
#pragma once

#include "base/error.h"

struct gvproxy_api;

// `socket_path` is copied. NULL with *e when there is no memory or no libcurl.
struct gvproxy_api *gvproxy_api_open(const char *socket_path, struct rk_error *e);
void gvproxy_api_close(struct gvproxy_api *api);

// Opens `local` ("127.0.0.1:8080") of the host and leads it to `remote` in the namespace; `proto`
// is "tcp" or "udp". 0, -EREMOTEIO with gvproxy's own words, or -EIO when it did not answer.
int gvproxy_api_expose(struct gvproxy_api *api, const char *proto, const char *local,
	const char *remote, struct rk_error *e);
int gvproxy_api_unexpose(
	struct gvproxy_api *api, const char *proto, const char *local, struct rk_error *e);
