// fuzz_filter.c: frames of the namespace against the filter of the relay.
// Compared with a slower reading of the same rules: what it would deliver there never passes.

#include "drivers/filter.h"
#include "tests/fuzz/lib/fuzz.h"

#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <string.h>

#define SERVICE_IP   0xc0a87f01u
#define SERVICE_PORT 80
#define LOOPBACK_IP  0xc0a87ffeu

// Whether a host that follows RFC 791 would take the packet as one to that address, and where the
// upper protocol starts then.
static bool take_packet(const uint8_t *packet, size_t length, struct iphdr *ip, size_t *header)
{
	if (length < sizeof(*ip))
		return false;
	memcpy(ip, packet, sizeof(*ip));
	*header = ip->ihl * 4u;
	return ip->version == 4 && *header >= sizeof(*ip) && *header <= length;
}

static bool is_forbidden(const uint8_t *packet, size_t length)
{
	struct iphdr ip;
	size_t header;
	uint32_t to;

	if (!take_packet(packet, length, &ip, &header))
		return false;
	to = ntohl(ip.daddr);
	if (to == LOOPBACK_IP || to >> 24 == 127 || to >> 24 == 0)
		return true;
	if (to != SERVICE_IP || ip.protocol != IPPROTO_TCP)
		return false;
	if (ntohs(ip.frag_off) & (IP_MF | IP_OFFMASK))
		return true;
	return length >= header + 4 &&
	       (packet[header + 2] << 8 | packet[header + 3]) == SERVICE_PORT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rk_frame_filter filter = {.ipv4_only = true,
		.service_ip = SERVICE_IP,
		.service_port = SERVICE_PORT,
		.loopback_ip = LOOPBACK_IP};
	const uint8_t *frame;

	if (size > FUZZ_GUARDED_MAX)
		return 0;
	frame = (const uint8_t *)fuzz_guarded(data, size);
	if (!frame_filter_passes(&filter, frame, size))
		return 0;
	FUZZ_REQUIRE(size >= 14 && frame[12] == 8 && (frame[13] == 0 || frame[13] == 6));
	if (frame[13] == 0)
		FUZZ_REQUIRE(!is_forbidden(frame + 14, size - 14));
	return 0;
}
