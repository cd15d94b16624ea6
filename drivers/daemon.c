// daemon.c: life of the program behind a network driver.
//
// How it works: stderr of the daemon is a pipe whose writing end does not block: what is not read
// in time is dropped by the kernel's 64 KiB limit, and a talkative daemon never hangs on us. The
// pipe is only read when the daemon has failed, to put its own words into our error.

#include "drivers/daemon.h"
#include "base/fd.h"
#include "drivers/relay.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_TIMEOUT_MS 5000
// From the end of the ready pipe to the end of the process that held it.
#define DEATH_GRACE_MS 1000
#define LAST_WORDS_MAX 400

struct rk_daemon_log {
	int fd;
};

static void log_free(struct rk_net *net)
{
	if (net->log)
		fd_close(&net->log->fd);
	free(net->log);
	net->log = NULL;
}

static int hint_package(const char *driver, const char *package, struct rk_error *e)
{
	return error_hint(e, "apt install %s, or set its path in [%s] binary", package, driver);
}

// Makes the log; returns the daemon's end of its pipe (not blocking, unlike ours) or -errno.
static int log_create(struct rk_net *net)
{
	int ends[2];

	net->log = malloc(sizeof(*net->log));
	if (!net->log)
		return -ENOMEM;
	net->log->fd = -1;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	net->log->fd = ends[0];
	return ends[1];
}

static void spawn_keep(struct rk_spawn *spawn, int from, int to)
{
	spawn->fds[spawn->fd_count].from = from;
	spawn->fds[spawn->fd_count].to = to;
	spawn->fd_count++;
}

int daemon_start(
	struct rk_net *net, struct rk_spawn *spawn, const char *package, struct rk_error *e)
{
	RK_CLEANUP_FD int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	RK_CLEANUP_FD int log_out = -1;
	int rc;

	net->daemon = RK_PROCESS_NONE;
	if (null_fd < 0)
		return error_errno(e, errno, "/dev/null");
	log_out = log_create(net);
	if (log_out < 0) {
		log_free(net);
		return error_errno(e, -log_out, "%s: pipe", spawn->argv[0]);
	}
	spawn_keep(spawn, null_fd, STDIN_FILENO);
	spawn_keep(spawn, null_fd, STDOUT_FILENO);
	spawn_keep(spawn, log_out, STDERR_FILENO);
	spawn->death_signal = SIGKILL;
	spawn->own_group = true; // Ctrl-C is for the command, which may need the network to end
	rc = spawn_start(spawn, &net->daemon, e);
	if (rc == 0)
		return 0;
	log_free(net);
	return rc == -ENOENT ? hint_package(net->driver->name, package, e) : rc;
}

// Takes the lines out of `text` that start with `noise`.
static void drop_noise(char *text, const char *noise)
{
	char *to = text;

	for (const char *line = text; noise && *line;) {
		size_t length = strcspn(line, "\n") + (strchr(line, '\n') ? 1 : 0);

		if (strncmp(line, noise, strlen(noise)) != 0) {
			memmove(to, line, length);
			to += length;
		}
		line += length;
	}
	if (noise)
		*to = '\0';
}

// Reads the pipe empty and keeps its end, at least half of `size` where there is as much.
static size_t log_read_end(int fd, char *text, size_t size)
{
	size_t used = 0;
	ssize_t got;

	while ((got = read(fd, text + used, size - used)) > 0) {
		used += (size_t)got;
		if (used > size / 2) {
			memmove(text, text + used - size / 2, size / 2);
			used = size / 2;
		}
	}
	return used;
}

// The end of what the daemon printed, on one line: lines joined by "; ", nothing unprintable.
static void read_last_words(const struct rk_net *net, char *words, size_t size)
{
	char raw[4096];
	size_t raw_length = 0;
	size_t used = 0;
	const char *next = raw;

	if (net->log)
		raw_length = log_read_end(net->log->fd, raw, sizeof(raw) - 1);
	raw[raw_length] = '\0';
	drop_noise(raw, net->driver->log_noise);
	if (strlen(raw) > size / 2)
		next = raw + strlen(raw) - size / 2;
	for (; *next && used + 3 < size; next++) {
		if (*next == '\n' && next[1]) {
			words[used++] = ';';
			words[used++] = ' ';
		} else if (isprint((unsigned char)*next)) {
			words[used++] = *next;
		}
	}
	words[used] = '\0';
}

void daemon_log_discard(const struct rk_net *net)
{
	char dropped[4096];

	while (net->log && read(net->log->fd, dropped, sizeof(dropped)) > 0)
		;
}

int daemon_log_fd(const struct rk_net *net)
{
	return net->log ? net->log->fd : -1;
}

// Relay and daemon end with each other, in any order. Only the relay's status tells who was first:
// when it was the daemon, the relay says so.
static bool relay_failed(struct rk_net *net, int *status)
{
	*status = net->relay.pid > 0 ? process_wait(&net->relay, DEATH_GRACE_MS) : -ECHILD;
	return *status >= 0 && !(WIFEXITED(*status) && WEXITSTATUS(*status) == RELAY_BACKEND_GONE);
}

int net_describe_death(struct rk_net *net, struct rk_error *e)
{
	char words[LAST_WORDS_MAX];
	char how[64];
	int status;

	if (net->driver->describe_death)
		return net->driver->describe_death(net, e);
	if (relay_failed(net, &status))
		return error_set(e, EIO, "%s: its tap relay %s", net->driver->name,
			relay_describe_end(status, how, sizeof(how)));
	status = process_wait(&net->daemon, DEATH_GRACE_MS);
	read_last_words(net, words, sizeof(words));
	if (status >= 0)
		process_describe_status(status, how, sizeof(how));
	else
		memcpy(how, "stopped working", sizeof("stopped working"));
	return error_set(e, EIO, "%s %s%s%s", net->driver->name, how, words[0] ? ": " : "", words);
}

// 1 = ready, 0 = it will never be, -ETIMEDOUT, -ECANCELED or -errno.
static int wait_for_byte(const struct rk_net *net, int ready_fd, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = ready_fd, .events = POLLIN}, {.fd = net->daemon.pidfd, .events = POLLIN}};
	int rc = wait_poll(wait_within(timeout_ms, &net->cancel), fds, 2);
	char byte;

	if (rc < 0)
		return rc;
	// A byte counts even when the daemon has ended since; the caller's watch then sees that.
	return (fds[0].revents & POLLIN) && read(ready_fd, &byte, 1) == 1;
}

int daemon_await_ready(struct rk_net *net, int ready_fd, int timeout_ms, struct rk_error *e)
{
	char words[LAST_WORDS_MAX];
	int rc = wait_for_byte(net, ready_fd, timeout_ms);

	if (rc == 1) {
		daemon_log_discard(net); // chatter of a start that went well
		return 0;
	}
	if (rc == 0) {
		rc = net_describe_death(net, e);
	} else if (rc == -ECANCELED) {
		rc = error_set(e, ECANCELED, "%s: given up", net->driver->name);
	} else {
		read_last_words(net, words, sizeof(words));
		rc = error_set(e, ETIMEDOUT, "%s: not ready after %d ms%s%s", net->driver->name,
			timeout_ms, words[0] ? ": " : "", words);
	}
	daemon_stop(net, SIGKILL, 0);
	return rc;
}

void daemon_stop(struct rk_net *net, int signal, int grace_ms)
{
	process_stop(&net->daemon, signal, grace_ms);
	log_free(net);
}

int daemon_probe(const char *driver, const char *program, const char *option, const char *package,
	char *output, size_t size, struct rk_error *e)
{
	const char *argv[] = {program, option, NULL};
	char how[64];
	int status = spawn_run(argv, output, size, PROBE_TIMEOUT_MS, e);

	if (status == -ENOENT)
		return hint_package(driver, package, e);
	if (status <= 0)
		return status;
	return error_set(e, EIO, "%s %s: %s", program, option,
		process_describe_status(status, how, sizeof(how)));
}
