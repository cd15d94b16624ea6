// test_relay.c: the relay between two sockets, one of which stands for the tap.
//
// A SOCK_SEQPACKET socket is like a tap: one read or write is one frame.

#include "base/clock.h"
#include "base/fd.h"
#include "drivers/relay.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000

struct bench {
	int tap;     // what the namespace writes and reads
	int backend; // what the backend writes and reads
	int log_in, log_out;
	enum rk_framing framing;
	struct rk_process relay;
};

static void start(
	struct bench *bench, enum rk_framing framing, const struct rk_frame_filter *filter)
{
	int type = framing == FRAMING_PACKET ? SOCK_SEQPACKET : SOCK_STREAM;
	struct rk_relay_options options = {.framing = framing};
	struct rk_error e;
	int tap[2], backend[2], log[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, tap), 0);
	cr_assert_eq(socketpair(AF_UNIX, type, 0, backend), 0);
	cr_assert_eq(pipe2(log, O_NONBLOCK), 0);
	fd_set_nonblocking(tap[0], true);
	options.tap = tap[0];
	options.socket = backend[0];
	options.log_fd = log[0];
	if (filter)
		options.filter = *filter;
	cr_assert_eq(relay_start(&options, &bench->relay, &e), 0);
	close(tap[0]);
	close(backend[0]);
	bench->tap = tap[1];
	bench->backend = backend[1];
	bench->log_in = log[0];
	bench->log_out = log[1];
	bench->framing = framing;
}

static void stop(struct bench *bench)
{
	process_stop(&bench->relay, SIGKILL, 0);
	close(bench->tap);
	close(bench->backend);
	close(bench->log_in);
	close(bench->log_out);
}

static void fill(uint8_t *frame, size_t length, unsigned seed)
{
	for (size_t i = 0; i < length; i++)
		frame[i] = (uint8_t)(seed + i * 7);
}

// Sizes from the smallest frame to the largest, in no order.
static size_t size_of(unsigned number)
{
	static const size_t sizes[] = {14, 60, 1514, 65535, 100, 9014, 15, 32768};

	return sizes[number % (sizeof(sizes) / sizeof(sizes[0]))];
}

static bool tap_readable(const struct bench *bench)
{
	struct pollfd fd = {.fd = bench->tap, .events = POLLIN};

	return poll(&fd, 1, PATIENCE_MS) == 1;
}

static void expect_from_tap(const struct bench *bench, unsigned number)
{
	static uint8_t want[RK_FRAME_MAX], got[RK_FRAME_MAX + 1];
	size_t length = size_of(number);

	fill(want, length, number);
	cr_assert(tap_readable(bench));
	cr_assert_eq(read(bench->tap, got, sizeof(got)), (ssize_t)length, "frame %u", number);
	cr_assert_arr_eq(got, want, length);
}

static void expect_at_backend(const struct bench *bench, unsigned number)
{
	static uint8_t want[RK_FRAME_MAX], got[RK_FRAME_MAX];
	size_t length = size_of(number);

	fill(want, length, number);
	cr_assert_eq(frame_receive(bench->backend, bench->framing, got, sizeof(got),
			     wait_within(PATIENCE_MS, NULL)),
		(ssize_t)length, "frame %u", number);
	cr_assert_arr_eq(got, want, length);
}

Test(relay, carries_frames_of_all_sizes_both_ways_in_each_framing)
{
	static uint8_t frame[RK_FRAME_MAX];
	struct bench bench;

	for (enum rk_framing framing = 0; framing < FRAMING_COUNT; framing++) {
		start(&bench, framing, NULL);
		for (unsigned number = 0; number < 40; number++) {
			fill(frame, size_of(number), number);
			cr_assert_eq(
				write(bench.tap, frame, size_of(number)), (ssize_t)size_of(number));
			expect_at_backend(&bench, number);
			cr_assert_eq(frame_send(bench.backend, framing, frame, size_of(number),
					     wait_within(PATIENCE_MS, NULL)),
				0);
			expect_from_tap(&bench, number);
		}
		stop(&bench);
	}
}

// The relay's buffer and the socket's fill up; nothing is lost or out of order.
Test(relay, waits_for_a_slow_backend)
{
	static uint8_t frame[RK_FRAME_MAX];
	struct bench bench;

	for (enum rk_framing framing = 0; framing < FRAMING_COUNT; framing++) {
		unsigned sent = 0;
		int in_a_row = 0;

		start(&bench, framing, NULL);
		// Full when nothing could be written for a while.
		for (; in_a_row < 20; sent++) {
			fill(frame, size_of(sent), sent);
			while (in_a_row < 20 &&
				send(bench.tap, frame, size_of(sent), MSG_DONTWAIT) < 0) {
				usleep(5000);
				in_a_row++;
			}
			if (in_a_row < 20)
				in_a_row = 0;
			else
				break;
		}
		cr_assert_gt(sent, 8);
		for (unsigned number = 0; number < sent; number++)
			expect_at_backend(&bench, number);
		stop(&bench);
	}
}

Test(relay, puts_frames_together_that_come_in_pieces)
{
	uint8_t stream[64 + 2 + 200 + 2];
	struct bench bench;

	start(&bench, FRAMING_U16_LE, NULL);
	framing_put(FRAMING_U16_LE, stream, 60);
	fill(stream + 2, 60, 1);
	framing_put(FRAMING_U16_LE, stream + 62, 100);
	fill(stream + 64, 100, 4);
	for (size_t at = 0; at < 164; at++) {
		cr_assert_eq(write(bench.backend, stream + at, 1), 1);
		usleep(200);
	}
	expect_from_tap(&bench, 1);
	expect_from_tap(&bench, 4);
	// One frame and the start of the next at once, then the rest.
	cr_assert_eq(write(bench.backend, stream, 70), 70);
	expect_from_tap(&bench, 1);
	cr_assert_eq(write(bench.backend, stream + 70, 94), 94);
	expect_from_tap(&bench, 4);
	stop(&bench);
}

Test(relay, drops_what_the_filter_ends)
{
	static const struct rk_frame_filter filter = {.ipv4_only = true};
	uint8_t ipv6[60] = {[12] = 0x86, [13] = 0xdd};
	uint8_t arp[60] = {[12] = 0x08, [13] = 0x06};
	uint8_t got[100];
	struct bench bench;

	start(&bench, FRAMING_PACKET, &filter);
	cr_assert_eq(write(bench.tap, ipv6, sizeof(ipv6)), 60);
	cr_assert_eq(write(bench.tap, arp, sizeof(arp)), 60);
	cr_assert_eq(read(bench.backend, got, sizeof(got)), 60);
	cr_assert_arr_eq(got, arp, 60);
	// What comes from the backend is not filtered.
	cr_assert_eq(write(bench.backend, ipv6, sizeof(ipv6)), 60);
	cr_assert_eq(read(bench.tap, got, sizeof(got)), 60);
	stop(&bench);
}

static int end_of(struct bench *bench)
{
	int status = process_wait(&bench->relay, PATIENCE_MS);

	stop(bench);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(relay, ends_with_its_backend)
{
	struct bench bench;

	for (enum rk_framing framing = 0; framing < FRAMING_COUNT; framing++) {
		start(&bench, framing, NULL);
		shutdown(bench.backend, SHUT_RDWR);
		cr_assert_eq(end_of(&bench), RELAY_BACKEND_GONE);
	}
	// While there is something to send: no SIGPIPE.
	start(&bench, FRAMING_U32_BE, NULL);
	close(bench.backend);
	bench.backend = -1;
	send(bench.tap, "01234567890123", 14, MSG_NOSIGNAL);
	cr_assert_eq(end_of(&bench), RELAY_BACKEND_GONE);
}

Test(relay, ends_at_what_is_no_frame_and_without_a_tap)
{
	struct bench bench;
	char text[100];

	start(&bench, FRAMING_U32_BE, NULL);
	cr_assert_eq(write(bench.backend, "\xff\xff\xff\xff", 4), 4);
	cr_assert_eq(end_of(&bench), RELAY_BACKEND_BROKEN);
	start(&bench, FRAMING_U32_BE, NULL);
	shutdown(bench.tap, SHUT_RDWR);
	cr_assert_eq(end_of(&bench), RELAY_TAP_GONE);
	cr_assert_str_eq(relay_describe_end(W_EXITCODE(RELAY_TAP_GONE, 0), text, sizeof(text)),
		"lost the tap device");
	cr_assert_str_eq(relay_describe_end(9, text, sizeof(text)), "killed by signal 9 (Killed)");
}

// A backend that logs: there is always room in the pipe as long as frames move.
Test(relay, makes_room_for_what_the_backend_logs)
{
	uint8_t frame[60] = {0}, got[100];
	char line[512];
	struct bench bench;
	size_t logged = 0;

	start(&bench, FRAMING_PACKET, NULL);
	memset(line, 'x', sizeof(line));
	for (unsigned number = 0; number < 2000; number++) {
		ssize_t wrote = write(bench.log_out, line, sizeof(line));

		logged += wrote > 0 ? (size_t)wrote : 0;
		cr_assert_eq(write(bench.backend, frame, sizeof(frame)), 60);
		cr_assert_eq(read(bench.tap, got, sizeof(got)), 60);
	}
	cr_assert_eq(logged, 2000 * sizeof(line));
	stop(&bench);
}
