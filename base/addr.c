// addr.c: a socket address that is IPv4 or IPv6, with parsing and printing.

#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The scope id (RFC 4007) of "%1" or "%eth0". A number is taken as it is: it may belong to another
// network namespace than the caller's. 0 or -code.
static int scope_parse(const char *text, size_t length, uint32_t *scope)
{
	char name[IF_NAMESIZE];
	char *end;
	unsigned long number;

	if (length == 0 || length >= sizeof(name) || memchr(text, '\0', length))
		return -EINVAL;
	memcpy(name, text, length);
	name[length] = '\0';
	if (name[strspn(name, "0123456789")] == '\0') {
		number = strtoul(name, &end, 10);
		*scope = (uint32_t)number;
		return number == 0 || number > UINT32_MAX ? -EINVAL : 0;
	}
	*scope = if_nametoindex(name);
	return *scope ? 0 : -ENODEV;
}

static bool ip6_takes_scope(const struct in6_addr *ip)
{
	return IN6_IS_ADDR_LINKLOCAL(ip) || IN6_IS_ADDR_MC_LINKLOCAL(ip);
}

int addr_parse(struct rk_addr *addr, const char *ip, size_t length, uint16_t port)
{
	const char *percent = memchr(ip, '%', length);
	size_t ip_length = percent ? (size_t)(percent - ip) : length;
	char text[INET6_ADDRSTRLEN];

	memset(addr, 0, sizeof(*addr));
	if (ip_length >= sizeof(text) || memchr(ip, '\0', ip_length))
		return -EINVAL;
	memcpy(text, ip, ip_length);
	text[ip_length] = '\0';
	if (!percent && inet_pton(AF_INET, text, &addr->in4.sin_addr) == 1) {
		addr->in4.sin_family = AF_INET;
		addr->in4.sin_port = htons(port);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &addr->in6.sin6_addr) != 1)
		return -EINVAL;
	addr->in6.sin6_family = AF_INET6;
	addr->in6.sin6_port = htons(port);
	if (!percent)
		return 0;
	if (!ip6_takes_scope(&addr->in6.sin6_addr))
		return -EINVAL;
	return scope_parse(percent + 1, length - ip_length - 1, &addr->in6.sin6_scope_id);
}

socklen_t addr_length(const struct rk_addr *addr)
{
	return addr->sa.sa_family == AF_INET6 ? sizeof(addr->in6) : sizeof(addr->in4);
}

uint16_t addr_port(const struct rk_addr *addr)
{
	return ntohs(addr->sa.sa_family == AF_INET6 ? addr->in6.sin6_port : addr->in4.sin_port);
}

void addr_set_port(struct rk_addr *addr, uint16_t port)
{
	if (addr->sa.sa_family == AF_INET6)
		addr->in6.sin6_port = htons(port);
	else
		addr->in4.sin_port = htons(port);
}

bool addr_is_wildcard(const struct rk_addr *addr)
{
	if (addr->sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr);
	return addr->in4.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool addr_is_loopback(const struct rk_addr *addr)
{
	const struct in6_addr *ip6 = &addr->in6.sin6_addr;

	if (addr->sa.sa_family != AF_INET6)
		return ntohl(addr->in4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	// ::ffff:127.x.y.z reaches 127/8 too.
	return IN6_IS_ADDR_LOOPBACK(ip6) ||
	       (IN6_IS_ADDR_V4MAPPED(ip6) && ip6->s6_addr[12] == IN_LOOPBACKNET);
}

bool addr_equal(const struct rk_addr *a, const struct rk_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family || addr_port(a) != addr_port(b))
		return false;
	if (a->sa.sa_family != AF_INET6)
		return a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr) &&
	       a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

const char *addr_format_ip(const struct rk_addr *addr, char *text, size_t size)
{
	bool ip6 = addr->sa.sa_family == AF_INET6;
	const void *ip = ip6 ? (const void *)&addr->in6.sin6_addr : &addr->in4.sin_addr;
	char name[IF_NAMESIZE];
	size_t used;

	if (size == 0)
		return text;
	if (!inet_ntop(ip6 ? AF_INET6 : AF_INET, ip, text, size)) {
		text[0] = '\0'; // the caller's buffer is smaller than the address
		return text;
	}
	if (!ip6 || addr->in6.sin6_scope_id == 0)
		return text;
	used = strlen(text);
	if (if_indextoname(addr->in6.sin6_scope_id, name))
		snprintf(text + used, size - used, "%%%s", name);
	else
		snprintf(text + used, size - used, "%%%u", addr->in6.sin6_scope_id);
	return text;
}

const char *addr_format(const struct rk_addr *addr, char *text, size_t size)
{
	char ip[RK_ADDR_TEXT_MAX];
	bool ip6 = addr->sa.sa_family == AF_INET6;

	addr_format_ip(addr, ip, sizeof(ip));
	snprintf(text, size, ip6 ? "[%s]:%u" : "%s:%u", ip, addr_port(addr));
	return text;
}

void addr_disconnect(int fd)
{
	static const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	connect(fd, &nowhere, sizeof(nowhere));
}
