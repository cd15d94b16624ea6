// lockdown.h: what nsctl's processes give up once the network is up. Nothing of it reaches the
// command, which is forked before: it keeps every right that root of the namespaces has.
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

// The host side, before the command may start: no capability, no new program. 0 or -code with *e.
int lockdown_host(const struct rk_config *config, struct rk_error *e);

// The child side, when the command runs: keeps what killing the rest of the namespaces and making
// another helper take. A failure is logged: the run goes on, since the command has more rights.
void lockdown_child(const struct rk_config *config, bool keeps_network);

// The helper: capabilities over the network only where its sockets need them. A failure is logged.
void lockdown_helper(bool keeps_network, enum rk_tristate seccomp);
