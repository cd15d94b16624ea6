// test_vpnkit_handshake.c: the messages of VPNKit's handshake, byte by byte.

#include "drivers/vpnkit_handshake.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rk_error e;

Test(vpnkit_handshake, says_what_version_22_expects)
{
	uint8_t init[RK_VPNKIT_INIT_BYTES];
	uint8_t command[RK_VPNKIT_COMMAND_BYTES];

	vpnkit_put_init(init);
	cr_assert_arr_eq(init, "VMN3T\x16\0\0\0", 9);
	for (size_t i = 9; i < sizeof(init); i++)
		cr_assert_eq(init[i], '0');
	vpnkit_put_command(command);
	cr_assert_eq(command[0], 1);
	for (size_t i = 1; i < sizeof(command); i++)
		cr_assert_eq(command[i], 0);
}

Test(vpnkit_handshake, takes_its_own_kind_only)
{
	uint8_t init[RK_VPNKIT_INIT_BYTES];

	vpnkit_put_init(init);
	cr_assert_eq(vpnkit_parse_init(init, &e), 0);
	init[5] = 21;
	cr_assert_eq(vpnkit_parse_init(init, &e), -EPROTONOSUPPORT);
	cr_assert_str_eq(e.text, "handshake: protocol version 21, not 22");
	vpnkit_put_init(init);
	init[8] = 1;
	cr_assert_eq(vpnkit_parse_init(init, &e), -EPROTONOSUPPORT);
	init[0] = 'v';
	cr_assert_eq(vpnkit_parse_init(init, &e), -EPROTO);
}

Test(vpnkit_handshake, takes_mtu_and_address_of_the_link)
{
	uint8_t answer[RK_VPNKIT_ANSWER_BYTES] = {
		1, 0xdc, 0x05, 0xea, 0x05, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
	struct rk_vpnkit_link link;

	cr_assert_eq(vpnkit_parse_answer(&link, answer, &e), 0);
	cr_assert_eq(link.mtu, 1500);
	cr_assert_arr_eq(link.mac, "\x02\x11\x22\x33\x44\x55", 6);
	answer[5] = 0x03;
	cr_assert_eq(vpnkit_parse_answer(&link, answer, &e), -EPROTO);
	memset(answer + 5, 0, 6);
	cr_assert_eq(vpnkit_parse_answer(&link, answer, &e), -EPROTO);
	answer[0] = 0;
	cr_assert_eq(vpnkit_parse_answer(&link, answer, &e), -EPROTO);
	cr_assert_str_eq(e.text, "handshake: an answer of unknown type 0");
}

Test(vpnkit_handshake, quotes_a_refusal_safely)
{
	uint8_t answer[RK_VPNKIT_ANSWER_BYTES] = {2, 7, 'f', 'u', 'l', 'l', '\n', 0x1b, '!', 'x'};
	struct rk_vpnkit_link link;

	cr_assert_eq(vpnkit_parse_answer(&link, answer, &e), -ECONNREFUSED);
	cr_assert_str_eq(e.text, "handshake: refused: full?"
				 "?!");
	answer[1] = 255; // all there is, and no more
	memset(answer + 2, 'y', sizeof(answer) - 2);
	cr_assert_eq(vpnkit_parse_answer(&link, answer, &e), -ECONNREFUSED);
	cr_assert_eq(strspn(e.text + strlen("handshake: refused: "), "y"), 255);
	answer[1] = 0;
	cr_assert_eq(vpnkit_parse_answer(&link, answer, &e), -ECONNREFUSED);
}

// Of memory of exactly that size, for the address sanitizer.
Test(vpnkit_handshake, survives_any_answer)
{
	uint8_t *answer = malloc(RK_VPNKIT_ANSWER_BYTES);
	struct rk_vpnkit_link link;

	srandom(2);
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < RK_VPNKIT_ANSWER_BYTES; i++)
			answer[i] = (uint8_t)random();
		answer[0] = (uint8_t)(round % 4);
		vpnkit_parse_answer(&link, answer, &e);
		vpnkit_parse_init(answer, &e);
	}
	free(answer);
}

// --- over a socket

#define TIMEOUT_MS 50000

static bool is_cancelled_later(void *context)
{
	unsigned *asked = context;

	return ++*asked > 5;
}

// A server that says nothing, or only a part.
static int shake_hands(unsigned bytes, bool hang_up, unsigned *asked)
{
	struct rk_cancel cancel = {is_cancelled_later, asked};
	uint8_t init[RK_VPNKIT_INIT_BYTES];
	struct rk_vpnkit_link link;
	int ends[2];
	int rc;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	vpnkit_put_init(init);
	cr_assert_eq(write(ends[0], init, bytes), bytes);
	if (hang_up)
		shutdown(ends[0], SHUT_WR);
	rc = vpnkit_handshake(&link, ends[1], TIMEOUT_MS, &cancel, &e);
	close(ends[0]);
	close(ends[1]);
	return rc;
}

Test(vpnkit_handshake, is_given_up_when_nobody_waits_for_it, .timeout = 20)
{
	for (unsigned bytes = 0; bytes <= RK_VPNKIT_INIT_BYTES; bytes += 7) {
		unsigned asked = 0;

		cr_expect_eq(shake_hands(bytes, false, &asked), -ECANCELED, "%u", bytes);
		cr_expect_eq(asked, 6);
	}
}

Test(vpnkit_handshake, ends_with_the_server, .timeout = 20)
{
	for (unsigned bytes = 0; bytes <= RK_VPNKIT_INIT_BYTES; bytes += 7) {
		unsigned asked = 0;

		cr_expect_eq(shake_hands(bytes, true, &asked), -ECONNRESET, "%u", bytes);
		cr_expect_leq(asked, 4);
	}
}
