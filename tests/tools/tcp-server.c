// tcp-server.c: a TCP server that behaves in one stated way on every connection.
//
//   tcp-server echo IP PORT            sends back what it reads; FIN after the client's FIN
//   tcp-server digest IP PORT          reads to the end, answers "BYTES HASH", closes
//   tcp-server greet IP PORT           sends "hello", ends its direction, then prints what it reads
//   tcp-server source IP PORT BYTES    sends BYTES of pattern 7, closes
//   tcp-server reset IP PORT BYTES     reads BYTES, answers with RST
//   tcp-server observe IP PORT         reads to the end
//   tcp-server slow IP PORT SECONDS    reads nothing for SECONDS, then like digest
//   tcp-server name IP PORT TEXT       sends TEXT, closes
//
// Prints "ready" when it listens, and for every connection that it reads to the end one line:
// "eof BYTES HASH" or "reset BYTES HASH".

#include "tests/tools/lib/tool.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_SIZE  65536
#define STACK_SIZE  (256 * 1024)
#define SOURCE_SEED 7

struct connection {
	int fd;
	const struct mode *mode;
	const char *argument;
};

struct mode {
	const char *name;
	void (*serve)(const struct connection *connection);
	bool needs_argument;
};

static bool report_end(int fd, struct tool_digest *digest)
{
	bool eof = tool_read_to_end(fd, digest);

	printf("%s %llu %016llx\n", eof ? "eof" : "reset", (unsigned long long)digest->bytes,
		(unsigned long long)digest->hash);
	return eof;
}

static void serve_echo(const struct connection *connection)
{
	unsigned char block[BLOCK_SIZE];
	ssize_t got;

	while ((got = recv(connection->fd, block, sizeof(block), 0)) > 0) {
		if (send(connection->fd, block, (size_t)got, MSG_NOSIGNAL) != got)
			return;
	}
}

static void serve_observe(const struct connection *connection)
{
	struct tool_digest digest;

	report_end(connection->fd, &digest);
}

static void serve_digest(const struct connection *connection)
{
	struct tool_digest digest;
	char answer[64];
	int length;

	if (!report_end(connection->fd, &digest))
		return;
	length = snprintf(answer, sizeof(answer), "%llu %016llx\n",
		(unsigned long long)digest.bytes, (unsigned long long)digest.hash);
	tool_send_all(connection->fd, answer, (size_t)length);
}

static void serve_greet(const struct connection *connection)
{
	struct tool_digest digest;

	tool_send_all(connection->fd, "hello\n", 6);
	shutdown(connection->fd, SHUT_WR);
	report_end(connection->fd, &digest);
}

static void serve_source(const struct connection *connection)
{
	uint64_t total = (uint64_t)tool_number(connection->argument);
	unsigned char block[BLOCK_SIZE];

	for (uint64_t sent = 0; sent < total;) {
		size_t part = total - sent < sizeof(block) ? (size_t)(total - sent) : sizeof(block);

		pattern_fill(SOURCE_SEED, sent, block, part);
		tool_send_all(connection->fd, block, part);
		sent += part;
	}
}

static void serve_reset(const struct connection *connection)
{
	uint64_t left = (uint64_t)tool_number(connection->argument);
	unsigned char block[BLOCK_SIZE];

	while (left > 0) {
		size_t part = left < sizeof(block) ? (size_t)left : sizeof(block);
		ssize_t got = recv(connection->fd, block, part, 0);

		if (got <= 0)
			return;
		left -= (uint64_t)got;
	}
	tool_reset_on_close(connection->fd);
}

static void serve_slow(const struct connection *connection)
{
	sleep((unsigned)tool_number(connection->argument));
	serve_digest(connection);
}

static void serve_name(const struct connection *connection)
{
	tool_send_all(connection->fd, connection->argument, strlen(connection->argument));
	shutdown(connection->fd, SHUT_WR);
	serve_echo(connection);
}

static const struct mode modes[] = {
	{"echo", serve_echo, false},
	{"digest", serve_digest, false},
	{"greet", serve_greet, false},
	{"source", serve_source, true},
	{"reset", serve_reset, true},
	{"observe", serve_observe, false},
	{"slow", serve_slow, true},
	{"name", serve_name, true},
};

static void *serve(void *argument)
{
	struct connection *connection = argument;

	connection->mode->serve(connection);
	close(connection->fd);
	free(connection);
	return NULL;
}

static void start_thread(struct connection connection)
{
	struct connection *copy = malloc(sizeof(*copy));
	pthread_attr_t attributes;
	pthread_t thread;

	if (!copy)
		tool_fail("out of memory");
	// cppcheck-suppress nullPointerRedundantCheck ; tool_fail() does not return
	*copy = connection;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attributes, serve, copy) != 0)
		tool_fail("too many threads");
	pthread_attr_destroy(&attributes);
}

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct connection connection = {.mode = argc >= 4 ? find_mode(argv[1]) : NULL};
	int listener;

	if (!connection.mode || argc != (connection.mode->needs_argument ? 5 : 4))
		tool_fail("usage: tcp-server MODE IP PORT [ARGUMENT]");
	connection.argument = argv[4];
	setvbuf(stdout, NULL, _IOLBF, 0);
	listener = tool_listen(argv[2], argv[3], SOCK_STREAM);
	puts("ready");
	while (true) {
		connection.fd = accept(listener, NULL, NULL);
		if (connection.fd < 0)
			tool_fail("accept: %s", strerror(errno));
		start_thread(connection);
	}
}
