// api_json.h: the JSON bodies of the control API's answers; what clients send is in api_read.h.
#pragma once

#include "base/error.h"
#include "base/msg.h"
#include "engine/ports.h"

#include <stddef.h>

#define RK_API_VERSION "1.1.1" // of RootlessKit's REST API

// What GET /v1/info says; everything is borrowed. `port_driver` NULL: none to speak of.
struct rk_api_info {
	const char *state_dir;
	const struct rk_network_info *network;
	const char *port_driver;
	const char *const *protos; // NULL-terminated
	bool no_child_loopback;
	const char *io_name; // NULL: no data plane
	unsigned workers;
	const char *const *features; // beyond upstream, NULL-terminated; NULL = none
};

// Each returns text that the caller frees, NULL when there is no memory.
char *api_json_info(const struct rk_api_info *info);
char *api_json_port(const struct rk_port *port);
char *api_json_ports(const struct rk_port *ports, size_t count);
char *api_json_states(const struct rk_port_report *reports, size_t count); // ... with their states
char *api_json_stats(const struct rk_port_report *reports, size_t count);
char *api_json_flows(const struct rk_flow_info *flows, size_t count, bool truncated);
// {"message": "TEXT (HINT)", "code": "EADDRINUSE"}
char *api_json_error(const struct rk_error *e);
