// init.h: the child's steady state: starts the command, reaps, restarts the helper, ends all.
#pragma once

#include "nsctl/child.h"
#include "nsctl/command.h"
#include "nsctl/srcip.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct init {
	const struct child_options *options;
	int signal_fd;
	bool running;           // the command was started
	struct command command; // forked early when its network is not ours
	int command_status;     // wait status once it is gone
	bool ended;
	pid_t helper_pid;          // -1 = none
	int64_t helper_started_ms; // CLOCK_MONOTONIC
	bool helper_missing;       // died, not yet replaced
	struct srcip srcip;
};

// Makes the pool channels and forks the helper. The workers' ends go to `ends` (options->workers
// of them, the caller's to close). 0 or -code with *e.
int init_start_helper(struct init *init, int *ends, struct rk_error *e);

// Serves the channel until the command has ended or the host side is gone, kills what is left and
// reports the wait status. Returns when nothing of the family lives but the caller.
void init_serve(struct init *init);
