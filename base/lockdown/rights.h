// rights.h: give up capabilities, and the ways to get new ones.
#pragma once

#include "base/error.h"

#include <stddef.h>

// Keeps of the calling thread's capabilities those of `keep` that it has, takes all others out of
// every set, and sets no_new_privs. (The bounding set shrinks only with CAP_SETPCAP; without it,
// no_new_privs keeps it from being of use.) A parent-death signal stays set: that only a change of
// ids or a gain of capabilities would clear. 0 or -code with *e.
int rights_keep(const int *keep, size_t count, struct rk_error *e);
