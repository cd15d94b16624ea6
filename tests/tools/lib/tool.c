// tool.c: what the small test programs share: addresses, sockets, test patterns, hashes.

#include "tests/tools/lib/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Noreturn void tool_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

long tool_number(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		tool_fail("%s: not a number", text);
	return value;
}

uint64_t tool_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct tool_address tool_parse(const char *ip, const char *port)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct tool_address address = {0};
	struct addrinfo *found;
	int error = getaddrinfo(ip, port, &hints, &found);

	if (error != 0)
		tool_fail("%s port %s: %s", ip, port, gai_strerror(error));
	memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
	address.length = found->ai_addrlen;
	freeaddrinfo(found);
	return address;
}

const char *tool_format_ip(const struct tool_address *address, char *text, size_t size)
{
	int error = getnameinfo((const struct sockaddr *)&address->storage, address->length, text,
		(socklen_t)size, NULL, 0, NI_NUMERICHOST);

	if (error != 0)
		tool_fail("address: %s", gai_strerror(error));
	return text;
}

static int open_socket(const struct tool_address *address, int socktype)
{
	int fd = socket(address->storage.ss_family, socktype | SOCK_CLOEXEC, 0);

	if (fd < 0)
		tool_fail("socket: %s", strerror(errno));
	return fd;
}

int tool_listen(const char *ip, const char *port, int socktype)
{
	struct tool_address address = tool_parse(ip, port);
	int fd = open_socket(&address, socktype);
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		tool_fail("SO_REUSEADDR: %s", strerror(errno));
	if (address.storage.ss_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		tool_fail("IPV6_V6ONLY: %s", strerror(errno));
	if (bind(fd, (struct sockaddr *)&address.storage, address.length) < 0)
		tool_fail("bind %s port %s: %s", ip, port, strerror(errno));
	if (socktype == SOCK_STREAM && listen(fd, 4096) < 0)
		tool_fail("listen %s port %s: %s", ip, port, strerror(errno));
	return fd;
}

int tool_connect(const char *ip, const char *port, int socktype)
{
	struct tool_address address = tool_parse(ip, port);
	int fd = open_socket(&address, socktype);

	if (connect(fd, (struct sockaddr *)&address.storage, address.length) < 0)
		tool_fail("connect %s port %s: %s", ip, port, strerror(errno));
	return fd;
}

void tool_set_timeout(int fd, int seconds)
{
	struct timeval limit = {.tv_sec = seconds};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		tool_fail("time limit: %s", strerror(errno));
}

void tool_reset_on_close(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0)
		tool_fail("SO_LINGER: %s", strerror(errno));
}

void tool_send_all(int fd, const void *data, size_t length)
{
	const char *next = data;

	while (length > 0) {
		ssize_t sent = send(fd, next, length, MSG_NOSIGNAL);

		if (sent < 0)
			tool_fail("send: %s", strerror(errno));
		next += sent;
		length -= (size_t)sent;
	}
}

// Mixes a word number into 64 well spread bits (a multiply-xorshift finaliser).
static uint64_t pattern_word(uint64_t seed, uint64_t number)
{
	uint64_t x = (number + 1) * 0x9e3779b97f4a7c15u + seed * 0xd1342543de82ef95u;

	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
	return x ^ (x >> 29);
}

void pattern_fill(uint64_t seed, uint64_t offset, unsigned char *data, size_t length)
{
	while (length > 0) {
		uint64_t word = pattern_word(seed, offset / 8);
		size_t skip = offset % 8;
		size_t part = 8 - skip < length ? 8 - skip : length;

		memcpy(data, (unsigned char *)&word + skip, part);
		data += part;
		offset += part;
		length -= part;
	}
}

bool pattern_matches(uint64_t seed, uint64_t offset, const unsigned char *data, size_t length)
{
	unsigned char expected[4096];

	while (length > 0) {
		size_t part = length < sizeof(expected) ? length : sizeof(expected);

		pattern_fill(seed, offset, expected, part);
		if (memcmp(data, expected, part) != 0)
			return false;
		data += part;
		offset += part;
		length -= part;
	}
	return true;
}

uint64_t hash_update(uint64_t hash, const unsigned char *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ data[i]) * 0x100000001b3u;
	return hash;
}

bool tool_read_to_end(int fd, struct tool_digest *digest)
{
	static _Thread_local unsigned char block[65536];

	*digest = (struct tool_digest){.hash = HASH_START};
	while (true) {
		ssize_t got = recv(fd, block, sizeof(block), 0);

		if (got == 0)
			return true;
		if (got < 0 && errno == ECONNRESET)
			return false;
		if (got < 0)
			tool_fail("receive after %llu bytes: %s", (unsigned long long)digest->bytes,
				strerror(errno));
		digest->hash = hash_update(digest->hash, block, (size_t)got);
		digest->bytes += (uint64_t)got;
	}
}
