// helper.h: the process in the child's network namespace that makes sockets for the workers.
#pragma once

#include "base/error.h"
#include "config/config.h"
#include "nsctl/srcip.h"

#include <sys/types.h>

// Makes one channel for each worker: its end and the helper's. 0 or -code with *e.
int helper_make_channels(int *workers, int *helpers, unsigned count, struct rk_error *e);

// Becomes the helper: serves channels[0..count) until all of them are closed at the other side,
// then exits. Everything else that is open is closed. The sockets are prepared as `srcip` says,
// NULL = not at all. `seccomp`: whether its system calls are limited. `death_signal`: as
// PR_SET_PDEATHSIG, 0 = none.
__attribute__((noreturn)) void helper_serve(const int *channels, unsigned count,
	const struct srcip *srcip, enum rk_tristate seccomp, int death_signal);

// Forks the helper. It serves channels[0..count) until all of them are closed at the other side or
// the caller dies, and prepares its sockets as `srcip` says. The channels stay the caller's to
// close. 0 with *pid, or -code with *e.
int helper_start(const int *channels, unsigned count, const struct srcip *srcip,
	enum rk_tristate seccomp, pid_t *pid, struct rk_error *e);
