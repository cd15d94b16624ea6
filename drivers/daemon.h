// daemon.h: the program behind a network driver: start it, know when it is ready, why it died.
#pragma once

#include "drivers/driver.h"

// Starts spawn->argv as net->daemon, with /dev/null as 0 and 1 and its stderr kept for error texts;
// spawn->fds holds what it needs beyond these. It is killed when the calling thread ends.
// ENOENT gets `package` and the driver's section as the hint. 0 or -code.
int daemon_start(
	struct rk_net *net, struct rk_spawn *spawn, const char *package, struct rk_error *e);

// Waits for one byte on `ready_fd`. EOF, the daemon's end and a pause of timeout_ms are failures,
// and so is net->cancel (-ECANCELED); the daemon is gone then.
int daemon_await_ready(struct rk_net *net, int ready_fd, int timeout_ms, struct rk_error *e);

// What the daemon prints goes into a pipe; this is our end, not blocking, -1: there is none.
int daemon_log_fd(const struct rk_net *net);
// Drops what was printed until now: chatter of a start that went well.
void daemon_log_discard(const struct rk_net *net);

// Sends `signal` (0: only waits), SIGKILL after grace_ms; reaps and frees the log.
void daemon_stop(struct rk_net *net, int signal, int grace_ms);

// Runs `PROGRAM OPTION` (--version, --help) and checks that it ends well; its output goes into
// `output`. ENOENT gets `package` and [driver] binary as the hint.
int daemon_probe(const char *driver, const char *program, const char *option, const char *package,
	char *output, size_t size, struct rk_error *e);
