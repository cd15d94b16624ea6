// instance.h: a running instance, found through its state directory.
#pragma once

#include "base/error.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct instance {
	char path[PATH_MAX];     // absolute
	bool running;            // somebody holds the lock and is ready
	pid_t child_pid;         // 0 = not ready yet, not running, or attached
	char attached[PATH_MAX]; // of rk-engine --attach: its PID or NETNS-FILE; "" = no such
};

// Looks at a state directory without changing it. An instance that is not running is no error.
// 0 or -code with *e (no such directory, not permitted).
int instance_find(struct instance *instance, const char *path, struct rk_error *e);
