// supervisor.h: one run of the engine, from the state directory to the command's end.
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

struct rk_outcome {
	int wait_status;   // of the command (wait(2)), or what stands for it
	bool stopped;      // it ended after we had been asked to end it
	bool not_executed; // it could not be executed; the reason was logged
};

// Runs `command` (NULL-terminated, may be empty: the configuration names one). *config gets the
// effective state directory and worker count. 0 with *outcome, or -code with *e.
int supervisor_run(struct rk_config *config, char *const *command, struct rk_outcome *outcome,
	struct rk_error *e);
