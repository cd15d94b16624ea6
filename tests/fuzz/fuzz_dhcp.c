// fuzz_dhcp.c: frames of a hostile DHCP server. A first byte that is odd makes the frame one for
// us. A lease has an address that a host can have, a prefix, and times in their order.

#include "drivers/dhcp.h"
#include "drivers/dhcp_lease.h"
#include "tests/fuzz/lib/fuzz.h"

#include <arpa/inet.h>
#include <string.h>

#define ID 0x01020304u

static const uint8_t mac[ETHER_ADDR_LEN] = {2, 0, 0, 0, 0, 7};

// What a server of RFC 2131 fills in, up to the options.
static size_t make_reply(struct fuzz_input *input, uint8_t frame[1514])
{
	size_t options = 0x11a; // behind the cookie
	size_t size = input->left < 1514 - options ? input->left : 1514 - options;

	memset(frame, 0, options);
	memcpy(frame + 12, "\x08\x00\x45", 3);
	frame[23] = 17;
	memcpy(frame + 34, "\0\x43\0\x44", 4);
	frame[42] = 2;
	memcpy(frame + 46, "\1\2\3\4", 4);
	fuzz_take(input, frame + 58, 4); // the address
	memcpy(frame + 70, mac, sizeof(mac));
	memcpy(frame + 278, "\x63\x82\x53\x63", 4);
	size = size > 4 ? size - 4 : 0;
	fuzz_take(input, frame + options, size);
	return options + size;
}

static void require_lease(struct rk_dhcp_offer *offer)
{
	struct rk_network_info info = {0};
	struct in_addr address;

	FUZZ_REQUIRE(offer->prefix >= 1 && offer->prefix <= 32);
	FUZZ_REQUIRE(offer->address >> 24 != 0 && offer->address >> 24 != 127);
	FUZZ_REQUIRE(offer->address >> 24 < 224);
	dhcp_lease_set_times(offer);
	FUZZ_REQUIRE(offer->renew_s > 0);
	FUZZ_REQUIRE(offer->renew_s <= offer->rebind_s || offer->renew_s == 1);
	FUZZ_REQUIRE(offer->rebind_s <= offer->lease_s);
	dhcp_fill_info(offer, &info);
	FUZZ_REQUIRE(inet_pton(AF_INET, info.ip, &address) == 1);
	FUZZ_REQUIRE(ntohl(address.s_addr) == offer->address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	struct rk_dhcp_offer offer;
	enum rk_dhcp_type type;
	uint8_t frame[1514];

	if (fuzz_take_u8(&input) & 1) {
		size = make_reply(&input, frame);
	} else {
		size = input.left < sizeof(frame) ? input.left : sizeof(frame);
		fuzz_take(&input, frame, size);
	}
	type = dhcp_parse_answer(&offer, (const uint8_t *)fuzz_guarded(frame, size), size, mac, ID);
	FUZZ_REQUIRE(
		type == DHCP_NOTHING || type == DHCP_OFFER || type == DHCP_ACK || type == DHCP_NAK);
	if (type == DHCP_OFFER || type == DHCP_ACK)
		require_lease(&offer);
	return 0;
}
