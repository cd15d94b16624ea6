// tool.h: what the small test programs share: addresses, sockets, test patterns, hashes.
// They end with status 1 and one line on stderr when a system call fails that the test did not ask
// to fail.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct tool_address {
	struct sockaddr_storage storage;
	socklen_t length;
};

_Noreturn void tool_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
long tool_number(const char *text);
uint64_t tool_now_ms(void);

// `ip` is a literal of either family.
struct tool_address tool_parse(const char *ip, const char *port);
// "127.0.0.1" or "::1", without the port.
const char *tool_format_ip(const struct tool_address *address, char *text, size_t size);

// A bound (and, for SOCK_STREAM, listening) socket. An IPv6 wildcard takes IPv6 only.
int tool_listen(const char *ip, const char *port, int socktype);
// A connected socket.
int tool_connect(const char *ip, const char *port, int socktype);
// No read or write blocks for longer than this; a late one fails with EAGAIN.
void tool_set_timeout(int fd, int seconds);
// The next close() of the socket sends RST.
void tool_reset_on_close(int fd);
void tool_send_all(int fd, const void *data, size_t length);

// A stream whose byte at each offset is known: pattern_fill() writes, pattern_matches() compares
// the `length` bytes that start at `offset` of the stream `seed`.
void pattern_fill(uint64_t seed, uint64_t offset, unsigned char *data, size_t length);
bool pattern_matches(uint64_t seed, uint64_t offset, const unsigned char *data, size_t length);

// FNV-1a, 64 bits, to be carried from block to block.
#define HASH_START 0xcbf29ce484222325u
uint64_t hash_update(uint64_t hash, const unsigned char *data, size_t length);

// Reads until the peer is done. Returns true for EOF, false for a reset; fails on anything else.
struct tool_digest {
	uint64_t bytes;
	uint64_t hash;
};
bool tool_read_to_end(int fd, struct tool_digest *digest);
