// udp-load.c: very many UDP clients, and one that counts what gets lost meanwhile.
//
//   udp-load many IP PORT CLIENTS    one datagram from each of so many addresses and ports of
//                                    127.0.0.0/8 to an echo server, a wave at a time; prints
//                                    "answered N of CLIENTS"
//   udp-load steady IP PORT MS       one client that sends a numbered datagram each millisecond;
//                                    prints "sent N lost N p99 max" (microseconds there and back)
//
// The server is `udp-server`; it sends back what it gets.

#include "tests/tools/lib/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAVE      64u
#define WAIT_MS   300
#define RETRIES   20
#define PERIOD_US 1000

static struct tool_address server;

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

// Every client has an address of its own, 127.1.0.1 and up.
static int open_client(uint32_t number)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl((127u << 24 | 1u << 16) + number + 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
		connect(fd, (struct sockaddr *)&server.storage, server.length) < 0)
		tool_fail("client %u: %s", number, strerror(errno));
	return fd;
}

// Each client of the wave asks until it is answered, RETRIES times at most: a full queue may drop a
// datagram. The number of those that were.
static unsigned run_wave(uint32_t first, unsigned count)
{
	struct pollfd clients[WAVE];
	unsigned answered = 0;

	for (unsigned i = 0; i < count; i++)
		clients[i] = (struct pollfd){.fd = open_client(first + i), .events = POLLIN};
	for (unsigned try = 0; try < RETRIES && answered < count; try++) {
		for (unsigned i = 0; i < count; i++)
			if (clients[i].fd >= 0)
				send(clients[i].fd, "x", 1, 0);
		while (answered < count && poll(clients, count, WAIT_MS) > 0) {
			for (unsigned i = 0; i < count; i++) {
				char byte;

				if (!(clients[i].revents & POLLIN))
					continue;
				answered += recv(clients[i].fd, &byte, 1, 0) == 1;
				close(clients[i].fd);
				clients[i].fd = -1;
			}
		}
	}
	for (unsigned i = 0; i < count; i++)
		if (clients[i].fd >= 0)
			close(clients[i].fd);
	return answered;
}

static void run_many(uint32_t count)
{
	uint32_t answered = 0;

	for (uint32_t first = 0; first < count; first += WAVE)
		answered += run_wave(first, count - first < WAVE ? count - first : WAVE);
	printf("answered %u of %u\n", answered, count);
}

static int compare(const void *a, const void *b)
{
	uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;

	return first < second ? -1 : first > second;
}

// Takes what has come until `until_us`; counts it in *received and notes how long it took.
static void collect(
	int fd, uint64_t until_us, const uint64_t *sent_us, uint32_t *times_us, uint32_t *received)
{
	uint64_t now = now_us();

	while (now < until_us) {
		struct pollfd polled = {.fd = fd, .events = POLLIN};
		struct timespec left = {.tv_nsec = (long)(until_us - now) * 1000};
		uint32_t number;

		if (left.tv_nsec > 999999999)
			left = (struct timespec){.tv_sec = 1};
		if (ppoll(&polled, 1, &left, NULL) > 0 &&
			recv(fd, &number, sizeof(number), MSG_DONTWAIT) == sizeof(number))
			times_us[(*received)++] = (uint32_t)(now_us() - sent_us[number]);
		now = now_us();
	}
}

static void run_steady(uint32_t count)
{
	uint64_t *sent_us = calloc(count, sizeof(*sent_us));
	uint32_t *times_us = calloc(count, sizeof(*times_us));
	uint32_t received = 0;
	int fd = open_client(0xfffff);

	if (!sent_us || !times_us)
		tool_fail("out of memory");
	for (uint32_t i = 0; i < count; i++) {
		sent_us[i] = now_us();
		send(fd, &i, sizeof(i), 0);
		collect(fd, sent_us[i] + PERIOD_US, sent_us, times_us, &received);
	}
	collect(fd, now_us() + 1000000, sent_us, times_us, &received);
	qsort(times_us, received, sizeof(*times_us), compare);
	printf("sent %u lost %u p99 %u max %u\n", count, count - received,
		received ? times_us[(size_t)received * 99 / 100] : 0,
		received ? times_us[received - 1] : 0);
	free(sent_us);
	free(times_us);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 5)
		tool_fail("usage: udp-load many|steady IP PORT NUMBER");
	server = tool_parse(argv[2], argv[3]);
	if (strcmp(argv[1], "many") == 0)
		run_many((uint32_t)tool_number(argv[4]));
	else if (strcmp(argv[1], "steady") == 0)
		run_steady((uint32_t)tool_number(argv[4]));
	else
		tool_fail("%s: unknown mode", argv[1]);
	return 0;
}
