// api_socket.c: the listening socket of the control API and who may talk to it.

#include "engine/api_socket.h"
#include "base/fd.h"
#include "base/id_map.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 64
// 340 lines, which is the most that the kernel takes, of three columns.
#define UID_MAP_TEXT_MAX (16u << 10)

static int fill_address(struct sockaddr_un *address, const char *path, struct rk_error *e)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address->sun_path)) {
		error_set(e, ENAMETOOLONG, "API socket %s: the path is longer than %zu bytes", path,
			sizeof(address->sun_path) - 1);
		return error_hint(e, "use a shorter [engine] state-dir or [api] socket");
	}
	strcpy(address->sun_path, path);
	return 0;
}

// Removes a socket that nobody listens on; anything else at `path` stays.
static int remove_stale(const char *path, const struct sockaddr_un *address, struct rk_error *e)
{
	struct stat status;
	RK_CLEANUP_FD int probe = -1;

	if (lstat(path, &status) < 0)
		return 0; // nothing there, or bind() will say what is wrong
	if (!S_ISSOCK(status.st_mode))
		return error_set(
			e, EEXIST, "API socket %s: the file exists and is no socket", path);
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return error_errno(e, errno, "API socket %s: socket", path);
	if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		errno == EAGAIN)
		return error_set(
			e, EADDRINUSE, "API socket %s: another process listens on it", path);
	if (errno == ECONNREFUSED && unlink(path) < 0)
		return error_errno(e, errno, "API socket %s: remove the old one", path);
	return 0;
}

int api_socket_listen(const char *path, struct rk_error *e)
{
	struct sockaddr_un address;
	RK_CLEANUP_FD int fd = -1;
	int rc = fill_address(&address, path, e);

	if (rc == 0)
		rc = remove_stale(path, &address, e);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(e, errno, "API socket %s: socket", path);
	// On Linux bind() gives the file the mode of the socket's own inode: no moment at which
	// others could connect, and no umask that other threads would see.
	if (fchmod(fd, 0600) < 0)
		return error_errno(e, errno, "API socket %s: fchmod", path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(e, errno, "API socket %s: bind", path);
	if (listen(fd, LISTEN_BACKLOG) < 0) {
		rc = error_errno(e, errno, "API socket %s: listen", path);
		unlink(path);
		return rc;
	}
	return fd_take(&fd);
}

void api_peers_parse(struct rk_api_peers *peers, const char *text, size_t length)
{
	const char *end = text + length;
	struct rk_id_extent extent;

	peers->range_count = 0;
	while (peers->range_count < RK_API_UID_RANGES_MAX && id_map_next(&text, end, &extent) > 0) {
		peers->ranges[peers->range_count].first = extent.outside;
		peers->ranges[peers->range_count++].count = extent.count;
	}
}

void api_peers_read(struct rk_api_peers *peers, pid_t child_pid)
{
	char path[64], text[UID_MAP_TEXT_MAX];
	ssize_t length;

	memset(peers, 0, sizeof(*peers));
	peers->self = geteuid();
	snprintf(path, sizeof(path), "/proc/%d/uid_map", child_pid);
	length = file_read_text(path, text, sizeof(text));
	if (length > 0)
		api_peers_parse(peers, text, (size_t)length);
}

bool api_peers_allow(const struct rk_api_peers *peers, int connection)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return false;
	if (peer.uid == peers->self)
		return true;
	for (unsigned i = 0; i < peers->range_count; i++) {
		// Unsigned, so that a uid below `first` is far above `count`.
		if (peer.uid - peers->ranges[i].first < peers->ranges[i].count)
			return true;
	}
	return false;
}
