// ring_support.c: what the tests of the ring interface share.

#include "tests/unit/ring_support.h"

#include "base/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEEN_MAX 1024

const enum rk_io_mode ring_test_modes[2] = {IO_URING, IO_EPOLL};

struct rk_ring *test_ring;
static struct {
	struct rk_completion completion;
	bool taken;
} seen[SEEN_MAX];
static unsigned seen_count;
bool test_receiving;

static void remember(void *context, const struct rk_completion *completion)
{
	(void)context;
	cr_assert_lt(seen_count, SEEN_MAX);
	seen[seen_count++].completion = *completion;
}

struct rk_ring_options ring_test_options(enum rk_io_mode mode)
{
	return (struct rk_ring_options){
		.io = mode,
		.entries = 64,
		.buffer_count = {STREAM_BUFFERS, DATAGRAM_BUFFERS},
		.buffer_size = {STREAM_SIZE, 66 * 1024},
	};
}

void ring_test_open(const enum rk_io_mode *mode)
{
	const struct rk_ring_options options = ring_test_options(*mode);
	int result = ring_open(&test_ring, &options);

	if (*mode == IO_URING && (result == -EPERM || result == -ENOSYS))
		cr_skip_test("io_uring is forbidden here");
	cr_assert_eq(result, 0, "ring_open: %s", strerror(-result));
}

void ring_test_wait(int64_t timeout_ms)
{
	cr_assert_eq(ring_wait(test_ring, timeout_ms, remember, NULL), 0);
}

unsigned ring_test_seen(void)
{
	return seen_count;
}

static bool take(uint64_t tag, struct rk_completion *completion)
{
	for (unsigned i = 0; i < seen_count; i++) {
		if (seen[i].taken || seen[i].completion.tag != tag)
			continue;
		seen[i].taken = true;
		*completion = seen[i].completion;
		return true;
	}
	return false;
}

struct rk_completion ring_test_next(uint64_t tag)
{
	struct rk_completion completion;
	bool taken = take(tag, &completion);

	for (int i = 0; i < 1000 && !taken; i++) {
		ring_test_wait(20);
		taken = take(tag, &completion);
	}
	cr_assert(taken, "operation %u did not complete", (unsigned)tag);
	return completion;
}

void ring_test_expect_none(uint64_t tag)
{
	struct rk_completion completion;

	ring_test_wait(20);
	ring_test_wait(20);
	cr_expect_not(take(tag, &completion), "operation %u completed with %d", (unsigned)tag,
		completion.result);
}

unsigned char ring_test_pattern(size_t offset)
{
	return (unsigned char)(offset % 251);
}

// The next completion of a receive, which is asked for again when it has ended.
struct rk_completion ring_test_next_received(int fd, size_t limit)
{
	struct rk_completion completion;

	if (!test_receiving)
		ring_receive(test_ring, fd, limit, TAG_READ);
	completion = ring_test_next(TAG_READ);
	test_receiving = completion.flags & RING_MORE;
	return completion;
}

void ring_test_fill(unsigned char *data, size_t length, size_t offset)
{
	for (size_t i = 0; i < length; i++)
		data[i] = ring_test_pattern(offset + i);
}

// Checks and releases the buffers of a stream completion; returns how many bytes it had.
size_t ring_test_consume(const struct rk_completion *completion, size_t offset)
{
	uint32_t buffer = completion->buffer;
	size_t left = (size_t)completion->result;

	cr_assert_gt(completion->result, 0);
	cr_assert(completion->flags & RING_BUFFER);
	while (left > 0) {
		const unsigned char *data = ring_buffer_data(test_ring, RING_POOL_STREAM, buffer);
		size_t part = left < STREAM_SIZE ? left : STREAM_SIZE;
		uint32_t following = ring_buffer_next(test_ring, RING_POOL_STREAM, buffer);

		for (size_t i = 0; i < part; i++)
			cr_assert_eq(
				data[i], ring_test_pattern(offset + i), "byte %zu", offset + i);
		ring_buffer_release(test_ring, RING_POOL_STREAM, buffer);
		offset += part;
		left -= part;
		buffer = following;
	}
	return (size_t)completion->result;
}

// --- sockets

void ring_test_open_pair(int *pair)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

int ring_test_open_bound(int type, struct rk_addr *addr)
{
	socklen_t length = sizeof(*addr);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	cr_assert_eq(addr_parse(addr, "127.0.0.1", 9, 0), 0);
	cr_assert_eq(bind(fd, &addr->sa, addr_length(addr)), 0);
	cr_assert_eq(getsockname(fd, &addr->sa, &length), 0);
	return fd;
}

int ring_test_open_listener(struct rk_addr *addr)
{
	int fd = ring_test_open_bound(SOCK_STREAM, addr);

	cr_assert_eq(listen(fd, 16), 0);
	return fd;
}

int ring_test_open_client(const struct rk_addr *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, &addr->sa, addr_length(addr)), 0);
	return fd;
}

void ring_test_open_tcp_pair(int *pair)
{
	struct rk_addr addr;
	int listener = ring_test_open_listener(&addr);

	pair[0] = ring_test_open_client(&addr);
	pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(pair[1], 0);
	close(listener);
}

void ring_test_write_pattern(int fd, size_t length, size_t offset)
{
	unsigned char data[65536];

	cr_assert_leq(length, sizeof(data));
	ring_test_fill(data, length, offset);
	cr_assert_eq(write(fd, data, length), (ssize_t)length);
}
