// helper.h: the process in the child's network namespace that makes sockets for the workers.
#pragma once

#include "base/error.h"

#include <sys/types.h>

// Forks the helper. It serves channels[0..count) until all of them are closed at the other side or
// the caller dies. The channels stay the caller's to close. 0 with *pid, or -code with *e.
int helper_start(const int *channels, unsigned count, pid_t *pid, struct rk_error *e);
