// test_filter.c: which frames the relay keeps from a backend.

#include "drivers/filter.h"

#include <criterion/criterion.h>
#include <string.h>

#define FRAME_BYTES 60
#define GATEWAY     0xc0a87f01u // 192.168.127.1
#define LOOPBACK    0xc0a87ffeu // 192.168.127.254
#define TCP         6
#define UDP         17

static const struct rk_frame_filter gateway = {
	.ipv4_only = true, .service_ip = GATEWAY, .service_port = 80};
static const struct rk_frame_filter closed = {
	.ipv4_only = true, .service_ip = GATEWAY, .service_port = 80, .loopback_ip = LOOPBACK};

// A frame with an IPv4 header of `words` words, ports behind it.
static uint8_t *make_frame(unsigned words, uint32_t to, uint8_t protocol, uint16_t port)
{
	static uint8_t frame[FRAME_BYTES];
	uint8_t *ip = frame + 14;

	memset(frame, 0, sizeof(frame));
	frame[12] = 0x08;
	ip[0] = (uint8_t)(0x40 | words);
	ip[9] = protocol;
	for (int i = 0; i < 4; i++)
		ip[16 + i] = (uint8_t)(to >> (24 - 8 * i));
	ip[words * 4 + 2] = (uint8_t)(port >> 8);
	ip[words * 4 + 3] = (uint8_t)port;
	return frame;
}

static bool passes(
	const struct rk_frame_filter *filter, uint32_t to, uint8_t protocol, uint16_t port)
{
	return frame_filter_passes(filter, make_frame(5, to, protocol, port), FRAME_BYTES);
}

Test(filter, without_rules_lets_everything_through)
{
	static const struct rk_frame_filter open;

	cr_assert(passes(&open, GATEWAY, TCP, 80));
	cr_assert(passes(&open, 0x7f000001, TCP, 80));
	cr_assert(frame_filter_passes(&open, (const uint8_t *)"", 0));
}

Test(filter, ends_what_goes_to_the_service)
{
	cr_assert_not(passes(&gateway, GATEWAY, TCP, 80));
	cr_assert(passes(&gateway, GATEWAY, TCP, 53));
	cr_assert(passes(&gateway, GATEWAY, UDP, 80));
	cr_assert(passes(&gateway, GATEWAY + 1, TCP, 80));
	// The port stands behind the options of the header, not at a fixed place.
	cr_assert_not(frame_filter_passes(&gateway, make_frame(8, GATEWAY, TCP, 80), FRAME_BYTES));
	cr_assert(frame_filter_passes(&gateway, make_frame(8, GATEWAY, TCP, 81), FRAME_BYTES));
}

Test(filter, ends_fragments_to_the_service)
{
	uint8_t *frame = make_frame(5, GATEWAY, TCP, 443);

	frame[14 + 6] = 0x40; // must not be fragmented
	cr_assert(frame_filter_passes(&gateway, frame, FRAME_BYTES));
	frame[14 + 6] = 0x20; // more follow
	cr_assert_not(frame_filter_passes(&gateway, frame, FRAME_BYTES));
	frame[14 + 6] = 0;
	frame[14 + 7] = 1; // not the first
	cr_assert_not(frame_filter_passes(&gateway, frame, FRAME_BYTES));
}

Test(filter, ends_what_goes_to_a_loopback)
{
	cr_assert_not(passes(&closed, LOOPBACK, TCP, 5432));
	cr_assert_not(passes(&closed, LOOPBACK, UDP, 53));
	cr_assert_not(passes(&closed, 0x7f000001, TCP, 22));
	cr_assert_not(passes(&closed, 0, TCP, 22));
	cr_assert(passes(&closed, 0x08080808, TCP, 80));
	cr_assert(passes(&gateway, LOOPBACK, TCP, 5432));
}

Test(filter, knows_arp_and_whole_ipv4_only)
{
	uint8_t *frame = make_frame(5, GATEWAY, TCP, 53);

	for (size_t length = 0; length < 14 + 20; length++)
		cr_assert_not(frame_filter_passes(&gateway, frame, length), "%zu", length);
	// Cut before the ports: nobody knows where it goes.
	cr_assert_not(frame_filter_passes(&gateway, frame, 14 + 20));
	frame[13] = 0x06;
	cr_assert(frame_filter_passes(&gateway, frame, FRAME_BYTES));
	frame[12] = 0x86;
	frame[13] = 0xdd; // IPv6
	cr_assert_not(frame_filter_passes(&gateway, frame, FRAME_BYTES));
	frame[12] = 0x81;
	frame[13] = 0x00; // VLAN
	cr_assert_not(frame_filter_passes(&gateway, frame, FRAME_BYTES));
}
