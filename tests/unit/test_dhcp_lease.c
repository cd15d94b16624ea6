// test_dhcp_lease.c: questions with an address, answers with a lease, obtaining one.

#include "base/clock.h"
#include "drivers/dhcp_lease.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BOOTP_AT   42
#define OPTIONS_AT (BOOTP_AT + 240)

static const uint8_t mac[ETHER_ADDR_LEN] = {0x02, 1, 2, 3, 4, 5};
static const uint8_t server_mac[ETHER_ADDR_LEN] = {0x02, 9, 9, 9, 9, 9};

Test(dhcp_lease, a_renewal_goes_to_the_server_alone_from_our_address)
{
	struct rk_dhcp_question question = {.type = DHCP_REQUEST,
		.id = 7,
		.address = 0x0a090015,
		.to = 0x0a090001,
		.to_mac = server_mac};
	uint8_t frame[RK_DHCP_FRAME_BYTES];

	dhcp_put_question(frame, mac, &question);
	cr_assert_arr_eq(frame, server_mac, 6);
	cr_assert_arr_eq(frame + 26, "\x0a\x09\x00\x15\x0a\x09\x00\x01", 8);
	cr_assert_eq(frame[BOOTP_AT + 10], 0, "no broadcast flag");
	cr_assert_arr_eq(frame + BOOTP_AT + 12, "\x0a\x09\x00\x15", 4);
	// Neither the wanted address nor the server, RFC 2131 table 4.
	cr_assert_arr_eq(frame + OPTIONS_AT, "\x35\1\3\x37", 4);
}

Test(dhcp_lease, an_offer_is_taken_by_naming_address_and_server)
{
	struct rk_dhcp_question question = {
		.type = DHCP_REQUEST, .id = 7, .wanted = 0x0a090015, .server = 0x0a090001};
	uint8_t frame[RK_DHCP_FRAME_BYTES];

	dhcp_put_question(frame, mac, &question);
	cr_assert_arr_eq(frame, "\xff\xff\xff\xff\xff\xff", 6);
	cr_assert_arr_eq(frame + BOOTP_AT + 12, "\0\0\0\0", 4);
	cr_assert_arr_eq(
		frame + OPTIONS_AT, "\x35\1\3\x32\4\x0a\x09\x00\x15\x36\4\x0a\x09\x00\x01\x37", 16);
}

Test(dhcp_lease, times_come_in_order)
{
	static const struct {
		uint32_t lease, renew, rebind;
		uint32_t renew_then, rebind_then;
	} times[] = {
		{3600, 1800, 3150, 1800, 3150},
		{3600, 0, 0, 1800, 3150},
		{3600, 4000, 3150, 1800, 3150},
		{3600, 1000, 3600, 1000, 3150},
		{3600, 0, 700, 400, 700},
		{2, 0, 0, 1, 2},
		{1, 0, 0, 1, 1},
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct rk_dhcp_offer terms = {.lease_s = times[i].lease,
			.renew_s = times[i].renew,
			.rebind_s = times[i].rebind};

		dhcp_lease_set_times(&terms);
		cr_assert_eq(terms.renew_s, times[i].renew_then, "%zu: %u", i, terms.renew_s);
		cr_assert_eq(terms.rebind_s, times[i].rebind_then, "%zu: %u", i, terms.rebind_s);
	}
}

Test(dhcp_lease, without_a_time_it_is_for_ever)
{
	struct rk_dhcp_offer terms = {.lease_s = 0};

	dhcp_lease_set_times(&terms);
	cr_assert_eq(terms.lease_s, UINT32_MAX);
}

// Makes the question in `frame` an answer of 10.9.0.21/24 for an hour; returns its length.
static size_t answer_with(uint8_t *frame, enum rk_dhcp_type type)
{
	const uint8_t options[] = {53, 1, (uint8_t)type, 54, 4, 10, 9, 0, 1, 1, 4, 255, 255, 255, 0,
		51, 4, 0, 0, 14, 16, 58, 4, 0, 0, 0, 60, 255};

	memcpy(frame + ETHER_ADDR_LEN, server_mac, ETHER_ADDR_LEN);
	frame[35] = 67;
	frame[37] = 68;
	frame[BOOTP_AT] = 2;
	memcpy(frame + BOOTP_AT + 16, (uint8_t[]){10, 9, 0, 21}, 4);
	memcpy(frame + OPTIONS_AT, options, sizeof(options));
	return OPTIONS_AT + sizeof(options);
}

// Offers twice; the first REQUEST is refused, the second is granted.
static void *serve(void *context)
{
	static const enum rk_dhcp_type answers[] = {DHCP_OFFER, DHCP_NAK, DHCP_OFFER, DHCP_ACK};
	int fd = *(int *)context;
	uint8_t frame[RK_DHCP_FRAME_BYTES];

	for (unsigned i = 0; i < 4; i++) {
		size_t length;

		if (frame_receive(
			    fd, FRAMING_PACKET, frame, sizeof(frame), wait_within(4000, NULL)) < 0)
			return NULL;
		length = answer_with(frame, answers[i]);
		frame_send(fd, FRAMING_PACKET, frame, length, wait_within(4000, NULL));
	}
	return NULL;
}

Test(dhcp_lease, a_refusal_starts_it_all_over)
{
	struct rk_dhcp_lease lease;
	struct rk_error e;
	pthread_t server;
	int ends[2];

	memcpy(lease.mac, mac, sizeof(mac));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	pthread_create(&server, NULL, serve, &ends[1]);
	cr_assert_eq(dhcp_lease_obtain(&lease, ends[0], 10000, NULL, &e), 0);
	pthread_join(server, NULL);
	cr_assert_eq(lease.terms.address, 0x0a090015u);
	cr_assert_eq(lease.terms.server, 0x0a090001u);
	cr_assert_eq(lease.terms.lease_s, 3600u);
	cr_assert_eq(lease.terms.renew_s, 60u);
	cr_assert_eq(lease.terms.rebind_s, 3150u);
	cr_assert_arr_eq(lease.terms.from, server_mac, 6);
	close(ends[1]);
	close(ends[0]);
}

Test(dhcp_lease, silence_ends_in_time)
{
	struct rk_dhcp_lease lease;
	struct rk_error e;
	int ends[2];

	memcpy(lease.mac, mac, sizeof(mac));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(dhcp_lease_obtain(&lease, ends[0], 1000, NULL, &e), -ETIMEDOUT);
	cr_assert(strstr(e.text, "within 1 s"), "%s", e.text);
	close(ends[1]);
	close(ends[0]);
}

static bool soon(void *context)
{
	return ++*(int *)context > 3;
}

Test(dhcp_lease, is_given_up_when_nobody_waits_for_it)
{
	struct rk_dhcp_lease lease;
	struct rk_error e;
	int64_t started_ms = clock_now_ms();
	int asked = 0;
	struct rk_cancel cancel = {soon, &asked};
	int ends[2];

	memcpy(lease.mac, mac, sizeof(mac));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(dhcp_lease_obtain(&lease, ends[0], 30000, &cancel, &e), -ECANCELED);
	cr_assert_lt(clock_now_ms() - started_ms, 15000);
	close(ends[1]);
	close(ends[0]);
}
