// attach_run.h: `rk-engine --attach`: serve a namespace that exists already, until told to end.
#pragma once

#include "base/error.h"
#include "config/config.h"

// Publishes the ports of *config into the network namespace of `target` (a process id or a file)
// and serves the control API in the state directory. Network, mount and process settings mean
// nothing here. Returns 0 after SIGTERM, SIGINT, SIGHUP, SIGQUIT or the end of the process;
// -code with *e on failure.
int attach_run(struct rk_config *config, const char *target, struct rk_error *e);
