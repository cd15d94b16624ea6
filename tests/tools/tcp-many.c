// tcp-many.c: many connections open at the same time, each with its own pattern.
//
//   tcp-many IP PORT CONNECTIONS ROUNDS
//
// Opens all of them to an echo server, then in each round sends one block on every connection
// before it reads the first echo, so that the blocks of all connections are under way together.
// Prints "ok CONNECTIONS BYTES", or what differed and where.

#include "tests/tools/lib/tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BLOCK_SIZE 3001 // odd on purpose: no boundary of the relay's buffers falls on one of ours
#define TIMEOUT_S  30

static void raise_fd_limit(rlim_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < wanted)
		tool_fail("the limit of open files is below %llu", (unsigned long long)wanted);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void send_round(const int *fds, long count, uint64_t offset)
{
	unsigned char block[BLOCK_SIZE];

	for (long i = 0; i < count; i++) {
		pattern_fill((uint64_t)i, offset, block, sizeof(block));
		tool_send_all(fds[i], block, sizeof(block));
	}
}

static void check_round(const int *fds, long count, uint64_t offset)
{
	unsigned char block[BLOCK_SIZE];

	for (long i = 0; i < count; i++) {
		ssize_t got = recv(fds[i], block, sizeof(block), MSG_WAITALL);

		if (got != (ssize_t)sizeof(block))
			tool_fail("connection %ld: got %zd of %zu bytes at offset %llu: %s", i, got,
				sizeof(block), (unsigned long long)offset,
				got < 0 ? strerror(errno) : "end of stream");
		if (!pattern_matches((uint64_t)i, offset, block, sizeof(block)))
			tool_fail("connection %ld: wrong bytes at offset %llu", i,
				(unsigned long long)offset);
	}
}

static void expect_end(int fd, long number)
{
	char byte;

	shutdown(fd, SHUT_WR);
	if (recv(fd, &byte, 1, 0) != 0)
		tool_fail("connection %ld: no end of stream after ours", number);
	close(fd);
}

int main(int argc, char **argv)
{
	long count, rounds;
	int *fds;

	if (argc != 5)
		tool_fail("usage: tcp-many IP PORT CONNECTIONS ROUNDS");
	count = tool_number(argv[3]);
	rounds = tool_number(argv[4]);
	raise_fd_limit((rlim_t)count + 16);
	fds = calloc((size_t)count, sizeof(*fds));
	if (!fds)
		tool_fail("out of memory");
	for (long i = 0; i < count; i++) {
		fds[i] = tool_connect(argv[1], argv[2], SOCK_STREAM);
		tool_set_timeout(fds[i], TIMEOUT_S);
	}
	for (long round = 0; round < rounds; round++) {
		send_round(fds, count, (uint64_t)round * BLOCK_SIZE);
		check_round(fds, count, (uint64_t)round * BLOCK_SIZE);
	}
	for (long i = 0; i < count; i++)
		expect_end(fds[i], i);
	free(fds);
	printf("ok %ld %ld\n", count, count * rounds * BLOCK_SIZE);
	return 0;
}
