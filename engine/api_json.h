// api_json.h: the JSON bodies of the control API, both ways.
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
};

// Reads a PortSpec and checks it as port_spec_check() does. `length` is capped by the caller.
int api_json_read_spec(
	const char *body, size_t length, struct rk_port_spec *spec, struct rk_error *e);

// Each returns text that the caller frees, NULL when there is no memory.
char *api_json_info(const struct rk_api_info *info);
char *api_json_port(const struct rk_port *port);
char *api_json_ports(const struct rk_port *ports, size_t count);
char *api_json_stats(const struct rk_port_report *reports, size_t count);
char *api_json_error(const struct rk_error *e); // {"message": "TEXT (HINT)"}
