// udp-client.c: datagrams to an echo server and what comes back.
//
//   udp-client echo IP PORT SIZE...     each size in turn; prints "SIZE ok from IP" or
//                                       "SIZE lost" or "SIZE differs"
//   udp-client many IP PORT CLIENTS     so many sockets, one datagram each, all sent before the
//   first
//                                       echo is read; prints "ok N of CLIENTS"
//   udp-client listen IP PORT COUNT     sends one datagram, prints the next COUNT answers

#include "tests/tools/lib/tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_S    3
#define DATAGRAM_MAX 65536
#define MANY_SIZE    512
#define WAVE         64

static int open_socket(const struct tool_address *to)
{
	int fd = socket(to->storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		tool_fail("socket: %s", strerror(errno));
	tool_set_timeout(fd, TIMEOUT_S);
	return fd;
}

static void send_datagram(int fd, const struct tool_address *to, const void *data, size_t length)
{
	if (sendto(fd, data, length, 0, (const struct sockaddr *)&to->storage, to->length) < 0)
		tool_fail("send %zu bytes: %s", length, strerror(errno));
}

static void echo_one(int fd, const struct tool_address *to, size_t size)
{
	static unsigned char block[DATAGRAM_MAX];
	struct tool_address from = {.length = sizeof(from.storage)};
	char text[64];
	ssize_t got;

	pattern_fill(size, 0, block, size);
	send_datagram(fd, to, block, size);
	memset(block, 0, sizeof(block));
	got = recvfrom(fd, block, sizeof(block), 0, (struct sockaddr *)&from.storage, &from.length);
	if (got < 0)
		printf("%zu lost\n", size);
	else if ((size_t)got != size || !pattern_matches(size, 0, block, size))
		printf("%zu differs\n", size);
	else
		printf("%zu ok from %s\n", size, tool_format_ip(&from, text, sizeof(text)));
}

static void run_echo(const struct tool_address *to, int count, char **sizes)
{
	int fd = open_socket(to);

	for (int i = 0; i < count; i++)
		echo_one(fd, to, (size_t)tool_number(sizes[i]));
	close(fd);
}

// Once one was lost, the others have had their time too.
static bool check_echo(int fd, uint64_t seed, bool wait)
{
	unsigned char block[DATAGRAM_MAX];
	ssize_t got = recv(fd, block, sizeof(block), wait ? 0 : MSG_DONTWAIT);

	return got == MANY_SIZE && pattern_matches(seed, 0, block, MANY_SIZE);
}

// The sockets stay open to the end, but only a wave at a time waits for echoes: more at once would
// overflow the receive buffer of the server.
static void run_many(const struct tool_address *to, int count, char **arguments)
{
	long clients = tool_number(arguments[0]), good = 0;
	int *fds = calloc((size_t)clients, sizeof(*fds));
	unsigned char block[MANY_SIZE];

	if (!fds || count != 1)
		tool_fail("out of memory");
	for (long first = 0; first < clients; first += WAVE) {
		long end = first + WAVE < clients ? first + WAVE : clients;

		for (long i = first; i < end; i++) {
			fds[i] = open_socket(to);
			pattern_fill((uint64_t)i, 0, block, sizeof(block));
			send_datagram(fds[i], to, block, sizeof(block));
		}
		for (long i = first; i < end; i++)
			good += check_echo(fds[i], (uint64_t)i, good == i);
	}
	for (long i = 0; i < clients; i++)
		close(fds[i]);
	free(fds);
	printf("ok %ld of %ld\n", good, clients);
}

static void run_listen(const struct tool_address *to, int count, char **arguments)
{
	long answers = tool_number(arguments[0]);
	int fd = open_socket(to);

	send_datagram(fd, to, "start", 5);
	for (long i = 0; i < answers && count == 1; i++) {
		char text[256];
		ssize_t got = recv(fd, text, sizeof(text), 0);

		if (got < 0)
			tool_fail("lost after %ld answers: %s", i, strerror(errno));
		printf("%.*s\n", (int)got, text);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	struct tool_address to;

	if (argc < 5)
		tool_fail("usage: udp-client echo|many|listen IP PORT ARGUMENT...");
	to = tool_parse(argv[2], argv[3]);
	if (strcmp(argv[1], "echo") == 0)
		run_echo(&to, argc - 4, argv + 4);
	else if (strcmp(argv[1], "many") == 0)
		run_many(&to, argc - 4, argv + 4);
	else if (strcmp(argv[1], "listen") == 0)
		run_listen(&to, argc - 4, argv + 4);
	else
		tool_fail("%s: unknown mode", argv[1]);
	return 0;
}
