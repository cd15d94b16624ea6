// server.c: a server on a UNIX socket that answers what the fuzzer says, for clients under test.

#include "tests/fuzz/lib/server.h"
#include "tests/fuzz/lib/fuzz.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SEPARATOR "\n====\n"

static struct {
	char directory[64];
	char path[PATH_MAX];
	int listener;
	pthread_mutex_t lock;
	const uint8_t *at; // what is left of the answers
	const uint8_t *end;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

// The next answer, moved past; NULL when there is none.
static const uint8_t *next_answer(size_t *size)
{
	const size_t gap = strlen(SEPARATOR);
	const uint8_t *start = server.at;
	const uint8_t *stop;

	if (start == server.end)
		return NULL;
	stop = memmem(start, (size_t)(server.end - start), SEPARATOR, gap);
	*size = (size_t)((stop ? stop : server.end) - start);
	server.at = stop ? stop + gap : server.end;
	return start;
}

// Reads to the end of the connection: closed with unread bytes it would look like a reset.
static void drain(int connection)
{
	char bytes[4096];

	while (recv(connection, bytes, sizeof(bytes), 0) > 0)
		continue;
}

static void serve(int connection)
{
	char request[4096];
	const uint8_t *answer;
	size_t size = 0;

	if (recv(connection, request, sizeof(request), 0) <= 0)
		return;
	pthread_mutex_lock(&server.lock);
	answer = next_answer(&size);
	pthread_mutex_unlock(&server.lock);
	if (!answer)
		return;
	while (size > 0) {
		ssize_t sent = send(connection, answer, size, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		answer += sent;
		size -= (size_t)sent;
	}
	shutdown(connection, SHUT_WR);
	drain(connection);
}

// libFuzzer's timer interrupts the thread that runs the target, never this one.
static void *run(void *unused)
{
	(void)unused;
	for (;;) {
		struct pollfd ready = {.fd = server.listener, .events = POLLIN};
		int connection;

		// An accept that waits has taken its descriptor already: nothing could be counted.
		poll(&ready, 1, -1);
		connection = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);
		FUZZ_REQUIRE(connection >= 0);
		serve(connection);
		close(connection);
	}
	return NULL;
}

static void remove_all(void)
{
	unlink(server.path);
	rmdir(server.directory);
}

const char *fuzz_server_directory(void)
{
	if (!server.directory[0]) {
		strcpy(server.directory, "/tmp/rk-fuzz-XXXXXX");
		FUZZ_REQUIRE(mkdtemp(server.directory));
		atexit(remove_all);
	}
	return server.directory;
}

static void fill_address(struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	strcpy(address->sun_path, server.path);
}

const char *fuzz_server_path(const char *name)
{
	struct sockaddr_un address;
	sigset_t all, before;
	pthread_t thread;

	if (server.path[0])
		return server.path;
	snprintf(server.path, sizeof(server.path), "%s/%s", fuzz_server_directory(), name);
	fill_address(&address);
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FUZZ_REQUIRE(server.listener >= 0);
	FUZZ_REQUIRE(bind(server.listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	FUZZ_REQUIRE(listen(server.listener, 64) == 0);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	FUZZ_REQUIRE(pthread_create(&thread, NULL, run, NULL) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_detach(thread);
	return server.path;
}

void fuzz_server_answer(const uint8_t *data, size_t size)
{
	pthread_mutex_lock(&server.lock);
	server.at = data;
	server.end = data + size;
	pthread_mutex_unlock(&server.lock);
}

// A connection of our own that says nothing is served behind all others.
void fuzz_server_settle(void)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char end;

	fill_address(&address);
	FUZZ_REQUIRE(fd >= 0);
	FUZZ_REQUIRE(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	shutdown(fd, SHUT_WR);
	FUZZ_REQUIRE(TEMP_FAILURE_RETRY(recv(fd, &end, 1, 0)) <= 0);
	close(fd);
}
