// cgroup.h: make room in our cgroup (version 2) for groups that the command will make.
#pragma once

#include "base/error.h"

// Moves every process of our cgroup into the group `name` below it and enables all of its
// controllers for such groups: a group with processes of its own could not (cgroups(7), "no
// internal processes"). 0 or -code with *e.
int cgroup_evacuate(const char *name, struct rk_error *e);
