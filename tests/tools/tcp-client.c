// tcp-client.c: one TCP connection that behaves in one stated way.
//
//   tcp-client half-close IP PORT BYTES  sends BYTES, ends its direction, prints the answer after
//                                        a line "sent BYTES HASH"
//   tcp-client receive IP PORT           checks that it gets pattern 7 from the first byte on
//   tcp-client late IP PORT              ends its direction at once, reads nothing for LATE_US,
//   then
//                                        like receive
//   tcp-client greeted IP PORT BYTES     reads to EOF first, then sends BYTES and closes
//   tcp-client reset IP PORT BYTES       sends BYTES, waits for the other side to read, sends RST
//   tcp-client observe IP PORT BYTES     sends BYTES, then waits for the end
//   tcp-client fill IP PORT              sends until nothing has moved for two seconds, prints the
//                                        number of bytes, then ends like half-close
//
// The end of the incoming direction is printed as "eof BYTES ms=N" or "reset BYTES ms=N" (time
// since the connect). No step blocks for longer than 30 seconds.

#include "tests/tools/lib/tool.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_SIZE     65536
#define SOURCE_SEED    7
#define TIMEOUT_S      30
#define RESET_DELAY_US 300000
#define FILL_IDLE_MS   2000
#define LATE_US        2500000

static uint64_t started_ms;

static void print_end(bool eof, uint64_t bytes)
{
	printf("%s %llu ms=%llu\n", eof ? "eof" : "reset", (unsigned long long)bytes,
		(unsigned long long)(tool_now_ms() - started_ms));
}

static uint64_t send_pattern(int fd, uint64_t total)
{
	static unsigned char block[BLOCK_SIZE];
	uint64_t hash = HASH_START;

	for (uint64_t sent = 0; sent < total;) {
		size_t part = total - sent < sizeof(block) ? (size_t)(total - sent) : sizeof(block);

		pattern_fill(1, sent, block, part);
		tool_send_all(fd, block, part);
		hash = hash_update(hash, block, part);
		sent += part;
	}
	return hash;
}

static void print_answer(int fd)
{
	char answer[256];
	ssize_t got;

	while ((got = recv(fd, answer, sizeof(answer), 0)) > 0)
		fwrite(answer, 1, (size_t)got, stdout);
	if (got < 0)
		tool_fail("answer: %s", strerror(errno));
}

static void finish(int fd, uint64_t bytes, uint64_t hash)
{
	printf("sent %llu %016llx\n", (unsigned long long)bytes, (unsigned long long)hash);
	if (shutdown(fd, SHUT_WR) < 0)
		tool_fail("shutdown: %s", strerror(errno));
	print_answer(fd);
}

static void run_half_close(int fd, uint64_t bytes)
{
	uint64_t hash = send_pattern(fd, bytes);

	finish(fd, bytes, hash);
}

static void run_receive(int fd, uint64_t bytes)
{
	static unsigned char block[BLOCK_SIZE];
	ssize_t got;

	while ((got = recv(fd, block, sizeof(block), 0)) > 0) {
		if (!pattern_matches(SOURCE_SEED, bytes, block, (size_t)got))
			tool_fail("corrupt within %zd bytes after offset %llu", got,
				(unsigned long long)bytes);
		bytes += (uint64_t)got;
	}
	if (got < 0 && errno != ECONNRESET)
		tool_fail("receive: %s", strerror(errno));
	print_end(got == 0, bytes);
}

static void run_late(int fd, uint64_t bytes)
{
	int room = 65536;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (shutdown(fd, SHUT_WR) < 0)
		tool_fail("shutdown: %s", strerror(errno));
	usleep(LATE_US);
	run_receive(fd, bytes);
}

static void run_greeted(int fd, uint64_t bytes)
{
	struct tool_digest digest;
	bool eof = tool_read_to_end(fd, &digest);

	print_end(eof, digest.bytes);
	printf("sent %llu %016llx\n", (unsigned long long)bytes,
		(unsigned long long)send_pattern(fd, bytes));
}

static void run_reset(int fd, uint64_t bytes)
{
	send_pattern(fd, bytes);
	usleep(RESET_DELAY_US);
	tool_reset_on_close(fd);
}

static void run_observe(int fd, uint64_t bytes)
{
	struct tool_digest digest;
	bool eof;

	if (bytes > 0)
		send_pattern(fd, bytes);
	eof = tool_read_to_end(fd, &digest);
	print_end(eof, digest.bytes);
}

static void run_fill(int fd, uint64_t bytes)
{
	static unsigned char block[BLOCK_SIZE];
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	uint64_t hash = HASH_START;

	while (poll(&writable, 1, FILL_IDLE_MS) > 0) {
		ssize_t sent;

		pattern_fill(1, bytes, block, sizeof(block));
		sent = send(fd, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN)
			tool_fail("send: %s", strerror(errno));
		if (sent < 0)
			continue;
		hash = hash_update(hash, block, (size_t)sent);
		bytes += (uint64_t)sent;
	}
	printf("filled %llu\n", (unsigned long long)bytes);
	finish(fd, bytes, hash);
}

static const struct {
	const char *name;
	void (*run)(int fd, uint64_t bytes);
	bool needs_bytes;
} modes[] = {
	{"half-close", run_half_close, true},
	{"receive", run_receive, false},
	{"late", run_late, false},
	{"greeted", run_greeted, true},
	{"reset", run_reset, true},
	{"observe", run_observe, true},
	{"fill", run_fill, false},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc >= 4 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		int fd;

		if (strcmp(modes[i].name, argv[1]) != 0 || argc != (modes[i].needs_bytes ? 5 : 4))
			continue;
		setvbuf(stdout, NULL, _IOLBF, 0);
		started_ms = tool_now_ms();
		fd = tool_connect(argv[2], argv[3], SOCK_STREAM);
		tool_set_timeout(fd, TIMEOUT_S);
		modes[i].run(fd, modes[i].needs_bytes ? (uint64_t)tool_number(argv[4]) : 0);
		close(fd);
		return 0;
	}
	tool_fail("usage: tcp-client MODE IP PORT [BYTES]");
}
