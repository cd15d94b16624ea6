// tcp-load.c: many TCP clients: one after the other, all at once, or for a while.
//
//   tcp-load churn IP PORT COUNT THREADS   connects, exchanges a byte with an echo server, closes;
//                                          prints "ok COUNT ms=N first-p50 first-p99 last-p50
//                                          last-p99" (microseconds, of the first and last tenth)
//   tcp-load crowd IP PORT CLIENTS MS      so many at once for that long, each with one exchange
//                                          after the other on connections of its own; then closes
//                                          all, and tries until one more exchange succeeds; prints
//                                          "served N failed N stalled N back ms=N"
//   tcp-load burst IP PORT CLIENTS         one exchange each, all connected at the same time;
//                                          prints "ok CLIENTS"
//   tcp-load hold IP PORT CLIENTS BYTES    sends BYTES on each (as far as they fit), waits for the
//                                          first byte of each, reads nothing, prints "open
//                                          CLIENTS", waits to be killed
//   tcp-load talk IP PORT CLIENTS ROUNDS   64 bytes there and back on each connection once a
//                                          second; prints "ok EXCHANGES p50 p99 max" (microseconds)
//
// Towards a loopback address each 10000 clients get a source address of their own, so that this
// side never runs out of ports.

#include "tests/tools/lib/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_PER_SOURCE 10000u
#define EVENTS_MAX         256
#define STALL_MS           20000
#define TALK_SIZE          64
#define CONNECTING_MAX     1000

static struct tool_address server;
static int poll_fd;

struct client {
	int fd;
	enum { CLOSED, CONNECTING, SENT, DONE } state;
	uint64_t at_us; // of the last request
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void raise_fd_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

// A socket of client `number` of `thread`, with its source address.
static int open_client(unsigned thread, uint64_t number, int flags)
{
	const struct sockaddr_in *to = (const struct sockaddr_in *)&server.storage;
	uint32_t place = (uint32_t)(number / CLIENTS_PER_SOURCE % 50000);
	struct sockaddr_in from = {.sin_family = AF_INET};
	int fd = socket(server.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	int on = 1;

	if (fd < 0)
		tool_fail("socket: %s", strerror(errno));
	if (to->sin_family != AF_INET || ntohl(to->sin_addr.s_addr) >> 24 != 127)
		return fd;
	from.sin_addr.s_addr =
		htonl(127u << 24 | (16 + thread) << 16 | place / 200 << 8 | (place % 200 + 1));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		tool_fail("bind: %s", strerror(errno));
	return fd;
}

static int compare(const void *a, const void *b)
{
	uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;

	return first < second ? -1 : first > second;
}

static uint32_t percentile(uint32_t *values, size_t count, double part)
{
	qsort(values, count, sizeof(*values), compare);
	return count > 0 ? values[(size_t)((double)(count - 1) * part)] : 0;
}

// --- churn

struct churn {
	unsigned thread;
	size_t count;
	uint32_t *times_us;
};

static void *churn_thread(void *argument)
{
	struct churn *churn = argument;

	for (size_t i = 0; i < churn->count; i++) {
		uint64_t started = now_us();
		int fd = open_client(churn->thread, i, 0);
		char byte = 'x';

		tool_set_timeout(fd, STALL_MS / 1000);
		if (connect(fd, (struct sockaddr *)&server.storage, server.length) < 0)
			tool_fail("connection %zu: connect: %s", i, strerror(errno));
		if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
			tool_fail("connection %zu: no answer: %s", i, strerror(errno));
		close(fd);
		churn->times_us[i] = (uint32_t)(now_us() - started);
	}
	return NULL;
}

static void run_churn(size_t count, long threads)
{
	struct churn churns[16];
	pthread_t ids[16];
	uint64_t started = tool_now_ms();
	uint32_t *times = calloc(count, sizeof(*times));
	size_t each = threads > 0 && threads <= 16 ? count / (size_t)threads : 0;
	size_t tenth = each / 10;

	if (!times || tenth == 0)
		tool_fail("COUNT: at least 10 a thread; THREADS: 1 to 16");
	for (unsigned i = 0; i < threads; i++) {
		churns[i] = (struct churn){i, each, times + i * each};
		if (pthread_create(&ids[i], NULL, churn_thread, &churns[i]) != 0)
			tool_fail("too many threads");
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("ok %zu ms=%llu", each * (size_t)threads,
		(unsigned long long)(tool_now_ms() - started));
	printf(" %u %u", percentile(times, tenth, 0.5), percentile(times, tenth, 0.99));
	printf(" %u %u\n", percentile(times + each - tenth, tenth, 0.5),
		percentile(times + each - tenth, tenth, 0.99));
	free(times);
}

// --- many at once

static void client_start(struct client *client, uint64_t number)
{
	struct epoll_event event = {.events = EPOLLOUT | EPOLLIN, .data.ptr = client};

	client->fd = open_client(0, number, SOCK_NONBLOCK);
	client->state = CONNECTING;
	client->at_us = now_us();
	if (connect(client->fd, (struct sockaddr *)&server.storage, server.length) < 0 &&
		errno != EINPROGRESS)
		tool_fail("connect: %s", strerror(errno));
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, client->fd, &event) < 0)
		tool_fail("epoll: %s", strerror(errno));
}

static void client_close(struct client *client)
{
	close(client->fd);
	client->fd = -1;
	client->state = CLOSED;
}

// Connected: sends `bytes`, then waits for something to read. 0, or -1 when it failed.
static int client_send(struct client *client, size_t bytes)
{
	static const char block[65536];
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

	if (send(client->fd, block, bytes < sizeof(block) ? bytes : sizeof(block), MSG_NOSIGNAL) <
		1)
		return -1;
	client->state = SENT;
	client->at_us = now_us();
	return epoll_ctl(poll_fd, EPOLL_CTL_MOD, client->fd, &event);
}

struct crowd {
	struct client *clients;
	long count;
	long served, failed;
	uint64_t started; // connections
};

static void crowd_event(struct crowd *crowd, struct client *client, uint32_t events)
{
	char byte;

	if (client->state == CONNECTING && events & EPOLLOUT && !(events & EPOLLERR)) {
		if (client_send(client, 1) == 0)
			return;
		crowd->failed++;
	} else if (recv(client->fd, &byte, 1, 0) == 1) {
		crowd->served++;
	} else {
		crowd->failed++;
	}
	client_close(client);
	client_start(client, crowd->started++);
}

// Clients that got no answer for a second before the end.
static long crowd_close(struct crowd *crowd)
{
	long stalled = 0;

	for (long i = 0; i < crowd->count; i++) {
		stalled += now_us() - crowd->clients[i].at_us > 1000000;
		client_close(&crowd->clients[i]);
	}
	return stalled;
}

static uint64_t ms_until_served(void)
{
	uint64_t started = tool_now_ms();

	while (tool_now_ms() - started < STALL_MS) {
		int fd = open_client(1, 0, 0);
		char byte = 'x';
		bool served;

		tool_set_timeout(fd, STALL_MS / 1000);
		served = connect(fd, (struct sockaddr *)&server.storage, server.length) == 0 &&
			 send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1;
		close(fd);
		if (served)
			return tool_now_ms() - started;
	}
	tool_fail("not served again within %d ms", STALL_MS);
}

static void run_crowd(struct client *clients, long count, long duration_ms)
{
	struct crowd crowd = {.clients = clients, .count = count};
	uint64_t end = tool_now_ms() + (uint64_t)duration_ms;
	struct epoll_event events[EVENTS_MAX];
	long stalled;

	for (long i = 0; i < count; i++)
		client_start(&clients[i], crowd.started++);
	while (tool_now_ms() < end) {
		int ready = epoll_wait(poll_fd, events, EVENTS_MAX, 10);

		for (int i = 0; i < ready; i++)
			crowd_event(&crowd, events[i].data.ptr, events[i].events);
	}
	stalled = crowd_close(&crowd);
	printf("served %ld failed %ld stalled %ld back ms=%llu\n", crowd.served, crowd.failed,
		stalled, (unsigned long long)ms_until_served());
}

// Connects all, sends `bytes` on each, waits until each has something to read.
static void open_all(struct client *clients, long count, size_t bytes)
{
	long started = 0, done = 0;

	while (done < count) {
		struct epoll_event events[EVENTS_MAX];
		int ready;

		while (started < count && started - done < CONNECTING_MAX) {
			client_start(&clients[started], (uint64_t)started);
			started++;
		}
		ready = epoll_wait(poll_fd, events, EVENTS_MAX, STALL_MS);
		if (ready <= 0)
			tool_fail("nothing moved for %d ms: %ld of %ld", STALL_MS, done, count);
		for (int i = 0; i < ready; i++) {
			struct client *client = events[i].data.ptr;

			if (events[i].events & (EPOLLERR | EPOLLHUP))
				tool_fail("client %ld: reset", (long)(client - clients));
			if (client->state == CONNECTING && client_send(client, bytes) < 0)
				tool_fail("client %ld: %s", (long)(client - clients),
					strerror(errno));
			if (!(events[i].events & EPOLLIN))
				continue;
			client->state = DONE;
			epoll_ctl(poll_fd, EPOLL_CTL_DEL, client->fd, NULL);
			done++;
		}
	}
}

static void run_burst(struct client *clients, long count)
{
	open_all(clients, count, 1);
	for (long i = 0; i < count; i++) {
		char byte;

		if (recv(clients[i].fd, &byte, 1, 0) != 1)
			tool_fail("client %ld: %s", i, strerror(errno));
		client_close(&clients[i]);
	}
	printf("ok %ld\n", count);
}

static void run_hold(struct client *clients, long count, long bytes)
{
	open_all(clients, count, (size_t)bytes);
	printf("open %ld\n", count);
	fflush(stdout);
	while (true)
		pause();
}

// --- talk

static void talk_round(struct client *clients, long count, uint32_t *times_us)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t started = now_us();
	long sent = 0, done = 0;
	char block[TALK_SIZE] = "";

	while (done < count) {
		int ready;

		for (; sent < count &&
			now_us() - started > (uint64_t)sent * 1000000 / (uint64_t)count;
			sent++) {
			clients[sent].at_us = now_us();
			tool_send_all(clients[sent].fd, block, sizeof(block));
		}
		ready = epoll_wait(poll_fd, events, EVENTS_MAX, sent < count ? 1 : STALL_MS);
		if (ready == 0 && sent == count)
			tool_fail("no answer for %d ms: %ld of %ld", STALL_MS, done, count);
		for (int i = 0; i < ready; i++) {
			struct client *client = events[i].data.ptr;
			ssize_t got = recv(client->fd, block, sizeof(block), MSG_WAITALL);

			if (got != sizeof(block))
				tool_fail(
					"client %ld: got %zd bytes", (long)(client - clients), got);
			times_us[done++] = (uint32_t)(now_us() - client->at_us);
		}
	}
}

static void run_talk(struct client *clients, long count, long rounds)
{
	size_t total = (size_t)count * (size_t)rounds;
	uint32_t *times = calloc(total, sizeof(*times));

	if (!times)
		tool_fail("out of memory");
	for (long i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};

		clients[i].fd = open_client(0, (uint64_t)i, 0);
		tool_set_timeout(clients[i].fd, STALL_MS / 1000);
		if (connect(clients[i].fd, (struct sockaddr *)&server.storage, server.length) < 0)
			tool_fail("connect: %s", strerror(errno));
		epoll_ctl(poll_fd, EPOLL_CTL_ADD, clients[i].fd, &event);
	}
	for (long i = 0; i < rounds; i++)
		talk_round(clients, count, times + i * count);
	printf("ok %zu %u", total, percentile(times, total, 0.5));
	printf(" %u %u\n", percentile(times, total, 0.99), percentile(times, total, 1));
	free(times);
}

int main(int argc, char **argv)
{
	struct client *clients;
	long count, argument;

	if (argc < 5)
		tool_fail("usage: tcp-load churn|crowd|burst|hold|talk IP PORT COUNT [ARGUMENT]");
	server = tool_parse(argv[2], argv[3]);
	count = tool_number(argv[4]);
	argument = argc > 5 ? tool_number(argv[5]) : 0;
	raise_fd_limit();
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	clients = calloc((size_t)count, sizeof(*clients));
	if (!clients)
		tool_fail("out of memory");
	if (strcmp(argv[1], "churn") == 0)
		run_churn((size_t)count, argument);
	else if (strcmp(argv[1], "crowd") == 0)
		run_crowd(clients, count, argument);
	else if (strcmp(argv[1], "burst") == 0)
		run_burst(clients, count);
	else if (strcmp(argv[1], "hold") == 0)
		run_hold(clients, count, argument);
	else if (strcmp(argv[1], "talk") == 0)
		run_talk(clients, count, argument);
	else
		tool_fail("%s: unknown mode", argv[1]);
	free(clients);
	return 0;
}
