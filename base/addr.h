// addr.h: a socket address that is IPv4 or IPv6, with parsing and printing.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define RK_ADDR_TEXT_MAX 80 // "[" IPv6 "%scope" "]:" port, with the NUL

struct rk_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	};
};

// Parses an IP literal without brackets ("127.0.0.1", "::1", "fe80::1%eth0"; no name look-up) and
// sets the port. A scope is for link-local addresses: an interface name of the caller's namespace,
// or a number, taken as it is. `length` bounds `ip`, which needs no NUL.
// 0, -EINVAL, or -ENODEV when no interface has the scope's name.
int addr_parse(struct rk_addr *addr, const char *ip, size_t length, uint16_t port);
socklen_t addr_length(const struct rk_addr *addr);
uint16_t addr_port(const struct rk_addr *addr);
void addr_set_port(struct rk_addr *addr, uint16_t port);
bool addr_is_wildcard(const struct rk_addr *addr);
bool addr_is_loopback(const struct rk_addr *addr);
bool addr_equal(const struct rk_addr *a, const struct rk_addr *b); // family, ip, port, scope

// "127.0.0.1:80" or "[::1]:80"; addr_format_ip() without port and brackets. Return `text`.
const char *addr_format(const struct rk_addr *addr, char *text, size_t size);
const char *addr_format_ip(const struct rk_addr *addr, char *text, size_t size);

// Gives up the other end that a socket has, or was about to get, and the port that it had for it.
void addr_disconnect(int fd);
