// launch.h: find nsctl and start it with the configuration and a channel.
#pragma once

#include "base/error.h"
#include "base/spawn.h"
#include "config/config.h"

// Starts `nsctl run` for `command` (NULL-terminated, may be empty: the configuration names one).
// Everything it needs to know is in *config; so state_dir and workers must be the effective ones.
// *channel is our end. 0 or -code with *e.
int launch_nsctl(struct rk_process *nsctl, int *channel, const struct rk_config *config,
	char *const *command, struct rk_error *e);
