// relayed.c: what network drivers share whose backend gives frames on a socket and not a tap.

#include "drivers/relayed.h"
#include "base/clock.h"
#include "base/fd.h"
#include "drivers/daemon.h"
#include "drivers/tap.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RETRY_MS            5
#define SOCKET_PATH_MAX     (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define SOCKET_NAME_MAX     16 // of a socket in the directory, with its slash
#define SOCKET_BUFFER_BYTES (4 * 1024 * 1024)

// As the shell would find it, without running it.
static bool program_exists(const char *program)
{
	const char *next = getenv("PATH");
	char candidate[PATH_MAX];

	if (strchr(program, '/'))
		return access(program, X_OK) == 0;
	while (next) {
		int length = (int)strcspn(next, ":");

		snprintf(candidate, sizeof(candidate), "%.*s/%s", length, next, program);
		if (access(candidate, X_OK) == 0)
			return true;
		next = next[length] ? next + length + 1 : NULL;
	}
	return false;
}

int relayed_look_up(const char *driver, const char *program, const char *remedy, struct rk_error *e)
{
	if (program_exists(program))
		return 0;
	error_set(e, ENOENT, "%s: not found", program);
	return error_hint(e, "%s, or set its path in [%s] binary", remedy, driver);
}

static int connect_once(const char *path, int type)
{
	RK_CLEANUP_FD int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (fd < 0)
		return -errno;
	if (strlen(path) > SOCKET_PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return fd_take(&fd);
}

// The daemon has ended.
static bool daemon_has_ended(const struct rk_net *net, int wait_ms)
{
	struct pollfd ended = {.fd = net->daemon.pidfd, .events = POLLIN};

	return poll(&ended, 1, wait_ms) > 0;
}

int relayed_await_socket(
	struct rk_net *net, const char *path, int type, int timeout_ms, struct rk_error *e)
{
	int64_t deadline_ms = clock_now_ms() + timeout_ms;
	bool unwanted;
	int rc;

	do {
		unwanted = cancel_is_asked(&net->cancel);
		rc = connect_once(path, type);
		if (rc >= 0)
			return rc;
	} while ((rc == -ENOENT || rc == -ECONNREFUSED || rc == -EAGAIN) && !unwanted &&
		 !daemon_has_ended(net, RETRY_MS) && clock_now_ms() < deadline_ms);
	if (unwanted)
		rc = error_set(e, ECANCELED, "%s: given up", net->driver->name);
	else if (daemon_has_ended(net, 0))
		rc = net_describe_death(net, e);
	else
		rc = error_errno(e, -rc, "%s: not ready, connect to %s", net->driver->name, path);
	daemon_stop(net, SIGKILL, 0);
	return rc;
}

int relayed_open_tap(struct rk_net *net, const uint8_t mac[ETHER_ADDR_LEN], struct rk_error *e)
{
	RK_CLEANUP_FD int tap = -1;
	const char *ifname = net_driver_ifname(net->driver, net->config);
	int rc;

	rc = tap = tap_open_in(net->child_pid, ifname, e);
	if (rc >= 0 && mac)
		rc = tap_set_mac(tap, mac, e);
	return rc < 0 ? rc : fd_take(&tap);
}

int relayed_start(struct rk_net *net, int tap, int socket, enum rk_framing framing,
	const struct rk_frame_filter *filter, struct rk_error *e)
{
	struct rk_relay_options options = {
		.tap = tap, .socket = socket, .framing = framing, .log_fd = daemon_log_fd(net)};
	int bytes = SOCKET_BUFFER_BYTES;

	if (filter)
		options.filter = *filter;
	// As much as net.core.wmem_max allows: more frames a wake-up.
	setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return relay_start(&options, &net->relay, e);
}

int relayed_make_dir(
	const struct rk_net *net, const char *name, char *path, size_t size, struct rk_error *e)
{
	int length = snprintf(path, size, "%s/%s", net->state_dir, name);

	if ((size_t)length >= size || (size_t)length + SOCKET_NAME_MAX > SOCKET_PATH_MAX) {
		error_set(e, ENAMETOOLONG, "%s/%s: too long for the path of a socket in it",
			net->state_dir, name);
		return error_hint(e, "choose a shorter [engine] state-dir");
	}
	if (mkdir(path, 0700) < 0)
		return error_errno(e, errno, "%s: make the directory", path);
	return 0;
}

void relayed_remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL)
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(path);
}

void relayed_stop(struct rk_net *net, int signal, int grace_ms)
{
	if (net->relay.pid > 0)
		process_stop(&net->relay, SIGKILL, 0);
	daemon_stop(net, signal, grace_ms);
}
