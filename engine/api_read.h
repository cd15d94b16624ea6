// api_read.h: the JSON bodies that clients of the control API send.
#pragma once

#include "base/error.h"
#include "config/portspec.h"

#include <stddef.h>
#include <stdint.h>

// Items of one list.
#define RK_API_LIST_MAX 4096

// Reads a PortSpec and checks it as port_spec_check() does. `length` is capped by the caller, here
// and below. 0 or -EINVAL with *e naming the member.
int api_read_spec(const char *body, size_t length, struct rk_port_spec *spec, struct rk_error *e);
// Reads an array of them, of at least one; *e names the item. The caller frees *specs. The length
// or -code.
ssize_t api_read_specs(
	const char *body, size_t length, struct rk_port_spec **specs, struct rk_error *e);
// Reads an array of ids, like that.
ssize_t api_read_ids(const char *body, size_t length, uint32_t **ids, struct rk_error *e);

// Where a port is to lead from now on.
struct rk_api_target {
	bool has_child_ip;
	char child_ip[RK_IP_TEXT_MAX];
	uint32_t child_port; // 0 = not given
};
int api_read_target(
	const char *body, size_t length, struct rk_api_target *target, struct rk_error *e);
