// api_socket.c: the listening socket of the control API and who may talk to it.

#include "engine/api_socket.h"
#include "base/fd.h"
#include "base/id_map.h"

#include <errno.h>
#include <fcntl.h>
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

static int in_use(const char *path, struct rk_error *e)
{
	error_set(e, EADDRINUSE, "API socket %s: another process listens on it", path);
	return error_hint(e, "end that one, or set another [api] socket");
}

// The process that listens at the address, 0 = nobody does or nothing is there, -code with *e.
static int find_listener(const struct sockaddr_un *address, const char *path, struct rk_error *e)
{
	RK_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = {.pid = 0};
	socklen_t length = sizeof(peer);

	if (fd < 0)
		return error_errno(e, errno, "API socket %s: socket", path);
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno == ECONNREFUSED || errno == ENOENT)
			return 0;
		if (errno != EAGAIN)
			return error_errno(e, errno, "API socket %s: connect", path);
	}
	// One of another PID namespace has no number here.
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	return peer.pid > 0 ? peer.pid : INT_MAX;
}

// The same for a file of any name, however long.
static int find_file_listener(const char *name, const char *path, struct rk_error *e)
{
	RK_CLEANUP_FD int fd = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (fd < 0)
		return error_errno(e, errno, "API socket %s: open", name);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", fd);
	return find_listener(&address, path, e);
}

// Takes a socket that did not answer out of the way, and removes it if that is still so: it may be
// another one by now, of an engine that began a moment ago, which gets it back.
static int take_away(const char *path, struct rk_error *e)
{
	char taken[PATH_MAX];
	int rc;

	if (snprintf(taken, sizeof(taken), "%s.%d", path, gettid()) >= (int)sizeof(taken))
		return error_errno(e, ENAMETOOLONG, "API socket %s", path);
	if (rename(path, taken) < 0)
		return errno == ENOENT
			       ? 0
			       : error_errno(e, errno, "API socket %s: remove the old one", path);
	rc = find_file_listener(taken, path, e);
	if (rc != 0 && renameat2(AT_FDCWD, taken, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return rc < 0 ? rc : in_use(path, e);
	unlink(taken);
	return rc < 0 ? rc : 0;
}

// Removes a socket that nobody listens on; anything else at `path` stays.
static int remove_stale(const char *path, const struct sockaddr_un *address, struct rk_error *e)
{
	struct stat status;
	int rc;

	if (lstat(path, &status) < 0)
		return 0; // nothing there, or bind() will say what is wrong
	if (!S_ISSOCK(status.st_mode))
		return error_set(
			e, EEXIST, "API socket %s: the file exists and is no socket", path);
	rc = find_listener(address, path, e);
	if (rc > 0)
		return in_use(path, e);
	return rc < 0 ? rc : take_away(path, e);
}

// A bound socket answers nobody until it listens, so that another engine may have taken ours for
// one that was left behind. Whoever has the path by now keeps it.
static int check_path(
	struct rk_api_socket_file *file, const struct sockaddr_un *address, struct rk_error *e)
{
	int listener = find_listener(address, file->path, e);
	struct stat status;

	if (listener < 0)
		return listener;
	if (listener != getpid() || lstat(file->path, &status) < 0)
		return in_use(file->path, e);
	file->device = status.st_dev;
	file->inode = status.st_ino;
	return 0;
}

static int bind_and_listen(struct rk_api_socket_file *file, int fd,
	const struct sockaddr_un *address, struct rk_error *e)
{
	int rc;

	// On Linux bind() gives the file the mode of the socket's own inode: no moment at which
	// others could connect, and no umask that other threads would see.
	if (fchmod(fd, 0600) < 0)
		return error_errno(e, errno, "API socket %s: fchmod", file->path);
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return errno == EADDRINUSE
			       ? in_use(file->path, e)
			       : error_errno(e, errno, "API socket %s: bind", file->path);
	rc = listen(fd, LISTEN_BACKLOG) < 0
		     ? error_errno(e, errno, "API socket %s: listen", file->path)
		     : check_path(file, address, e);
	// Unless it is another's.
	if (rc < 0 && rc != -EADDRINUSE)
		unlink(file->path);
	return rc;
}

void api_socket_remove(const struct rk_api_socket_file *file)
{
	struct stat status;

	if (lstat(file->path, &status) == 0 && status.st_dev == file->device &&
		status.st_ino == file->inode)
		unlink(file->path);
}

int api_socket_listen(struct rk_api_socket_file *file, const char *path, struct rk_error *e)
{
	struct sockaddr_un address;
	RK_CLEANUP_FD int fd = -1;
	int rc = fill_address(&address, path, e);

	if (rc == 0)
		rc = remove_stale(path, &address, e);
	if (rc < 0)
		return rc;
	*file = (struct rk_api_socket_file){.inode = 0};
	snprintf(file->path, sizeof(file->path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(e, errno, "API socket %s: socket", path);
	rc = bind_and_listen(file, fd, &address, e);
	return rc < 0 ? rc : fd_take(&fd);
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
