// supervisor.h: one run of the engine, from the state directory to the command's exit code.
#pragma once

#include "base/error.h"
#include "config/config.h"

// Runs `command` (NULL-terminated, may be empty) in its namespaces with the published ports and
// returns when everything is torn down. *config must have passed its checks; its state-dir and
// workers become the effective ones. 0 with *exit_code (the command's; 128 + n for signal n), or
// -code with *e when it could not run or a part of us failed.
int supervisor_run(
	struct rk_config *config, char *const *command, int *exit_code, struct rk_error *e);
