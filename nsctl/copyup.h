// copyup.h: make a directory of the host writable for the child: tmpfs plus symbolic links.
#pragma once

#include "base/error.h"

// Puts a tmpfs over `path` and links every entry to the original, which stays reachable (with
// everything mounted below it) in a hidden directory there. Symbolic links are made again with
// their own text. 0 or -code with *e.
int copyup_directory(const char *path, struct rk_error *e);
