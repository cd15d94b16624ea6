// lxc_explain.h: what a failure of lxc-user-nic(1) means and what to do about it.
#pragma once

#include "base/error.h"

#include <stdbool.h>

#define LXC_USERNET "/etc/lxc/lxc-usernet"

// What was asked for.
struct lxc_request {
	const char *program;
	const char *user;
	const char *bridge;
	const char *ifname;
};

// Fills *e from what the program printed; `allowed`: a line of LXC_USERNET names user and bridge,
// so that it is the count that is used up. Returns -code.
int lxc_explain(
	const struct lxc_request *request, const char *output, bool allowed, struct rk_error *e);
// Whether a line of `usernet`, the text of that file, is "USER veth BRIDGE COUNT".
bool lxc_is_allowed(const struct lxc_request *request, const char *usernet);
