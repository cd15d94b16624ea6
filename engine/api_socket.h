// api_socket.h: the listening socket of the control API and who may talk to it.
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define RK_API_UID_RANGES_MAX 16

// The users who may use the API: ourselves and those of the child's user namespace.
struct rk_api_peers {
	uid_t self;
	struct {
		uid_t first;
		uid_t count;
	} ranges[RK_API_UID_RANGES_MAX];
	unsigned range_count;
};

// A listening, non-blocking socket at `path`, mode 0600 from birth. A socket left there by a run
// that was killed is replaced; one that answers is not (EADDRINUSE). The descriptor or -code.
int api_socket_listen(const char *path, struct rk_error *e);

// Reads the user namespace's mapping of process `child_pid`; where that is not possible only our
// own user is in *peers.
void api_peers_read(struct rk_api_peers *peers, pid_t child_pid);
// The ranges of the text of such a mapping; what is behind a line that is none is left out.
void api_peers_parse(struct rk_api_peers *peers, const char *text, size_t length);
// Whether the process at the other end of `connection` may use the API (SO_PEERCRED).
bool api_peers_allow(const struct rk_api_peers *peers, int connection);
