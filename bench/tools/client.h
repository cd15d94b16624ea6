// client.h: what the small HTTP clients of the benchmarks share.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CLIENT_REQUEST_KEEP  "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
#define CLIENT_REQUEST_CLOSE "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"

static inline uint64_t client_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline struct sockaddr_in client_loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

// Starts to connect to 127.0.0.1. `flags`: SOCK_NONBLOCK or 0. Returns the socket or -errno.
static inline int client_connect(const struct sockaddr_in *address, int flags)
{
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
		errno != EINPROGRESS) {
		int code = errno;

		close(fd);
		return -code;
	}
	return fd;
}

// Length of one keep-alive answer: every later one is the same. Waits up to 5 s for its beginning
// and until the server is silent for 300 ms after that. 0 when the server does not answer.
static inline size_t client_learn_answer_length(const struct sockaddr_in *address)
{
	struct timeval patience = {.tv_sec = 5};
	char buffer[4096];
	size_t length = 0;
	ssize_t n;
	int fd = client_connect(address, 0);

	if (fd < 0)
		return 0;
	if (send(fd, CLIENT_REQUEST_KEEP, strlen(CLIENT_REQUEST_KEEP), MSG_NOSIGNAL) < 0)
		goto out;
	do {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		n = recv(fd, buffer, sizeof(buffer), 0);
		length += n > 0 ? (size_t)n : 0;
		patience = (struct timeval){.tv_usec = 300000};
	} while (n > 0);
out:
	close(fd);
	return length;
}

static inline int client_compare_u32(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

// Sorts `values` and returns the given percentile of them (0 when there are none).
static inline uint32_t client_percentile(uint32_t *values, size_t count, unsigned percent)
{
	if (count == 0)
		return 0;
	qsort(values, count, sizeof(*values), client_compare_u32);
	return values[(count - 1) * percent / 100];
}

// A decimal argument in 1..max; anything else ends the program with a message.
static inline uint32_t client_parse_argument(const char *name, const char *text, uint32_t max)
{
	char *end = NULL;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || value == 0 || value > max) {
		fprintf(stderr, "%s: expected a number from 1 to %u, not \"%s\"\n", name, max,
			text);
		exit(2);
	}
	return (uint32_t)value;
}
