// srcip_probe.c: proves with a real connection that a server sees the address of a client that is
// not there, and that its answer comes back.

#include "nsctl/srcip_probe.h"
#include "base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// The namespace answers itself within microseconds. But the kernel puts the route of a new IPv6
// address in place some time after it has acknowledged it, and a busy host may be late with all:
// an exchange without an answer is tried again, from the beginning.
#define PATIENCE_MS 150
#define TRIES       10

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

int srcip_prepare_socket(int fd, int family, uint32_t mark)
{
	int rc = family == AF_INET6 ? set_option(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
				    : set_option(fd, IPPROTO_IP, IP_TRANSPARENT, 1);

	if (rc == 0 && mark)
		rc = set_option(fd, SOL_SOCKET, SO_MARK, (int)mark);
	return rc;
}

void srcip_foreign_client(struct rk_addr *client, int family)
{
	const char *ip = family == AF_INET6 ? "2001:db8:5263::1" : "203.0.113.113";

	addr_parse(client, ip, strlen(ip), 0);
}

static int wait_for(int fd, short events)
{
	struct pollfd event = {fd, events, 0};
	int ready = poll(&event, 1, PATIENCE_MS);

	if (ready < 0)
		return -errno;
	return ready == 0 ? -ETIMEDOUT : 0;
}

static int open_socket(int family, int socktype)
{
	int fd = socket(family, socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

// A server on all addresses, or only its socket; *port is the kernel's choice.
static int open_server(int family, int socktype, bool listening, uint16_t *port)
{
	RK_CLEANUP_FD int fd = open_socket(family, socktype);
	struct rk_addr addr = {.sa = {.sa_family = (sa_family_t)family}};
	socklen_t length = sizeof(addr);
	int rc = 0;

	if (fd < 0)
		return fd;
	if (family == AF_INET6)
		rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (rc < 0)
		return rc;
	if (bind(fd, &addr.sa, addr_length(&addr)) < 0 || getsockname(fd, &addr.sa, &length) < 0)
		return -errno;
	if (listening && listen(fd, 1) < 0)
		return -errno;
	*port = addr_port(&addr);
	return fd_take(&fd);
}

// A client that has the foreign address; *own is that with its port.
static int open_client(
	const struct rk_addr *target, int socktype, uint32_t mark, struct rk_addr *own)
{
	int family = target->sa.sa_family;
	RK_CLEANUP_FD int fd = open_socket(family, socktype);
	socklen_t length = sizeof(*own);
	int rc;

	if (fd < 0)
		return fd;
	srcip_foreign_client(own, family);
	rc = srcip_prepare_socket(fd, family, mark);
	if (rc < 0)
		return rc;
	if (bind(fd, &own->sa, addr_length(own)) < 0)
		return -errno;
	if (connect(fd, &target->sa, addr_length(target)) < 0 && errno != EINPROGRESS)
		return -errno;
	if (getsockname(fd, &own->sa, &length) < 0)
		return -errno;
	return fd_take(&fd);
}

static int finish_connect(int client)
{
	int error = 0;
	socklen_t length = sizeof(error);
	int rc = wait_for(client, POLLOUT);

	if (rc == 0 && getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return -errno;
	return rc < 0 ? rc : -error;
}

static int receive_byte(int fd, char expected, struct rk_addr *from)
{
	socklen_t length = sizeof(*from);
	char byte = 0;
	int rc = wait_for(fd, POLLIN);

	if (rc < 0)
		return rc;
	if (recvfrom(fd, &byte, 1, 0, from ? &from->sa : NULL, from ? &length : NULL) < 0)
		return -errno;
	return byte == expected ? 0 : -EPROTO;
}

static int send_byte(int fd, char byte, const struct rk_addr *to)
{
	ssize_t sent =
		sendto(fd, &byte, 1, MSG_NOSIGNAL, to ? &to->sa : NULL, to ? addr_length(to) : 0);

	return sent < 0 ? -errno : 0;
}

static int exchange_stream(int server, int client, const struct rk_addr *own)
{
	RK_CLEANUP_FD int connection = -1;
	struct rk_addr seen;
	socklen_t length = sizeof(seen);
	int rc = finish_connect(client);

	if (rc == 0)
		rc = wait_for(server, POLLIN);
	if (rc < 0)
		return rc;
	connection = accept4(server, &seen.sa, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (connection < 0)
		return -errno;
	if (!addr_equal(&seen, own))
		return -EADDRNOTAVAIL;
	rc = send_byte(client, 'q', NULL);
	if (rc == 0)
		rc = receive_byte(connection, 'q', NULL);
	if (rc == 0)
		rc = send_byte(connection, 'a', NULL);
	return rc < 0 ? rc : receive_byte(client, 'a', NULL);
}

static int exchange_datagrams(int server, int client, const struct rk_addr *own)
{
	struct rk_addr seen;
	int rc = send_byte(client, 'q', NULL);

	if (rc == 0)
		rc = receive_byte(server, 'q', &seen);
	if (rc < 0)
		return rc;
	if (!addr_equal(&seen, own))
		return -EADDRNOTAVAIL;
	rc = send_byte(server, 'a', &seen);
	return rc < 0 ? rc : receive_byte(client, 'a', NULL);
}

struct probe {
	int socktype;
	const struct rk_addr *target; // its port is ignored
	uint32_t mark;
	bool listening; // somebody does, where that is needed to be reached
	bool refusal;   // is what it asks for, and not an exchange
};

// 0 when the client was refused.
static int judge_refusal(int rc)
{
	if (rc == -ECONNREFUSED)
		return 0;
	return rc == 0 ? -EISCONN : rc;
}

static int probe_once(const struct probe *probe)
{
	struct rk_addr to = *probe->target;
	struct rk_addr own;
	uint16_t port = 0;
	RK_CLEANUP_FD int server =
		open_server(to.sa.sa_family, probe->socktype, probe->listening, &port);
	RK_CLEANUP_FD int client = -1;

	if (server < 0)
		return server;
	addr_set_port(&to, port);
	client = open_client(&to, probe->socktype, probe->mark, &own);
	if (probe->refusal)
		return judge_refusal(client < 0 ? client : finish_connect(client));
	if (client < 0)
		return client;
	return probe->socktype == SOCK_STREAM ? exchange_stream(server, client, &own)
					      : exchange_datagrams(server, client, &own);
}

static int probe_often(const struct probe *probe)
{
	int rc = -ETIMEDOUT;

	for (int tries = 0; tries < TRIES && rc == -ETIMEDOUT; tries++)
		rc = probe_once(probe);
	return rc;
}

int srcip_probe(int socktype, const struct rk_addr *target, uint32_t mark)
{
	return probe_often(&(struct probe){
		.socktype = socktype,
		.target = target,
		.mark = mark,
		.listening = socktype == SOCK_STREAM,
	});
}

int srcip_probe_refusal(const struct rk_addr *target, uint32_t mark, bool listening)
{
	return probe_often(&(struct probe){
		.socktype = SOCK_STREAM,
		.target = target,
		.mark = mark,
		.listening = listening,
		.refusal = true,
	});
}
