// bind.c: whether an address of the host can be bound, and what to do when it cannot.

#include "base/bind.h"
#include "base/fd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNPRIVILEGED_PORT_FILE "/proc/sys/net/ipv4/ip_unprivileged_port_start"

// The file that has to get a capability: setcap takes no symbolic link.
static void find_own_file(char *path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", path, size);

	if (length > 0 && (size_t)length < size)
		path[length] = '\0';
	else
		snprintf(path, size, "%s", program_invocation_short_name);
}

static int explain_privileged(uint16_t port, struct rk_error *e)
{
	char start[32] = "1024";
	char program[128];

	find_own_file(program, sizeof(program));
	if (file_read_text(UNPRIVILEGED_PORT_FILE, start, sizeof(start)) > 0)
		start[strcspn(start, "\n")] = '\0';
	return error_hint(e,
		"port %u is privileged: net.ipv4.ip_unprivileged_port_start is %s; lower it with "
		"`sysctl net.ipv4.ip_unprivileged_port_start=%u`, give the program the capability "
		"with `setcap cap_net_bind_service=ep %s`, or publish a port from %s on",
		port, start, port, program, start);
}

int bind_explain(const struct rk_addr *addr, int socktype, int code, struct rk_error *e)
{
	char text[RK_ADDR_TEXT_MAX];
	bool stream = socktype == SOCK_STREAM;

	addr_format(addr, text, sizeof(text));
	error_errno(e, code, "cannot listen on %s/%s", text, stream ? "tcp" : "udp");
	if (code == EACCES)
		return explain_privileged(addr_port(addr), e);
	if (code == EADDRINUSE)
		return error_hint(e,
			"another program has the port: `ss -lnp%c sport = :%u` shows it",
			stream ? 't' : 'u', addr_port(addr));
	if (code == EADDRNOTAVAIL)
		return error_hint(e, "no interface of this host has that address");
	if (code == EAFNOSUPPORT)
		return error_hint(e, "this host is without %s",
			addr->sa.sa_family == AF_INET6 ? "IPv6" : "IPv4");
	if (code == EMFILE)
		return error_hint(e, "raise the limit of open files (ulimit -n)");
	return -code;
}

// Old connections of a TCP port must not count as its owner; two UDP sockets must.
static int bind_socket(const struct rk_addr *addr, int socktype)
{
	RK_CLEANUP_FD int fd = socket(addr->sa.sa_family, socktype | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0)
		return -errno;
	if (socktype == SOCK_STREAM &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		return -errno;
	if (addr->sa.sa_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
		return -errno;
	return bind(fd, &addr->sa, addr_length(addr)) < 0 ? -errno : 0;
}

int bind_try(const struct rk_addr *addr, int socktype, struct rk_error *e)
{
	int rc = bind_socket(addr, socktype);

	return rc < 0 ? bind_explain(addr, socktype, -rc, e) : 0;
}
