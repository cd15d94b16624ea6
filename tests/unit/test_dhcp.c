// test_dhcp.c: DISCOVER as it goes out, OFFER as it comes in, whole, cut and wrong.

#include "base/clock.h"
#include "drivers/dhcp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BOOTP_AT   42
#define OPTIONS_AT (BOOTP_AT + 240)
#define ID         0x01020304u

static const uint8_t mac[ETHER_ADDR_LEN] = {0x02, 1, 2, 3, 4, 5};

// An OFFER of 10.9.0.15/22 with the options of a usual server; its length.
static size_t make_offer(uint8_t *frame, uint32_t id)
{
	static const uint8_t options[] = {53, 1, 2, 0, 0, 1, 4, 255, 255, 252, 0, 3, 4, 10, 9, 0, 1,
		6, 8, 10, 9, 0, 1, 8, 8, 8, 8, 51, 4, 0, 0, 14, 16, 255};

	dhcp_put_discover(frame, mac, id);
	frame[34] = 0; // ports 67 -> 68
	frame[35] = 67;
	frame[37] = 68;
	frame[BOOTP_AT] = 2;
	memcpy(frame + BOOTP_AT + 16, (uint8_t[]){10, 9, 0, 15}, 4);
	memset(frame + OPTIONS_AT, 0, RK_DHCP_FRAME_BYTES - OPTIONS_AT);
	memcpy(frame + OPTIONS_AT, options, sizeof(options));
	return OPTIONS_AT + sizeof(options);
}

// The sum of an IPv4 header with its checksum is all ones.
static unsigned header_sum(const uint8_t *header)
{
	unsigned sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (unsigned)header[i] << 8 | header[i + 1];
	return (sum & 0xffff) + (sum >> 16);
}

Test(dhcp, asks_by_broadcast_with_its_own_address)
{
	uint8_t frame[RK_DHCP_FRAME_BYTES];

	dhcp_put_discover(frame, mac, ID);
	cr_assert_arr_eq(frame, "\xff\xff\xff\xff\xff\xff", 6);
	cr_assert_arr_eq(frame + 6, mac, 6);
	cr_assert_eq(header_sum(frame + 14), 0xffff);
	cr_assert_arr_eq(frame + 34, "\0\x44\0\x43", 4);
	cr_assert_arr_eq(frame + BOOTP_AT + 4, "\1\2\3\4", 4);
	cr_assert_arr_eq(frame + BOOTP_AT + 28, mac, 6);
	cr_assert_arr_eq(frame + OPTIONS_AT, "\x35\1\1", 3);
}

Test(dhcp, takes_what_an_offer_says)
{
	struct rk_network_info info = {.driver = ""};
	struct rk_dhcp_offer offer;
	uint8_t frame[RK_DHCP_FRAME_BYTES];
	size_t length = make_offer(frame, ID);

	cr_assert_eq(dhcp_parse_offer(&offer, frame, length, mac, ID), 1);
	dhcp_fill_info(&offer, &info);
	cr_assert_str_eq(info.ip, "10.9.0.15");
	cr_assert_eq(info.prefix, 22);
	cr_assert_str_eq(info.gateway, "10.9.0.1");
	cr_assert_str_eq(info.dns[0], "10.9.0.1");
	cr_assert_str_eq(info.dns[1], "8.8.8.8");
	cr_assert_str_eq(info.dns[2], "");
}

// Each change makes it something else than our offer.
Test(dhcp, drops_everything_else)
{
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {{12, 0x86}, {14, 0x65}, {14, 0x44}, {14, 0x4f}, {23, 6}, {35, 68}, {37, 67},
		{BOOTP_AT, 1}, {BOOTP_AT + 7, 5}, {BOOTP_AT + 30, 9}, {BOOTP_AT + 236, 0},
		{OPTIONS_AT + 2, 5}, {OPTIONS_AT + 1, 200}};
	struct rk_dhcp_offer offer;
	uint8_t frame[RK_DHCP_FRAME_BYTES];
	size_t length;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		length = make_offer(frame, ID);
		frame[wrong[i].at] = wrong[i].value;
		cr_assert_eq(
			dhcp_parse_offer(&offer, frame, length, mac, ID), 0, "at %zu", wrong[i].at);
	}
}

// Of memory of exactly that size: a byte read beyond shows up under the address sanitizer.
Test(dhcp, never_reads_beyond_a_cut_frame)
{
	struct rk_dhcp_offer offer;
	uint8_t frame[RK_DHCP_FRAME_BYTES];
	size_t length = make_offer(frame, ID);
	size_t without_end = length - 1; // the end mark may be missing

	for (size_t cut = 0; cut < without_end; cut++) {
		uint8_t *copy = malloc(cut + 1);
		int rc;

		memcpy(copy, frame, cut);
		rc = dhcp_parse_offer(&offer, copy, cut, mac, ID);
		// Cut between two options it is a shorter offer, and a good one once the mask is
		// in.
		cr_assert(rc == 0 || cut >= OPTIONS_AT + 11, "%zu", cut);
		free(copy);
	}
}

Test(dhcp, survives_any_options)
{
	struct rk_dhcp_offer offer;
	uint8_t frame[RK_DHCP_FRAME_BYTES];

	srandom(1);
	for (int round = 0; round < 100000; round++) {
		make_offer(frame, ID);
		for (size_t at = OPTIONS_AT; at < sizeof(frame); at++)
			frame[at] = (uint8_t)random();
		dhcp_parse_offer(&offer, frame, sizeof(frame), mac, ID);
	}
}

// Says something else first, then the offer with the id it was asked with.
static void *answer(void *context)
{
	int fd = *(int *)context;
	uint8_t frame[RK_DHCP_FRAME_BYTES];
	uint32_t id = 0;

	frame_receive(fd, FRAMING_U16_LE, frame, sizeof(frame), wait_within(20000, NULL));
	for (int i = 0; i < 4; i++)
		id = id << 8 | frame[BOOTP_AT + 4 + i];
	frame_send(fd, FRAMING_U16_LE, mac, sizeof(mac), wait_within(20000, NULL));
	make_offer(frame, id);
	frame_send(fd, FRAMING_U16_LE, frame, sizeof(frame), wait_within(20000, NULL));
	return NULL;
}

Test(dhcp, waits_for_the_offer_on_a_socket)
{
	struct rk_dhcp_offer offer;
	struct rk_error e;
	pthread_t server;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	pthread_create(&server, NULL, answer, &ends[1]);
	cr_assert_eq(dhcp_discover(&offer, ends[0], FRAMING_U16_LE, mac, 20000, NULL, &e), 0);
	cr_assert_eq(offer.address, 0x0a09000fu);
	pthread_join(server, NULL);
	cr_assert_eq(dhcp_discover(&offer, ends[0], FRAMING_U16_LE, mac, 50, NULL, &e), -ETIMEDOUT);
	close(ends[1]);
	cr_assert_lt(dhcp_discover(&offer, ends[0], FRAMING_U16_LE, mac, 50, NULL, &e), 0);
	close(ends[0]);
}

// A lease of an address with a mask, as its bytes.
static int parse_lease(const uint8_t address[4], const uint8_t mask[4])
{
	uint8_t frame[RK_DHCP_FRAME_BYTES];
	size_t length = make_offer(frame, ID);
	struct rk_dhcp_offer offer;

	memcpy(frame + BOOTP_AT + 16, address, 4);
	memcpy(frame + OPTIONS_AT + 7, mask, 4);
	return dhcp_parse_offer(&offer, frame, length, mac, ID) ? (int)offer.prefix : -1;
}

#define BYTES(...) ((const uint8_t[4]){__VA_ARGS__})

Test(dhcp, takes_no_address_that_a_host_cannot_have)
{
	const uint8_t *mask = BYTES(255, 255, 252, 0);

	cr_expect_eq(parse_lease(BYTES(10, 9, 0, 15), mask), 22);
	cr_expect_eq(parse_lease(BYTES(0, 0, 0, 1), mask), -1);
	cr_expect_eq(parse_lease(BYTES(127, 0, 0, 1), mask), -1);
	cr_expect_eq(parse_lease(BYTES(224, 0, 0, 1), mask), -1);
	cr_expect_eq(parse_lease(BYTES(255, 255, 255, 255), mask), -1);
	cr_expect_eq(parse_lease(BYTES(223, 255, 255, 254), mask), 22);
}

Test(dhcp, takes_no_mask_with_holes)
{
	const uint8_t *address = BYTES(10, 9, 0, 15);

	cr_expect_eq(parse_lease(address, BYTES(255, 0, 255, 0)), -1);
	cr_expect_eq(parse_lease(address, BYTES(0, 0, 0, 255)), -1);
	cr_expect_eq(parse_lease(address, BYTES(0, 0, 0, 0)), -1);
	cr_expect_eq(parse_lease(address, BYTES(128, 0, 0, 0)), 1);
	cr_expect_eq(parse_lease(address, BYTES(255, 255, 255, 255)), 32);
}
