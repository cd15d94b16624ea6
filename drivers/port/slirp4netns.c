// slirp4netns.c: ports forwarded by the slirp4netns of the network, through its API socket.
//
// How it works: one connection and one JSON request a call; slirp4netns reads the request with one
// read(2) and answers with the end of the connection. It gives every forwarding an id of its own,
// which is kept beside ours. Its parser dies of a request without "proto", so each request is
// made here in full.
//
// Limits of slirp4netns: IPv4 only, and the child's address is one on the tap, never its loopback.
// It says of a port that it cannot have only that it failed; the reason is found by trying. With
// disable-host-loopback it drops its own UDP answers to clients on the host's loopback, whose
// address it shows to the child as the gateway's.

#include "drivers/slirp4netns.h"
#include "base/bind.h"
#include "base/fd.h"
#include "base/log.h"
#include "drivers/driver.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define API_TIMEOUT_MS 5000 // of one exchange
#define API_ANSWER_MAX 4096

struct slirp_forward {
	uint32_t id; // ours
	int slirp_id;
};

struct slirp_ports {
	struct sockaddr_un api;
	struct slirp_forward *items;
	size_t count;
};

static void cleanup_json(cJSON **tree)
{
	cJSON_Delete(*tree);
}
#define CLEANUP_JSON __attribute__((cleanup(cleanup_json)))

static int slirp4netns_check(
	const struct rk_config *config, const struct rk_net_driver *net, struct rk_error *e)
{
	(void)config;
	if (strcmp(net->name, "slirp4netns") == 0)
		return 0;
	error_set(e, EINVAL, "[port] driver: port driver slirp4netns requires slirp4netns network");
	return error_hint(e, "set [network] driver to slirp4netns, or [port] driver to builtin");
}

static int slirp4netns_start(struct rk_port_backend *backend, struct rk_error *e)
{
	struct slirp_ports *ports = calloc(1, sizeof(*ports));
	int rc;

	if (!ports)
		return error_errno(e, ENOMEM, "port driver slirp4netns");
	ports->api.sun_family = AF_UNIX;
	rc = slirp4netns_api_path(
		backend->state_dir, ports->api.sun_path, sizeof(ports->api.sun_path), e);
	if (rc < 0)
		free(ports);
	else
		backend->private = ports;
	return rc;
}

static int api_connect(const struct slirp_ports *ports, struct rk_error *e)
{
	RK_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {.tv_sec = API_TIMEOUT_MS / 1000};

	if (fd < 0)
		return error_errno(e, errno, "%s", ports->api.sun_path);
	// The send limit holds for connect(2), too: the queue of the socket has no length.
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&ports->api, sizeof(ports->api)) < 0)
		return error_errno(e, errno == EAGAIN ? ETIMEDOUT : errno, "API of slirp4netns, %s",
			ports->api.sun_path);
	return fd_take(&fd);
}

// Reads to the end of the connection, API_ANSWER_MAX - 1 bytes at most. 0 or -errno.
static int read_answer(int fd, struct rk_wait wait, char *answer)
{
	size_t used = 0;
	ssize_t got;

	do {
		int rc = wait_fd(wait, fd, POLLIN);

		if (rc < 0)
			return rc;
		got = recv(fd, answer + used, API_ANSWER_MAX - used, MSG_DONTWAIT);
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		used += got > 0 ? (size_t)got : 0;
		if (used == API_ANSWER_MAX)
			return -EFBIG;
	} while (got != 0);
	answer[used] = '\0';
	return 0;
}

// Sends the request and reads the answer to its end, all within API_TIMEOUT_MS: the caller holds
// the lock of all ports.
static int api_exchange(
	const struct slirp_ports *ports, const char *request, char *answer, struct rk_error *e)
{
	struct rk_wait wait = wait_within(API_TIMEOUT_MS, NULL);
	RK_CLEANUP_FD int fd = api_connect(ports, e);
	int rc;

	if (fd < 0)
		return fd;
	// A new connection has room for it.
	if (send(fd, request, strlen(request), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return error_errno(e, errno, "send to the API of slirp4netns");
	rc = read_answer(fd, wait, answer);
	if (rc < 0)
		return error_errno(e, -rc, "answer of the API of slirp4netns");
	return 0;
}

// The "return" of the answer in *tree, or its "error" in *e.
static int api_read_answer(const char *answer, cJSON **tree, struct rk_error *e)
{
	const cJSON *error, *text;

	*tree = cJSON_Parse(answer);
	error = cJSON_GetObjectItemCaseSensitive(*tree, "error");
	text = cJSON_GetObjectItemCaseSensitive(error, "desc");
	if (cJSON_IsString(text))
		return error_set(e, EIO, "slirp4netns: %s", text->valuestring);
	if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(*tree, "return")))
		return 0;
	return error_set(e, EPROTO, "slirp4netns answered its API with: %.200s", answer);
}

// One call. `arguments` is taken over; NULL or `complete` false: there was no memory for them.
static int api_call(const struct slirp_ports *ports, const char *function, cJSON *arguments,
	bool complete, cJSON **result, struct rk_error *e)
{
	CLEANUP_JSON cJSON *request = cJSON_CreateObject();
	RK_CLEANUP_FREE char *text = NULL;
	char answer[API_ANSWER_MAX];
	int rc;

	complete = complete && cJSON_AddStringToObject(request, "execute", function) &&
		   cJSON_AddItemToObject(request, "arguments", arguments);
	if (complete)
		text = cJSON_PrintUnformatted(request);
	else
		cJSON_Delete(arguments);
	if (!text)
		return error_errno(e, ENOMEM, "request to slirp4netns");
	rc = api_exchange(ports, text, answer, e);
	return rc < 0 ? rc : api_read_answer(answer, result, e);
}

static int add_forwarding(const struct slirp_ports *ports, const struct rk_addr *parent,
	int socktype, const struct rk_addr *child, int *slirp_id, struct rk_error *e)
{
	CLEANUP_JSON cJSON *result = NULL;
	cJSON *arguments = cJSON_CreateObject();
	const cJSON *id;
	char host[RK_ADDR_TEXT_MAX], guest[RK_ADDR_TEXT_MAX];
	bool complete;
	int rc;

	addr_format_ip(parent, host, sizeof(host));
	addr_format_ip(child, guest, sizeof(guest));
	complete = cJSON_AddStringToObject(
			   arguments, "proto", socktype == SOCK_STREAM ? "tcp" : "udp") &&
		   cJSON_AddStringToObject(arguments, "host_addr", host) &&
		   cJSON_AddNumberToObject(arguments, "host_port", addr_port(parent)) &&
		   cJSON_AddStringToObject(arguments, "guest_addr", guest) &&
		   cJSON_AddNumberToObject(arguments, "guest_port", addr_port(child));
	rc = api_call(ports, "add_hostfwd", arguments, complete, &result, e);
	if (rc < 0)
		return rc;
	id = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(result, "return"), "id");
	if (!cJSON_IsNumber(id) || id->valuedouble < 0 || id->valuedouble > INT_MAX ||
		id->valuedouble != id->valueint)
		return error_set(e, EPROTO, "slirp4netns answered add_hostfwd without an id");
	*slirp_id = id->valueint;
	return 0;
}

static int check_parent(const struct rk_addr *parent, struct rk_error *e)
{
	char text[RK_ADDR_TEXT_MAX];

	if (parent->sa.sa_family == AF_INET)
		return 0;
	error_set(e, EAFNOSUPPORT, "port driver slirp4netns forwards IPv4 only, not %s",
		addr_format(parent, text, sizeof(text)));
	return error_hint(e, "give an IPv4 parent address, or set [port] driver to builtin");
}

// The child's address: that of the spec, else the interface's.
static int choose_child(const struct rk_port_backend *backend, const struct rk_port_spec *spec,
	struct rk_addr *child, struct rk_error *e)
{
	const char *ip = spec->child_ip[0] ? spec->child_ip : backend->network->ip;
	int rc = addr_parse(child, ip, strlen(ip), spec->child_port);

	if (rc == 0 && addr_is_wildcard(child))
		rc = addr_parse(child, backend->network->ip, strlen(backend->network->ip),
			spec->child_port);
	if (rc < 0)
		return error_errno(e, -rc, "child address \"%s\"", ip);
	if (child->sa.sa_family != AF_INET) {
		error_set(e, EAFNOSUPPORT,
			"port driver slirp4netns forwards IPv4 only, not to the child address %s",
			ip);
		return error_hint(
			e, "leave the child address out: it is %s then", backend->network->ip);
	}
	if (!addr_is_loopback(child))
		return 0;
	error_set(e, EINVAL, "port driver slirp4netns cannot reach the child's loopback address %s",
		ip);
	return error_hint(e, "let the service listen on %s and leave the child address out",
		backend->network->ip);
}

static void warn_of_lost_answers(
	const struct rk_port_backend *backend, const struct rk_addr *parent)
{
	char text[RK_ADDR_TEXT_MAX];

	if (backend->config->network.disable_host_loopback && addr_is_loopback(parent))
		log_warning("%s/udp: with disable-host-loopback, slirp4netns drops the answers to "
			    "clients on the host's loopback",
			addr_format(parent, text, sizeof(text)));
}

static int slirp4netns_add(struct rk_port_backend *backend, const struct rk_port_spec *spec,
	const struct rk_forward *forward, struct rk_error *e)
{
	struct slirp_ports *ports = backend->private;
	const struct rk_addr *parent = &forward->listeners[0];
	struct slirp_forward *items;
	struct rk_addr child;
	int slirp_id = 0;
	int rc = check_parent(parent, e);

	if (rc == 0)
		rc = choose_child(backend, spec, &child, e);
	if (rc < 0)
		return rc;
	items = reallocarray(ports->items, ports->count + 1, sizeof(*items));
	if (!items)
		return error_errno(e, ENOMEM, "table of %zu ports", ports->count + 1);
	ports->items = items;
	// Before the call and not after its failure: slirp4netns takes a UDP port that has an
	// owner.
	rc = bind_try(parent, forward->socktype, e);
	if (rc == 0)
		rc = add_forwarding(ports, parent, forward->socktype, &child, &slirp_id, e);
	if (rc < 0)
		return rc;
	ports->items[ports->count++] = (struct slirp_forward){forward->id, slirp_id};
	if (forward->socktype == SOCK_DGRAM)
		warn_of_lost_answers(backend, parent);
	return 0;
}

// A removal that was not answered in time may be done later, and the next one is refused: it says
// of an id that it does not have that the argument is bad (as 1.2.0 words it).
static bool is_gone(int rc, const struct rk_error *e)
{
	return rc == -EIO && strstr(e->text, "arguments.id");
}

static int slirp4netns_remove(struct rk_port_backend *backend, uint32_t id, struct rk_error *e)
{
	struct slirp_ports *ports = backend->private;
	CLEANUP_JSON cJSON *result = NULL;
	struct rk_error reason;
	cJSON *arguments;
	size_t at = 0;
	int rc;

	while (at < ports->count && ports->items[at].id != id)
		at++;
	if (at == ports->count)
		return error_set(e, ENOENT, "unknown id: %u", id);
	arguments = cJSON_CreateObject();
	rc = api_call(ports, "remove_hostfwd", arguments,
		cJSON_AddNumberToObject(arguments, "id", ports->items[at].slirp_id), &result,
		&reason);
	if (rc == 0 || is_gone(rc, &reason)) {
		ports->items[at] = ports->items[--ports->count];
		return 0;
	}
	if (e)
		*e = reason;
	return rc;
}

// The forwardings end with slirp4netns, which the network driver stops.
static void slirp4netns_stop(struct rk_port_backend *backend)
{
	struct slirp_ports *ports = backend->private;

	free(ports->items);
	free(ports);
	backend->private = NULL;
}

static const char *const slirp4netns_protos[] = {"tcp", "tcp4", "udp", "udp4", NULL};

const struct rk_port_driver port_slirp4netns = {
	.name = "slirp4netns",
	.flags = PORT_NO_CHILD_LOOPBACK,
	.protos = slirp4netns_protos,
	.check = slirp4netns_check,
	.start = slirp4netns_start,
	.add = slirp4netns_add,
	.remove = slirp4netns_remove,
	.stop = slirp4netns_stop,
};
