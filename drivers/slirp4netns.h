// slirp4netns.h: what the network driver slirp4netns and the port driver of that name agree on.
#pragma once

#include "base/error.h"

#include <stddef.h>

// The socket of slirp4netns's API, in the state directory. It survives a kill of slirp4netns.
// 0, or -ENAMETOOLONG when its path does not fit (an address of a UNIX socket holds 107 bytes).
int slirp4netns_api_path(const char *state_dir, char *path, size_t size, struct rk_error *e);
