// tcp-reset.c: a connection in a stated situation is reset by one end; the other says what it saw.
//
//   tcp-reset server IP PORT
//   tcp-reset client IP PORT client|server SITUATION   who resets, and when:
//
//     idle         nothing is under way
//     unread       the one who resets has 100000 bytes that it has not read
//     busy         both send as much as they can
//     after-end    the one who resets has ended its own direction before
//     after-peer   the other has ended its direction before
//
// The end that does not reset prints "SITUATION reset", or "SITUATION end" when it saw an orderly
// end instead, or "SITUATION nothing" when it saw neither for 10 seconds.

#include "tests/tools/lib/tool.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UNREAD_BYTES 100000
#define BUSY_BYTES   4000000
#define SETTLE_US    300000
#define HALF_OPEN_US 1500000 // longer than the relay takes to watch a silent side
#define WAIT_MS      10000

enum situation { IDLE, UNREAD, BUSY, AFTER_END, AFTER_PEER, SITUATION_COUNT };
static const char *const names[SITUATION_COUNT] = {
	"idle", "unread", "busy", "after-end", "after-peer"};

struct opening {
	uint8_t situation;
	uint8_t server_resets;
};

static unsigned char block[65536];

// Sends and receives what comes and goes until `bytes` were moved each way, or the peer resets.
// True when it reset.
static bool exchange(int fd, uint64_t bytes)
{
	uint64_t sent = 0, received = 0;

	while (sent < bytes || received < bytes) {
		struct pollfd polled = {.fd = fd, .events = POLLIN | POLLOUT};
		ssize_t result;

		if (poll(&polled, 1, WAIT_MS) <= 0)
			return false;
		result = recv(fd, block, sizeof(block), MSG_DONTWAIT);
		received += result > 0 ? (uint64_t)result : 0;
		if (result == 0 || (result < 0 && errno != EAGAIN))
			return result < 0;
		result = send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += result > 0 ? (uint64_t)result : 0;
		if (result < 0 && errno != EAGAIN)
			return true;
	}
	return false;
}

static void act(int fd, enum situation situation)
{
	char byte;

	if (situation == BUSY)
		exchange(fd, BUSY_BYTES);
	if (situation == AFTER_END) {
		shutdown(fd, SHUT_WR);
		usleep(HALF_OPEN_US);
	}
	if (situation == AFTER_PEER && recv(fd, &byte, 1, 0) != 0)
		tool_fail("the peer's end did not come");
	if (situation == AFTER_PEER || situation == UNREAD)
		usleep(SETTLE_US);
	tool_reset_on_close(fd);
}

// After the peer's orderly end only poll tells of a reset.
static const char *wait_reset(int fd)
{
	struct pollfd polled = {.fd = fd};

	return poll(&polled, 1, WAIT_MS) == 0 ? "nothing" : "reset";
}

static void observe(int fd, enum situation situation)
{
	const char *seen = NULL;
	ssize_t got = 1;

	if (situation == UNREAD)
		for (unsigned i = 0; i < UNREAD_BYTES; i += 1000)
			tool_send_all(fd, block, 1000);
	if (situation == AFTER_PEER)
		shutdown(fd, SHUT_WR);
	if (situation == BUSY && exchange(fd, UINT64_MAX))
		seen = "reset";
	while (!seen && got > 0)
		got = recv(fd, block, sizeof(block), 0);
	if (!seen && situation == AFTER_END && got == 0)
		seen = wait_reset(fd);
	if (!seen)
		seen = got == 0 ? "end" : errno == ECONNRESET ? "reset" : "nothing";
	printf("%s %s\n", names[situation], seen);
}

static void run_client(char **words)
{
	struct opening opening = {.server_resets = strcmp(words[2], "server") == 0};
	int fd = tool_connect(words[0], words[1], SOCK_STREAM);
	char byte;

	while (opening.situation < SITUATION_COUNT &&
		strcmp(names[opening.situation], words[3]) != 0)
		opening.situation++;
	if (opening.situation == SITUATION_COUNT)
		tool_fail("%s: unknown situation", words[3]);
	tool_set_timeout(fd, WAIT_MS / 1000);
	tool_send_all(fd, &opening, sizeof(opening));
	if (recv(fd, &byte, 1, 0) != 1)
		tool_fail("no answer: %s", strerror(errno));
	if (opening.server_resets)
		observe(fd, opening.situation);
	else
		act(fd, opening.situation);
	close(fd);
}

static void run_server(char **words)
{
	int listener = tool_listen(words[0], words[1], SOCK_STREAM);

	puts("ready");
	while (true) {
		int fd = accept(listener, NULL, NULL);
		struct opening opening;

		if (fd < 0 || recv(fd, &opening, sizeof(opening), MSG_WAITALL) != sizeof(opening) ||
			opening.situation >= SITUATION_COUNT)
			tool_fail("no opening: %s", strerror(errno));
		tool_set_timeout(fd, WAIT_MS / 1000);
		tool_send_all(fd, "!", 1);
		if (opening.server_resets)
			act(fd, opening.situation);
		else
			observe(fd, opening.situation);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 6 && strcmp(argv[1], "client") == 0)
		run_client(argv + 2);
	else if (argc == 4 && strcmp(argv[1], "server") == 0)
		run_server(argv + 2);
	else
		tool_fail(
			"usage: tcp-reset client IP PORT client|server SITUATION | server IP PORT");
	return 0;
}
