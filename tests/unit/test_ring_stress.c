// test_ring_stress.c: a ring with next to nothing: one buffer for many streams, a queue that
// overflows.

#include "tests/unit/ring_support.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAMS      12
#define STREAM_BYTES 20000
#define POLLED       200

static struct stream {
	int pair[2];
	size_t sent, received;
	bool receiving;
} streams[STREAMS];

static unsigned polled[POLLED];

static void open_small(const enum rk_io_mode *mode, uint32_t entries)
{
	struct rk_ring_options options = ring_test_options(*mode);
	int result;

	options.entries = entries;
	options.buffer_count[RING_POOL_STREAM] = 1;
	result = ring_open(&test_ring, &options);
	if (*mode == IO_URING && (result == -EPERM || result == -ENOSYS))
		cr_skip_test("io_uring is forbidden here");
	cr_assert_eq(result, 0);
}

static void stream_complete(void *context, const struct rk_completion *completion)
{
	struct stream *stream = &streams[completion->tag];

	(void)context;
	if (!(completion->flags & RING_MORE))
		stream->receiving = false;
	if (completion->result == -ENOBUFS)
		return;
	stream->received += ring_test_consume(completion, stream->received);
}

// Tops the socket up; asks for a receive where none is in flight. True when all has come.
static bool stream_turn(struct stream *stream, uint64_t tag)
{
	if (stream->sent < STREAM_BYTES && stream->sent - stream->received < 5000) {
		ring_test_write_pattern(stream->pair[0], 5000, stream->sent);
		stream->sent += 5000;
	}
	if (!stream->receiving && stream->received < STREAM_BYTES) {
		stream->receiving = true;
		ring_receive(test_ring, stream->pair[1], LIMIT, tag);
	}
	return stream->received == STREAM_BYTES;
}

RING_TEST(one_buffer_serves_many_streams)
{
	unsigned done = 0;

	for (unsigned i = 0; i < STREAMS; i++)
		ring_test_open_pair(streams[i].pair);
	open_small(mode, 64);
	for (unsigned turn = 0; turn < 20000 && done < STREAMS; turn++) {
		done = 0;
		for (unsigned i = 0; i < STREAMS; i++)
			done += stream_turn(&streams[(turn + i) % STREAMS], (turn + i) % STREAMS);
		cr_assert_eq(ring_wait(test_ring, 1, stream_complete, NULL), 0);
	}
	cr_expect_eq(done, STREAMS);
	if (*mode == IO_URING) // epoll takes a buffer when the one before was given back
		cr_expect_gt(ring_stats(test_ring)->no_buffers, 0);
	ring_close(test_ring);
}

static void count_poll(void *context, const struct rk_completion *completion)
{
	unsigned *count = context;

	*count += polled[completion->tag]++ == 0;
}

// What is asked for completes at once, before the worker looks: many times what the queue of
// completions holds. Nothing is lost.
RING_TEST(more_completions_than_the_queue_holds)
{
	unsigned count = 0;
	int pairs[POLLED][2];

	open_small(mode, 8);
	for (unsigned i = 0; i < POLLED; i++) {
		ring_test_open_pair(pairs[i]);
		ring_test_write_pattern(pairs[i][0], 1, 0);
		ring_poll(test_ring, pairs[i][1], POLLIN, i);
	}
	for (unsigned turn = 0; turn < 1000 && count < POLLED; turn++)
		cr_assert_eq(ring_wait(test_ring, 1, count_poll, &count), 0);
	cr_expect_eq(count, POLLED);
	if (*mode == IO_URING)
		cr_expect_gt(ring_stats(test_ring)->overflows, 0);
	ring_close(test_ring);
}
