// cgroup_paths.h: where our cgroup (version 2) is, from what /proc says about it.
#pragma once

#include <stddef.h>

// The path in the line "0::PATH" of /proc/self/cgroup (cgroups(7)). 0, or -ENOENT when there is no
// such line whose path fits, or it leads out of the tree that we may see ("/../other").
int cgroup_parse_own(const char *text, size_t length, char *path, size_t size);

// From /proc/self/mountinfo (proc_pid_mountinfo(5)): where the tree of version 2 is mounted, and
// which group is its top there ("" = the root). Each has `size` bytes. 0 or -ENOENT.
int cgroup_parse_mount(const char *text, size_t length, char *root, char *target, size_t size);

// The directory of group `own` below a mount of group `root` on `target`. 0, -ENOENT when it is not
// below it, or -ENAMETOOLONG.
int cgroup_join(const char *own, const char *root, const char *target, char *path, size_t size);
