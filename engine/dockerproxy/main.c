// main.c: rootlesskit-docker-proxy: dockerd's userland proxy inside the namespaces.
//
// How it works: dockerd (before version 28) runs one docker-proxy for each published port and reads
// from the proxy's descriptor 3 whether it listens. In rootless mode it runs this program instead.
// It publishes the port on the host through the engine's API, then starts the real docker-proxy on
// the address that the engine connects to; docker-proxy itself answers on descriptor 3. dockerd
// ends us by SIGINT (SIGTERM when it dies itself): the port goes, then docker-proxy.
//
//   the engine's port driver       what happens
//   none, implicit                 we become docker-proxy
//   without this protocol          a warning, "0\n" on descriptor 3, exit 0
//   anything else                  POST /v1/ports, docker-proxy, DELETE /v1/ports/ID

#include "base/fd.h"
#include "base/log.h"
#include "base/spawn.h"
#include "engine/dockerproxy/flags.h"
#include "engine/dockerproxy/publish.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define PROGRAM       "rootlesskit-docker-proxy"
#define STATUS_FD     3 // dockerd's end of the status pipe
#define STOP_GRACE_MS 1000
#define EXIT_USAGE    2 // a wrong flag, as docker-proxy exits
#define PROXY_WORDS   12

static const char usage[] =
	"usage: " PROGRAM " -proto tcp|udp|sctp -host-ip IP -host-port PORT\n"
	"           -container-ip IP -container-port PORT\n"
	"\n"
	"Publishes PORT of the host through the engine of $ROOTLESSKIT_STATE_DIR and runs\n"
	"docker-proxy behind it. dockerd starts it for each published port in rootless mode.\n";

struct proxy {
	struct proxy_flags flags;
	struct publish_port port;
	struct ctl_client *client;
	int64_t id; // of the published port, 0 = none
	struct rk_process process;
	int signal_fd;
	int status_fd; // STATUS_FD until docker-proxy has it, -1 = taken or never there
	int exit_status;
};

// dockerd reads "0\n", or "1\n" and the reason.
static void tell(struct proxy *proxy, const char *text, size_t length)
{
	// Nobody may listen: a hand-made call, or a dockerd that waited for too long.
	if (proxy->status_fd >= 0 && fd_write_all(proxy->status_fd, text, length) < 0)
		log_debug("nobody reads the status");
	fd_close(&proxy->status_fd);
}

static void tell_failure(struct proxy *proxy, const struct rk_error *e)
{
	char line[sizeof(e->text) + sizeof(e->hint) + 8];
	char text[sizeof(line) + 4];

	snprintf(text, sizeof(text), "1\n%s", error_line(e, line, sizeof(line)));
	tell(proxy, text, strlen(text));
}

static void fill_words(
	const struct proxy_flags *flags, const char *host_ip, const char *words[PROXY_WORDS])
{
	const char *const all[PROXY_WORDS] = {"docker-proxy", "-proto", flags->proto, "-host-ip",
		host_ip, "-host-port", flags->host_port_text, "-container-ip", flags->container_ip,
		"-container-port", flags->container_port_text, NULL};

	memcpy(words, all, sizeof(all));
}

static int explain_missing(struct rk_error *e)
{
	return error_hint(e, "docker-proxy comes with Docker (Debian: docker.io) and must be on "
			     "$PATH, which often lacks /usr/sbin");
}

// Without a port driver there is nothing to add to docker-proxy. Returns only on failure.
static int become_docker_proxy(struct proxy *proxy, struct rk_error *e)
{
	const char *words[PROXY_WORDS];
	sigset_t none;

	fill_words(&proxy->flags, proxy->flags.host_ip, words);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (proxy->status_fd >= 0)
		fd_set_cloexec(proxy->status_fd, false);
	execvp(words[0], (char *const *)words);
	error_errno(e, errno, "docker-proxy");
	return explain_missing(e);
}

static int start_docker_proxy(struct proxy *proxy, struct rk_error *e)
{
	const char *words[PROXY_WORDS];
	struct rk_spawn spawn = {.argv = words, .death_signal = SIGKILL};
	int rc;

	fill_words(&proxy->flags, proxy->port.child_ip, words);
	if (proxy->status_fd >= 0) {
		spawn.fds[0].from = spawn.fds[0].to = proxy->status_fd;
		spawn.fd_count = 1;
	}
	rc = spawn_start(&spawn, &proxy->process, e);
	if (rc == -ENOENT)
		return explain_missing(e);
	// The last writer that is left must be docker-proxy, so that its end is seen by dockerd.
	if (rc == 0)
		fd_close(&proxy->status_fd);
	return rc;
}

// Until dockerd ends us, or docker-proxy ends, which said why on descriptor 3.
static void wait_for_end(struct proxy *proxy)
{
	struct pollfd fds[] = {
		{proxy->signal_fd, POLLIN, 0},
		{proxy->process.pidfd, POLLIN, 0},
	};
	char how[64];
	int status;

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		continue;
	if (fds[0].revents || !fds[1].revents)
		return;
	status = process_wait(&proxy->process, -1);
	proxy->exit_status = status < 0 ? EXIT_FAILURE : process_exit_code(status);
	log_warning("docker-proxy %s",
		status < 0 ? "was lost" : process_describe_status(status, how, sizeof(how)));
}

static int forward(struct proxy *proxy, struct rk_error *e)
{
	int rc;

	proxy->id = publish_add(proxy->client, &proxy->port, e);
	if (proxy->id < 0)
		return (int)proxy->id;
	rc = start_docker_proxy(proxy, e);
	if (rc == 0)
		wait_for_end(proxy);
	return rc;
}

// The port first: whoever connects from now on is refused by the host, not left to docker-proxy.
static void stop(struct proxy *proxy)
{
	struct rk_error e;

	if (proxy->id > 0 && publish_remove(proxy->client, proxy->id, &e) < 0)
		log_failure(&e);
	process_stop(&proxy->process, SIGTERM, STOP_GRACE_MS);
	client_close(proxy->client);
}

static int connect_engine(struct proxy *proxy, struct rk_error *e)
{
	const char *state_dir = getenv("ROOTLESSKIT_STATE_DIR");
	char path[PATH_MAX];

	if (!state_dir || !state_dir[0])
		return error_set(e, EINVAL,
			"$ROOTLESSKIT_STATE_DIR is not set: " PROGRAM
			" runs in the namespaces of rootlesskit only");
	if (snprintf(path, sizeof(path), "%s/api.sock", state_dir) >= (int)sizeof(path))
		return error_set(e, ENAMETOOLONG, "$ROOTLESSKIT_STATE_DIR is too long");
	proxy->client = client_open(path, false, e);
	return proxy->client ? 0 : -e->code;
}

static int run(struct proxy *proxy, struct rk_error *e)
{
	int plan = flags_check(&proxy->flags, e);

	if (plan == 0)
		plan = connect_engine(proxy, e);
	if (plan == 0)
		plan = publish_plan(proxy->client, &proxy->flags, &proxy->port, e);
	if (plan < 0)
		return plan;
	if (plan == PUBLISH_NOTHING)
		return become_docker_proxy(proxy, e);
	if (plan == PUBLISH_PORT)
		return forward(proxy, e);
	log_warning("protocol %s is not supported by the port driver %s, ignoring the port",
		proxy->port.proto, proxy->port.driver);
	tell(proxy, "0\n", 2);
	return 0;
}

// Blocked, so that one that comes early is kept until there is something to undo.
static int open_signals(void)
{
	sigset_t stops;

	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGTERM);
	sigprocmask(SIG_BLOCK, &stops, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &stops, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct proxy proxy = {.process = RK_PROCESS_NONE, .status_fd = STATUS_FD};
	struct rk_error e = {0};
	int rc;

	log_init(PROGRAM, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	signal(SIGCHLD, SIG_DFL); // ignored, it would take docker-proxy's exit status away
	// Descriptor 3 before any other is made: without dockerd the number would be somebody
	// else's.
	if (fd_set_cloexec(STATUS_FD, true) < 0)
		proxy.status_fd = -1;
	rc = argc > 0 ? flags_read(&proxy.flags, argv, &e) : -EINVAL;
	if (rc < 0 || proxy.flags.help) {
		if (rc < 0)
			log_failure(&e);
		fputs(usage, stderr);
		return rc < 0 ? EXIT_USAGE : EXIT_SUCCESS;
	}
	proxy.signal_fd = open_signals();
	rc = proxy.signal_fd < 0 ? error_errno(&e, errno, "signalfd") : run(&proxy, &e);
	if (rc < 0) {
		log_failure(&e);
		tell_failure(&proxy, &e);
		proxy.exit_status = EXIT_FAILURE;
	}
	stop(&proxy);
	fd_close(&proxy.signal_fd);
	return proxy.exit_status;
}
