// api_socket.h: the listening socket of the control API and who may talk to it.
#pragma once

#include "base/error.h"

#include <limits.h>
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

// The file of a socket, by which it is known again: another engine may have put one in its place.
struct rk_api_socket_file {
	char path[PATH_MAX];
	dev_t device;
	ino_t inode;
};

// A listening, non-blocking socket at `path`, mode 0600 from birth, and its *file. A socket left
// there by a run that was killed is replaced; one that answers is not (EADDRINUSE), nor does one of
// two engines that begin at the same moment get the other's. The descriptor or -code.
int api_socket_listen(struct rk_api_socket_file *file, const char *path, struct rk_error *e);
// Removes the file, if it is still that socket's.
void api_socket_remove(const struct rk_api_socket_file *file);

// Reads the user namespace's mapping of process `child_pid`; where that is not possible only our
// own user is in *peers.
void api_peers_read(struct rk_api_peers *peers, pid_t child_pid);
// The ranges of the text of such a mapping; what is behind a line that is none is left out.
void api_peers_parse(struct rk_api_peers *peers, const char *text, size_t length);
// Whether the process at the other end of `connection` may use the API (SO_PEERCRED).
bool api_peers_allow(const struct rk_api_peers *peers, int connection);
