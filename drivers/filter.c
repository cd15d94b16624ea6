// filter.c: frames that the namespace may not send to a backend.

#include "drivers/filter.h"

#include <net/ethernet.h>
#include <netinet/in.h>

#define IP_HEADER_BYTES 20
#define PROTOCOL_AT     9
#define FRAGMENT_AT     6
#define DESTINATION_AT  16
// More fragments, or not the first of them.
#define FRAGMENT_MASK 0x3fff

static uint16_t read_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read_u32(const uint8_t *at)
{
	return (uint32_t)read_u16(at) << 16 | read_u16(at + 2);
}

// `packet` has a whole IPv4 header and goes to the service's address.
static bool is_service(const struct rk_frame_filter *filter, const uint8_t *packet, size_t length)
{
	size_t header = (size_t)(packet[0] & 0xf) * 4;

	if (packet[PROTOCOL_AT] != IPPROTO_TCP)
		return false;
	if (read_u16(packet + FRAGMENT_AT) & FRAGMENT_MASK)
		return true;
	return length < header + 4 || read_u16(packet + header + 2) == filter->service_port;
}

static bool ipv4_passes(const struct rk_frame_filter *filter, const uint8_t *packet, size_t length)
{
	uint32_t destination;

	if (length < IP_HEADER_BYTES)
		return false; // no network takes it
	destination = read_u32(packet + DESTINATION_AT);
	if (filter->loopback_ip &&
		(destination == filter->loopback_ip || destination >> 24 == IN_LOOPBACKNET ||
			destination >> 24 == 0))
		return false;
	return !filter->service_ip || destination != filter->service_ip ||
	       !is_service(filter, packet, length);
}

bool frame_filter_passes(const struct rk_frame_filter *filter, const uint8_t *frame, size_t length)
{
	uint16_t type;

	if (!filter->ipv4_only)
		return true;
	if (length < ETHER_HDR_LEN)
		return false;
	type = read_u16(frame + 2 * ETHER_ADDR_LEN);
	if (type == ETHERTYPE_IP)
		return ipv4_passes(filter, frame + ETHER_HDR_LEN, length - ETHER_HDR_LEN);
	return type == ETHERTYPE_ARP;
}
