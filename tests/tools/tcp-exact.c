// tcp-exact.c: pseudo-random streams in both directions at once, every byte compared.
//
//   tcp-exact server IP PORT
//   tcp-exact client IP PORT SEED RUNS BYTES PARALLEL
//
// A run is one connection that carries BYTES each way; the client makes RUNS of them with the seeds
// SEED, SEED + 1 ..., PARALLEL at a time. The seed decides the bytes and how each end behaves:
// lengths of its reads and writes from one byte to a mebibyte, short pauses of either, one long
// pause of its reads, a small receive buffer, and whether one end keeps its last bytes until it has
// seen the other's end of stream. Both ends compare what comes with what must come and want the end
// of the stream right behind the last byte. Prints "ok RUNS BYTES", the server "ok SEED" a run;
// what differs ends either program with status 1.

#include "tests/tools/lib/tool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The content repeats after a prime number of bytes, so that no shift by whole buffers of a relay
// can go unnoticed. The memory holds it twice: any stretch of up to CHUNK_MAX bytes is contiguous.
#define CONTENT_SIZE 1048573u
#define CHUNK_MAX    (1u << 20)
#define STALL_MS     30000
#define LONG_PAUSE   200 // ms

static unsigned char content[2 * CONTENT_SIZE];

enum side { CLIENT, SERVER };

// What the client says first.
struct opening {
	uint64_t seed;
	uint64_t bytes;
};

struct end {
	int fd;
	struct opening opening;
	uint64_t random;
	uint64_t sent, received;
	uint64_t send_phase, receive_phase; // where in the content a stream starts
	uint64_t hold_from;                 // of the bytes to send, until the peer's end was seen
	uint64_t pause_after;               // received bytes, then one long pause
	uint64_t read_at_ms, write_at_ms;
	bool ended;    // the peer's stream
	bool finished; // ours
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1du >> 16;
}

// The length of one call: mostly large, so that a gigabyte takes seconds, often tiny.
static size_t random_length(struct end *end)
{
	static const uint32_t longest[8] = {
		64, 4096, 65536, 65536, 262144, CHUNK_MAX, CHUNK_MAX, CHUNK_MAX};
	uint64_t number = next_random(&end->random);

	return 1 + (number >> 3) % longest[number & 7u];
}

// Now, or after some milliseconds in one of 512 cases.
static uint64_t random_time(struct end *end)
{
	uint64_t number = next_random(&end->random);

	return number % 512 == 0 ? tool_now_ms() + (number >> 9) % 8 : 0;
}

static void end_init(struct end *end, enum side side)
{
	uint64_t bytes = end->opening.bytes;
	uint64_t shared = end->opening.seed * 2654435761u + 88172645463325252u;
	uint64_t phases[2] = {next_random(&shared), next_random(&shared)};
	uint64_t holder = next_random(&shared) % 4; // 0, 1: that side; else nobody
	uint64_t held = bytes > 0 ? next_random(&shared) % (bytes / 16 + 1) : 0;
	bool small_buffer = end->opening.seed % 8 == (side == CLIENT ? 3 : 6);
	int room = 32768;

	end->random = shared ^ (uint64_t)side * 0x9e3779b97f4a7c15u;
	end->send_phase = phases[side] % CONTENT_SIZE;
	end->receive_phase = phases[!side] % CONTENT_SIZE;
	end->hold_from = holder == (uint64_t)side ? bytes - held : bytes;
	end->pause_after = bytes > 0 ? next_random(&end->random) % bytes : 0;
	if (small_buffer)
		setsockopt(end->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
}

static bool may_write(const struct end *end)
{
	return !end->finished && (end->sent < end->hold_from || end->ended);
}

static void write_some(struct end *end)
{
	size_t length = random_length(end);
	uint64_t left = (end->ended ? end->opening.bytes : end->hold_from) - end->sent;
	ssize_t sent = 0;

	if (length > left)
		length = (size_t)left;
	if (length > 0)
		sent = send(end->fd, content + (end->send_phase + end->sent) % CONTENT_SIZE, length,
			MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0 && errno != EAGAIN)
		tool_fail("seed %llu: send after %llu bytes: %s",
			(unsigned long long)end->opening.seed, (unsigned long long)end->sent,
			strerror(errno));
	end->sent += sent > 0 ? (uint64_t)sent : 0;
	end->write_at_ms = random_time(end);
	if (end->sent < end->opening.bytes)
		return;
	end->finished = true;
	if (shutdown(end->fd, SHUT_WR) < 0)
		tool_fail("shutdown: %s", strerror(errno));
}

static void check_received(struct end *end, const unsigned char *data, size_t length)
{
	const unsigned char *expected =
		content + (end->receive_phase + end->received) % CONTENT_SIZE;

	if (end->received + length > end->opening.bytes)
		tool_fail("seed %llu: more than %llu bytes came",
			(unsigned long long)end->opening.seed,
			(unsigned long long)end->opening.bytes);
	if (memcmp(data, expected, length) != 0)
		tool_fail("seed %llu: wrong bytes within %zu after offset %llu",
			(unsigned long long)end->opening.seed, length,
			(unsigned long long)end->received);
	end->received += length;
}

static void read_some(struct end *end)
{
	static _Thread_local unsigned char block[CHUNK_MAX];
	bool before_pause = end->received <= end->pause_after;
	ssize_t got = recv(end->fd, block, random_length(end), MSG_DONTWAIT);

	if (got < 0 && errno == EAGAIN)
		return;
	if (got < 0)
		tool_fail("seed %llu: receive after %llu of %llu bytes: %s",
			(unsigned long long)end->opening.seed, (unsigned long long)end->received,
			(unsigned long long)end->opening.bytes, strerror(errno));
	if (got == 0 && end->received != end->opening.bytes)
		tool_fail("seed %llu: end of stream after %llu of %llu bytes",
			(unsigned long long)end->opening.seed, (unsigned long long)end->received,
			(unsigned long long)end->opening.bytes);
	end->ended = got == 0;
	check_received(end, block, (size_t)got);
	end->read_at_ms = random_time(end);
	if (before_pause && end->received > end->pause_after)
		end->read_at_ms = tool_now_ms() + LONG_PAUSE;
}

// Waits for what may be done now, or for the end of a pause. Returns poll bits.
static short wait_turn(struct end *end)
{
	uint64_t now = end->read_at_ms || end->write_at_ms ? tool_now_ms() : 0;
	bool reads = !end->ended, writes = may_write(end);
	struct pollfd polled = {.fd = end->fd};
	int timeout = STALL_MS;

	if (reads && end->read_at_ms <= now)
		polled.events |= POLLIN;
	else if (reads)
		timeout = (int)(end->read_at_ms - now);
	if (writes && end->write_at_ms <= now)
		polled.events |= POLLOUT;
	else if (writes && end->write_at_ms - now < (uint64_t)timeout)
		timeout = (int)(end->write_at_ms - now);
	if (polled.events == 0)
		polled.fd = -1; // a reset would end the pause
	if (poll(&polled, 1, timeout) == 0 && timeout == STALL_MS)
		tool_fail("seed %llu: nothing moved for %d ms; sent %llu, received %llu of %llu",
			(unsigned long long)end->opening.seed, STALL_MS,
			(unsigned long long)end->sent, (unsigned long long)end->received,
			(unsigned long long)end->opening.bytes);
	return polled.fd < 0 ? 0 : polled.revents;
}

static void end_run(struct end *end, enum side side)
{
	end_init(end, side);
	while (!end->ended || !end->finished) {
		short ready = wait_turn(end);

		if (ready & (POLLIN | POLLERR | POLLHUP) && !end->ended)
			read_some(end);
		if (ready & (POLLOUT | POLLERR) && may_write(end))
			write_some(end);
	}
	close(end->fd);
}

// --- the client: PARALLEL threads share a counter of runs

struct job {
	const char *ip, *port;
	struct opening first;
	uint64_t runs;
	_Atomic uint64_t next;
};

static void *client_thread(void *argument)
{
	struct job *job = argument;
	uint64_t run;

	while ((run = job->next++) < job->runs) {
		struct end end = {.opening = job->first};

		end.opening.seed += run;
		end.fd = tool_connect(job->ip, job->port, SOCK_STREAM);
		tool_send_all(end.fd, &end.opening, sizeof(end.opening));
		end_run(&end, CLIENT);
	}
	return NULL;
}

static void run_client(char **words)
{
	struct job job = {.ip = words[0], .port = words[1]};
	long parallel = tool_number(words[5]);
	pthread_t threads[64];

	job.first.seed = (uint64_t)tool_number(words[2]);
	job.runs = (uint64_t)tool_number(words[3]);
	job.first.bytes = (uint64_t)tool_number(words[4]);
	if (parallel < 1 || parallel > 64)
		tool_fail("PARALLEL: 1 to 64");
	for (long i = 0; i < parallel; i++)
		if (pthread_create(&threads[i], NULL, client_thread, &job) != 0)
			tool_fail("too many threads");
	for (long i = 0; i < parallel; i++)
		pthread_join(threads[i], NULL);
	printf("ok %llu %llu\n", (unsigned long long)job.runs, (unsigned long long)job.first.bytes);
}

// --- the server

static void *server_thread(void *argument)
{
	struct end end = {.fd = (int)(intptr_t)argument};

	if (recv(end.fd, &end.opening, sizeof(end.opening), MSG_WAITALL) != sizeof(end.opening))
		tool_fail("no opening: %s", strerror(errno));
	end_run(&end, SERVER);
	printf("ok %llu\n", (unsigned long long)end.opening.seed);
	return NULL;
}

static void run_server(char **words)
{
	int listener = tool_listen(words[0], words[1], SOCK_STREAM);

	puts("ready");
	while (true) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			tool_fail("accept: %s", strerror(errno));
		if (pthread_create(&thread, NULL, server_thread, (void *)(intptr_t)fd) != 0)
			tool_fail("too many threads");
		pthread_detach(thread);
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	pattern_fill(1, 0, content, CONTENT_SIZE);
	memcpy(content + CONTENT_SIZE, content, CONTENT_SIZE);
	if (argc == 8 && strcmp(argv[1], "client") == 0)
		run_client(argv + 2);
	else if (argc == 4 && strcmp(argv[1], "server") == 0)
		run_server(argv + 2);
	else
		tool_fail("usage: tcp-exact client IP PORT SEED RUNS BYTES PARALLEL | server IP "
			  "PORT");
	return 0;
}
