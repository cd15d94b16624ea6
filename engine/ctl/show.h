// show.h: the control API's answers as text for people and as JSON for programs.
#pragma once

#include "base/error.h"

#include <cjson/cJSON.h>

// Each prints to stdout; an answer of another shape is -EPROTO with *e.
int show_ports(const cJSON *ports, struct rk_error *e);
int show_stats(const cJSON *reports, struct rk_error *e);
int show_flows(const cJSON *answer, struct rk_error *e);
int show_json_flows(const cJSON *answer, struct rk_error *e);
int show_info(const cJSON *info, struct rk_error *e);
int show_port_id(const cJSON *port, struct rk_error *e);
// "connect to the child: Connection refused, client 10.0.0.1:4711, 3 s ago"; "" without an error.
// Returns `out`.
const char *show_last_error(const cJSON *error, char *out, size_t size);
// One object on one line; every item of an array on a line of its own; indented by four blanks.
int show_json_line(const cJSON *value, struct rk_error *e);
int show_json_lines(const cJSON *array, struct rk_error *e);
void show_json_indented(const cJSON *value);
