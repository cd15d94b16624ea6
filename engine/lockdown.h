// lockdown.h: what the engine gives up once it is started. docs/security.md is the whole picture.
//
// How it works: in two steps around the start of the service. Landlock and capabilities are a
// matter of each thread and pass to the threads that it makes, so they go first; the filter of
// system calls reaches all threads at once and goes last, because the start needs more calls than
// the service.
#pragma once

#include "base/error.h"
#include "base/statedir.h"
#include "config/config.h"

#include <stdbool.h>

// Whether what runs with this configuration starts programs at any time (enum rk_port_flags).
bool lockdown_starts_programs(const struct rk_config *config);

// Before the first thread: drops capabilities and sets no_new_privs; leaves only the state
// directory, the directory of the API's socket and /proc in reach, unless it `starts_programs`. 0
// or -code.
int lockdown_begin(const struct rk_config *config, const struct rk_state_dir *dir,
	bool starts_programs, struct rk_error *e);

// When the service runs: limits the system calls. 0 or -code.
int lockdown_finish(const struct rk_config *config, bool starts_programs, struct rk_error *e);
