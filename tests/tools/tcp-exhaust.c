// tcp-exhaust.c: open more connections than the other side has descriptors for.
//
//   tcp-exhaust IP PORT CONNECTIONS WAIT-MS
//
// Sends one byte on each to an echo server, counts the echoes for WAIT-MS, prints "answered N",
// closes half of the answered ones, waits again, and prints "then N" (echoes in all: those that
// waited in the backlog get their turn when descriptors come back).

#include "tests/tools/lib/tool.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct clients {
	long count;
	int *fds;             // -1 once closed
	bool *answered;       // the echo came
	struct pollfd *polls; // fd is -1 once something came
};

static void allocate(struct clients *clients, long count)
{
	clients->count = count;
	clients->fds = calloc((size_t)count, sizeof(*clients->fds));
	clients->answered = calloc((size_t)count, sizeof(*clients->answered));
	clients->polls = calloc((size_t)count, sizeof(*clients->polls));
	if (!clients->fds || !clients->answered || !clients->polls)
		tool_fail("out of memory");
}

static void release(struct clients *clients)
{
	free(clients->fds);
	free(clients->answered);
	free(clients->polls);
}

static void connect_all(struct clients *clients, const char *ip, const char *port)
{
	for (long i = 0; i < clients->count; i++) {
		clients->fds[i] = tool_connect(ip, port, SOCK_STREAM);
		clients->polls[i] = (struct pollfd){.fd = clients->fds[i], .events = POLLIN};
		// One that was turned away already is seen as not answered.
		send(clients->fds[i], "x", 1, MSG_NOSIGNAL);
	}
}

static void collect(struct clients *clients, long wait_ms)
{
	uint64_t end = tool_now_ms() + (uint64_t)wait_ms;

	for (uint64_t now = tool_now_ms(); now < end; now = tool_now_ms()) {
		if (poll(clients->polls, (nfds_t)clients->count, (int)(end - now)) <= 0)
			return;
		for (long i = 0; i < clients->count; i++) {
			char byte;

			if (clients->polls[i].revents == 0)
				continue;
			clients->answered[i] = recv(clients->fds[i], &byte, 1, 0) == 1;
			clients->polls[i].fd = -1;
			clients->polls[i].revents = 0;
		}
	}
}

static long count_answered(const struct clients *clients)
{
	long sum = 0;

	for (long i = 0; i < clients->count; i++)
		sum += clients->answered[i];
	return sum;
}

static void close_half(struct clients *clients)
{
	long left = count_answered(clients) / 2;

	for (long i = 0; i < clients->count && left > 0; i++) {
		if (!clients->answered[i])
			continue;
		close(clients->fds[i]);
		clients->fds[i] = -1;
		left--;
	}
}

int main(int argc, char **argv)
{
	struct clients clients;
	long wait_ms;

	if (argc != 5)
		tool_fail("usage: tcp-exhaust IP PORT CONNECTIONS WAIT-MS");
	allocate(&clients, tool_number(argv[3]));
	wait_ms = tool_number(argv[4]);
	connect_all(&clients, argv[1], argv[2]);
	collect(&clients, wait_ms);
	printf("answered %ld\n", count_answered(&clients));
	close_half(&clients);
	collect(&clients, wait_ms);
	printf("then %ld\n", count_answered(&clients));
	release(&clients);
	return 0;
}
