// socat.c: ports forwarded by socat(1): one listening process an address, one process a connection.
// Here for comparison with the engine's own data plane.
//
// How it works: socat listens on the host and forks for each connection, or for each peer of a UDP
// port. That process becomes nsenter(1), enters the namespaces of the child, becomes setpriv(1),
// and at last the socat that connects to the child's service; the client's socket is its standard
// input and output all the way. setpriv ties it to the life of the listening socat, which is tied
// to ours: so the end of a port ends its connections, too, and none of them keeps the port.
//
// socat tells that it listens on its stderr, which is a pipe that does not block it: what nobody
// reads is lost. An epoll set of the pidfds is what the engine watches.

#include "base/bind.h"
#include "base/fd.h"
#include "base/log.h"
#include "drivers/daemon.h"
#include "drivers/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SOCAT_PACKAGE          "socat"
#define SOCAT_READY_TIMEOUT_MS 5000
#define SOCAT_STOP_GRACE_MS    500
#define SOCAT_FREE_TIMEOUT_MS  1000
#define SOCAT_FREE_PAUSE_MS    10
#define SOCAT_OUTPUT_MAX       8192
#define SOCAT_WORD_MAX         1024
// How long a connection may stay half closed.
#define SOCAT_HALF_CLOSE_S "60"
// The largest UDP payload; TCP is read in blocks of this size, too.
#define SOCAT_BLOCK_SIZE "65507"

struct socat_listener {
	struct rk_addr addr;
	struct rk_process process;
	int log_fd;
};

struct socat_port {
	uint32_t id;
	int socktype;
	struct socat_listener listeners[RK_FORWARD_LISTENERS_MAX];
	unsigned count;
};

struct socat_ports {
	struct socat_port **items;
	size_t count;
};

// The program's name stands inside an address of socat, where it would take a quoting of its own.
static int check_binary(const char *binary, struct rk_error *e)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._+-";

	if (binary[strspn(binary, plain)] == '\0')
		return 0;
	error_set(e, EINVAL, "[socat] binary: \"%s\" cannot stand in an address of socat", binary);
	return error_hint(e, "use a path of letters, digits and / . _ + -");
}

static int socat_check(
	const struct rk_config *config, const struct rk_net_driver *net, struct rk_error *e)
{
	char output[SOCAT_OUTPUT_MAX];
	int rc;

	if (!(net->flags & NET_OWN_NETNS)) {
		error_set(e, EINVAL, "[port] driver: port driver socat requires non-host network");
		return error_hint(
			e, "set [network] driver to slirp4netns, or [port] driver to none");
	}
	rc = check_binary(config->socat.binary, e);
	if (rc < 0)
		return rc;
	return daemon_probe(
		"socat", config->socat.binary, "-V", SOCAT_PACKAGE, output, sizeof(output), e);
}

static int socat_start(struct rk_port_backend *backend, struct rk_error *e)
{
	backend->private = calloc(1, sizeof(struct socat_ports));
	if (!backend->private)
		return error_errno(e, ENOMEM, "port driver socat");
	backend->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	if (backend->watch_fd >= 0)
		return 0;
	error_errno(e, errno, "port driver socat: epoll");
	free(backend->private);
	backend->private = NULL;
	return -e->code;
}

// "TCP4", "UDP6": the family that socat's addresses are called by.
static void format_kind(char *text, size_t size, int socktype, const struct rk_addr *addr)
{
	snprintf(text, size, "%s%c", socktype == SOCK_STREAM ? "TCP" : "UDP",
		addr->sa.sa_family == AF_INET6 ? '6' : '4');
}

static void format_listen(char *text, size_t size, int socktype, const struct rk_addr *addr)
{
	bool six = addr->sa.sa_family == AF_INET6;
	char ip[RK_ADDR_TEXT_MAX], kind[8];

	format_kind(kind, sizeof(kind), socktype, addr);
	addr_format_ip(addr, ip, sizeof(ip));
	snprintf(text, size, "%s-LISTEN:%u,bind=%s%s%s,reuseaddr,fork%s%s", kind, addr_port(addr),
		six ? "[" : "", ip, six ? "]" : "", six ? ",ipv6-v6only=1" : "",
		socktype == SOCK_STREAM ? ",backlog=4096" : "");
}

static void format_connect(char *text, size_t size, const struct rk_port_backend *backend,
	int socktype, const struct rk_addr *target)
{
	char address[RK_ADDR_TEXT_MAX], kind[8], idle[32] = "";

	format_kind(kind, sizeof(kind), socktype, target);
	addr_format(target, address, sizeof(address));
	if (socktype == SOCK_DGRAM)
		snprintf(idle, sizeof(idle), " -T %u",
			backend->config->engine.udp_idle_timeout_ms / 1000);
	snprintf(text, size,
		"EXEC:\"nsenter --preserve-credentials -U -n -t %d setpriv --pdeathsig KILL "
		"%s -t " SOCAT_HALF_CLOSE_S " -b " SOCAT_BLOCK_SIZE "%s STDIO %s:%s\",nofork",
		backend->network->child_pid, backend->config->socat.binary, idle, kind, address);
}

static int start_process(const struct rk_port_backend *backend, struct socat_listener *listener,
	int socktype, const struct rk_addr *target, struct rk_error *e)
{
	RK_CLEANUP_FD int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	RK_CLEANUP_FD int log_out = -1;
	char from[SOCAT_WORD_MAX], to[SOCAT_WORD_MAX];
	const char *argv[] = {backend->config->socat.binary, "-d", "-d", from, to, NULL};
	struct rk_spawn spawn = {.argv = argv, .fd_count = 3, .death_signal = SIGKILL};
	int ends[2];

	if (null_fd < 0)
		return error_errno(e, errno, "/dev/null");
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(e, errno, "port driver socat: pipe");
	listener->log_fd = ends[0];
	log_out = ends[1];
	format_listen(from, sizeof(from), socktype, &listener->addr);
	format_connect(to, sizeof(to), backend, socktype, target);
	spawn.fds[0].from = null_fd;
	spawn.fds[0].to = STDIN_FILENO;
	spawn.fds[1].from = null_fd;
	spawn.fds[1].to = STDOUT_FILENO;
	spawn.fds[2].from = log_out;
	spawn.fds[2].to = STDERR_FILENO;
	return spawn_start(&spawn, &listener->process, e);
}

// Reads the log until socat says that it listens, has ended, or is late.
static int await_listening(struct socat_listener *listener, struct rk_error *e)
{
	struct pollfd events[] = {{listener->log_fd, POLLIN, 0}};
	char text[4096] = "";
	size_t used = 0;
	ssize_t got = 1;

	while (got > 0 && used < sizeof(text) - 1) {
		if (poll(events, 1, SOCAT_READY_TIMEOUT_MS) <= 0)
			return error_set(e, ETIMEDOUT, "socat: not ready after %d ms",
				SOCAT_READY_TIMEOUT_MS);
		got = read(listener->log_fd, text + used, sizeof(text) - 1 - used);
		used += got > 0 ? (size_t)got : 0;
		text[used] = '\0';
		if (strstr(text, "listening on"))
			return 0;
	}
	text[strcspn(text, "\n")] = '\0';
	return error_set(e, EIO, "socat does not listen: %s", text);
}

// Out of the watch first: this end is wanted.
static void stop_listener(const struct rk_port_backend *backend, struct socat_listener *listener)
{
	if (listener->process.pidfd >= 0)
		epoll_ctl(backend->watch_fd, EPOLL_CTL_DEL, listener->process.pidfd, NULL);
	process_stop(&listener->process, SIGTERM, SOCAT_STOP_GRACE_MS);
	fd_close(&listener->log_fd);
}

static int start_listener(struct rk_port_backend *backend, struct socat_listener *listener,
	int socktype, const struct rk_addr *target, struct rk_error *e)
{
	struct epoll_event event = {.events = EPOLLIN};
	int rc = start_process(backend, listener, socktype, target, e);

	if (rc == 0)
		rc = await_listening(listener, e);
	if (rc == 0 &&
		epoll_ctl(backend->watch_fd, EPOLL_CTL_ADD, listener->process.pidfd, &event) < 0)
		rc = error_errno(e, errno, "port driver socat: epoll");
	if (rc < 0)
		stop_listener(backend, listener);
	return rc;
}

static void stop_port(const struct rk_port_backend *backend, struct socat_port *port)
{
	for (unsigned i = 0; i < port->count; i++)
		stop_listener(backend, &port->listeners[i]);
}

static int start_port(struct rk_port_backend *backend, struct socat_port *port,
	const struct rk_forward *forward, struct rk_error *e)
{
	int rc = 0;

	for (unsigned i = 0; i < forward->listener_count && rc == 0; i++) {
		struct socat_listener *listener = &port->listeners[port->count];

		*listener = (struct socat_listener){
			.addr = forward->listeners[i], .process = RK_PROCESS_NONE, .log_fd = -1};
		// Before the start, since socat shares a UDP port with another program.
		rc = bind_try(&listener->addr, forward->socktype, e);
		if (i > 0 && forward->listeners_optional &&
			(rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL))
			return 0;
		if (rc == 0)
			rc = start_listener(
				backend, listener, forward->socktype, &forward->targets[0], e);
		if (rc == 0)
			port->count++;
	}
	if (rc < 0)
		stop_port(backend, port);
	return rc;
}

static int socat_add(struct rk_port_backend *backend, const struct rk_port_spec *spec,
	const struct rk_forward *forward, struct rk_error *e)
{
	struct socat_ports *ports = backend->private;
	RK_CLEANUP_FREE struct socat_port *port = calloc(1, sizeof(*port));
	struct socat_port **items = reallocarray(ports->items, ports->count + 1, sizeof(*items));
	int rc;

	(void)spec;
	if (items)
		ports->items = items;
	if (!items || !port)
		return error_errno(e, ENOMEM, "table of %zu ports", ports->count + 1);
	port->id = forward->id;
	port->socktype = forward->socktype;
	rc = start_port(backend, port, forward, e);
	if (rc < 0)
		return rc;
	ports->items[ports->count++] = port;
	port = NULL;
	return 0;
}

// The connections of a UDP port hold its address; they are killed when their parent has ended.
static void await_free(const struct socat_port *port)
{
	struct rk_error e;
	int left_ms = SOCAT_FREE_TIMEOUT_MS;

	for (unsigned i = 0; i < port->count; i++) {
		while (bind_try(&port->listeners[i].addr, port->socktype, &e) == -EADDRINUSE &&
			left_ms > 0) {
			poll(NULL, 0, SOCAT_FREE_PAUSE_MS);
			left_ms -= SOCAT_FREE_PAUSE_MS;
		}
	}
	if (left_ms <= 0)
		log_warning("socat has ended, its port is still in use: %s", e.text);
}

static int socat_remove(struct rk_port_backend *backend, uint32_t id, struct rk_error *e)
{
	struct socat_ports *ports = backend->private;
	RK_CLEANUP_FREE struct socat_port *port = NULL;
	size_t at = 0;

	while (at < ports->count && ports->items[at]->id != id)
		at++;
	if (at == ports->count)
		return error_set(e, ENOENT, "unknown id: %u", id);
	port = ports->items[at];
	ports->items[at] = ports->items[--ports->count];
	stop_port(backend, port);
	await_free(port);
	return 0;
}

static int socat_describe_death(struct rk_port_backend *backend, struct rk_error *e)
{
	const struct socat_ports *ports = backend->private;
	char how[64], address[RK_ADDR_TEXT_MAX];

	for (size_t i = 0; i < ports->count; i++) {
		struct socat_port *port = ports->items[i];

		for (unsigned j = 0; j < port->count; j++) {
			int status = process_wait(&port->listeners[j].process, 0);

			if (status < 0)
				continue;
			addr_format(&port->listeners[j].addr, address, sizeof(address));
			return error_set(e, EIO,
				"port driver socat: its process for %s/%s (port %u) %s", address,
				port->socktype == SOCK_STREAM ? "tcp" : "udp", port->id,
				process_describe_status(status, how, sizeof(how)));
		}
	}
	return error_set(e, EIO, "port driver socat: one of its processes ended");
}

static void socat_stop(struct rk_port_backend *backend)
{
	struct socat_ports *ports = backend->private;

	for (size_t i = 0; i < ports->count; i++) {
		stop_port(backend, ports->items[i]);
		free(ports->items[i]);
	}
	free(ports->items);
	free(ports);
	backend->private = NULL;
	fd_close(&backend->watch_fd);
}

static const char *const socat_protos[] = {"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", NULL};

const struct rk_port_driver port_socat = {
	.name = "socat",
	.flags = PORT_STARTS_PROGRAMS,
	.protos = socat_protos,
	.check = socat_check,
	.start = socat_start,
	.add = socat_add,
	.remove = socat_remove,
	.describe_death = socat_describe_death,
	.stop = socat_stop,
};
