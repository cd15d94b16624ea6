// inside.h: opens something in the child's network namespace, its descriptor on the host side.
#pragma once

#include "base/error.h"

#include <sys/types.h>

// Runs in the namespaces; returns a descriptor, or -code with *e.
typedef int (*rk_inside_opener)(const void *context, struct rk_error *e);

// Calls open_it(context) in the user and network namespaces of process `child`. `name` is what
// messages call it. Returns the descriptor (CLOEXEC) or -code.
int inside_open(pid_t child, const char *name, rk_inside_opener open_it, const void *context,
	struct rk_error *e);
