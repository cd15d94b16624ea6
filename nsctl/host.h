// host.h: the host side of `nsctl run`: makes the child, its ids and network, and ends it all.
#pragma once

#include "config/config.h"

struct host_options {
	const struct rk_config *config;
	char **command; // argv, chosen already
	int engine;     // channel to the engine, -1 = alone
};

// Runs to the end and returns the exit status: that of the command (128 + signal when one killed
// it), 127 or 126 when it could not be executed, 1 for any failure of ours. Failures are reported
// here: to the engine as MSG_ERROR, else on stderr.
int host_run(const struct host_options *options);
