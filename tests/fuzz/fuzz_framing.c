// fuzz_framing.c: a stream of frames from a backend. The first byte chooses the framing.
// Read whole or piece by piece, the same frames come out; put back, they are the same bytes.

#include "base/clock.h"
#include "base/fd.h"
#include "drivers/framing.h"
#include "tests/fuzz/lib/fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define TIMEOUT_MS 20000 // never waited for: the other side has ended
#define STREAM_MAX 4096

static void require_same_prefix(enum rk_framing framing, const uint8_t *stream, size_t length)
{
	uint8_t prefix[RK_FRAME_PREFIX_MAX];

	framing_put(framing, prefix, length);
	FUZZ_REQUIRE(memcmp(prefix, stream, framing_prefix(framing)) == 0);
}

// The frame that the socket gives must be the one that stands at `stream`.
static void require_received(
	int fd, enum rk_framing framing, const uint8_t *stream, size_t length, int whole)
{
	static uint8_t frame[RK_FRAME_MAX];
	ssize_t got =
		frame_receive(fd, framing, frame, sizeof(frame), wait_within(TIMEOUT_MS, NULL));

	if (whole < 0)
		FUZZ_REQUIRE(got == -EPROTO);
	else if (whole == 0)
		FUZZ_REQUIRE(got == -ECONNRESET);
	else
		FUZZ_REQUIRE(got == (ssize_t)length &&
			     memcmp(frame, stream + framing_prefix(framing), length) == 0);
}

static void walk(int fd, enum rk_framing framing, const uint8_t *stream, size_t left)
{
	size_t prefix = framing_prefix(framing);
	size_t length = 0;
	int whole;

	do {
		whole = framing_next(framing, stream, left, &length);
		require_received(fd, framing, stream, length, whole);
		if (whole <= 0)
			return;
		FUZZ_REQUIRE(length <= RK_FRAME_MAX && prefix + length <= left);
		require_same_prefix(framing, stream, length);
		stream += prefix + length;
		left -= prefix + length;
	} while (whole > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int ends[2];

	if (size == 0 || size > STREAM_MAX)
		return 0;
	FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	FUZZ_REQUIRE(send(ends[0], data + 1, size - 1, MSG_NOSIGNAL) == (ssize_t)size - 1);
	shutdown(ends[0], SHUT_WR);
	walk(ends[1], FRAMING_U16_LE + data[0] % (FRAMING_COUNT - 1),
		(const uint8_t *)fuzz_guarded(data + 1, size - 1), size - 1);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	return 0;
}
