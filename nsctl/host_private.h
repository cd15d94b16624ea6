// host_private.h: the state that host.c (steady state, end) and launch.c (set-up) share.
#pragma once

#include "base/spawn.h"
#include "base/statedir.h"
#include "drivers/driver.h"
#include "nsctl/host.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct host {
	const struct host_options *options;
	const struct rk_config *config;
	struct rk_state_dir state_dir; // lock_fd -1: the engine's
	struct rk_net net;             // net.driver set; started: see net_started
	bool net_started;
	struct rk_process child;
	int child_channel;
	int signal_fd;
	enum rk_msg_phase phase; // of the channel to the engine
	bool engine_lost;
	bool ended; // MSG_EXITED came, or the set-up was interrupted: exit_status holds
	int exit_status;
	int64_t kill_deadline_ms; // after SIGTERM or SIGINT; 0 = none
	struct {
		int number;
		bool from_engine;
		int64_t time_ms;
	} last_signal;
};

bool host_is_alone(const struct host *host);

// Makes state directory, child, id maps and network, up to the MSG_NETWORK that the child answers
// with, which goes on to the engine. -EINTR: a signal asked to stop, exit_status is set.
// 0 or -code with *e; what was made is in *host for host_end() to undo.
int launch_all(struct host *host, struct rk_error *e);
