// test_framing.c: frames on a socket: lengths of each framing, whole and in pieces, limits.

#include "base/clock.h"
#include "drivers/framing.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
	enum rk_framing framing;
	uint8_t prefix[RK_FRAME_PREFIX_MAX]; // of a frame of 0x0102 bytes
	size_t bytes;
} forms[] = {
	{FRAMING_U16_LE, {0x02, 0x01}, 2},
	{FRAMING_U16_BE, {0x01, 0x02}, 2},
	{FRAMING_U32_BE, {0, 0, 0x01, 0x02}, 4},
};
#define FORMS (sizeof(forms) / sizeof(forms[0]))

Test(framing, puts_the_length_before_a_frame)
{
	uint8_t prefix[RK_FRAME_PREFIX_MAX];

	cr_assert_eq(framing_prefix(FRAMING_PACKET), 0);
	for (size_t i = 0; i < FORMS; i++) {
		cr_assert_eq(framing_prefix(forms[i].framing), forms[i].bytes);
		framing_put(forms[i].framing, prefix, 0x0102);
		cr_assert_arr_eq(prefix, forms[i].prefix, forms[i].bytes);
	}
}

Test(framing, finds_a_frame_only_when_it_is_whole)
{
	uint8_t stream[RK_FRAME_PREFIX_MAX + 0x0102 + 1];
	size_t length;

	for (size_t i = 0; i < FORMS; i++) {
		size_t whole = forms[i].bytes + 0x0102;

		memcpy(stream, forms[i].prefix, forms[i].bytes);
		for (size_t got = 0; got < whole; got++)
			cr_assert_eq(framing_next(forms[i].framing, stream, got, &length), 0);
		cr_assert_eq(framing_next(forms[i].framing, stream, whole, &length), 1);
		cr_assert_eq(length, 0x0102);
		cr_assert_eq(framing_next(forms[i].framing, stream, whole + 1, &length), 1);
		cr_assert_eq(length, 0x0102);
	}
}

Test(framing, refuses_lengths_that_no_frame_has)
{
	static const uint8_t too_long[] = {0, 1, 0, 0};
	static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff};
	static const uint8_t longest[] = {0, 0, 0xff, 0xff};
	size_t length;

	cr_assert_eq(framing_next(FRAMING_U32_BE, too_long, 4, &length), -EPROTO);
	cr_assert_eq(framing_next(FRAMING_U32_BE, huge, 4, &length), -EPROTO);
	cr_assert_eq(framing_next(FRAMING_U32_BE, longest, 4, &length), 0);
	cr_assert_eq(framing_next(FRAMING_U16_LE, huge, 2, &length), 0);
}

Test(framing, sends_and_receives_whole_frames)
{
	uint8_t frame[1000], back[1000];
	struct rk_wait wait = wait_within(20000, NULL);

	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)i;
	for (enum rk_framing framing = 0; framing < FRAMING_COUNT; framing++) {
		int type = framing == FRAMING_PACKET ? SOCK_SEQPACKET : SOCK_STREAM;
		int ends[2];

		cr_assert_eq(socketpair(AF_UNIX, type, 0, ends), 0);
		cr_assert_eq(frame_send(ends[0], framing, frame, 1000, wait), 0);
		cr_assert_eq(frame_send(ends[0], framing, frame, 14, wait), 0);
		cr_assert_eq(frame_receive(ends[1], framing, back, 1000, wait), 1000);
		cr_assert_arr_eq(frame, back, 1000);
		cr_assert_eq(frame_receive(ends[1], framing, back, 13, wait), -EMSGSIZE);
		cr_assert_eq(frame_receive(ends[0], framing, back, 1000, wait_within(20, NULL)),
			-ETIMEDOUT);
		close(ends[0]);
		if (framing == FRAMING_PACKET) // the stream still has the frame in it
			cr_assert_eq(
				frame_receive(ends[1], framing, back, 1000, wait), -ECONNRESET);
		close(ends[1]);
	}
}
