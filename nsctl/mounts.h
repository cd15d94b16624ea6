// mounts.h: everything that the child mounts.
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

// Runs the plan of mount steps that `config` asks for, in the caller's own mount namespace.
// `own_netns`: the network is not the host's. The state directory holds resolv.conf and hosts.
// 0 or -code with *e.
int mounts_apply(
	const struct rk_config *config, const char *state_dir, bool own_netns, struct rk_error *e);
