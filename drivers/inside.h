// inside.h: opens something in the child's network namespace, its descriptor on the host side.
#pragma once

#include "base/error.h"

#include <sys/types.h>

// Runs in the namespaces; returns a descriptor, or -code with *e.
typedef int (*rk_inside_opener)(const void *context, struct rk_error *e);

// Calls open_it(context) in the user namespace of process `child` and in its network namespace, or
// in the one at netns_path unless that is NULL. `name` is what messages call it. Returns the
// descriptor (CLOEXEC) or -code.
int inside_open(pid_t child, const char *netns_path, const char *name, rk_inside_opener open_it,
	const void *context, struct rk_error *e);
