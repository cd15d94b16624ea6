// statedir.h: the state directory: made, locked, cleaned, removed.
//
// Files: lock (flock; a second user of the directory fails), child_pid, api.sock, resolv.conf,
// hosts, network; of rk-engine --attach lock, attached, api.sock. The directory itself is held with
// a shared flock so that tmp cleaners leave it alone.
#pragma once

#include "base/error.h"

#include <limits.h>
#include <stdbool.h>

struct rk_state_dir {
	char path[PATH_MAX]; // absolute, no trailing slash
	int lock_fd;
	int dir_fd;
};
#define RK_STATE_DIR_NONE ((struct rk_state_dir){.lock_fd = -1, .dir_fd = -1})

// Opens `path`, or a fresh directory under $XDG_RUNTIME_DIR (or /tmp) when it is empty.
// Creates it 0700, refuses one of another user and one that $HOME is in, by whatever name (EINVAL),
// takes the lock (after half a second EBUSY, which names the directory and the pid that holds it),
// removes everything in it except `lock` (left from a killed run). 0, or -code with *e and nothing
// left that was made.
int state_dir_open(struct rk_state_dir *dir, const char *path, struct rk_error *e);
// Removes the directory with everything in it, then releases the lock.
void state_dir_remove(struct rk_state_dir *dir);

// "PATH/NAME" into `out`; -ENAMETOOLONG when it does not fit.
int state_dir_path(const struct rk_state_dir *dir, const char *name, char *out, size_t size);
// Writes NAME atomically (temporary file + rename).
int state_dir_write(
	const struct rk_state_dir *dir, const char *name, const char *text, struct rk_error *e);
