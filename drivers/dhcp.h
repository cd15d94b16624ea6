// dhcp.h: asks a backend by DHCP (RFC 2131, 2132) which addresses its network has.
//
// Only the first half of DHCP, DISCOVER and OFFER, in Ethernet frames on the backend's socket,
// before there is an interface: what is offered is then configured as if it had been given.
#pragma once

#include "base/error.h"
#include "base/msg.h"
#include "drivers/framing.h"

#include <net/ethernet.h>
#include <stdint.h>

// Addresses in host byte order; 0 = not offered.
struct rk_dhcp_offer {
	uint32_t address;
	unsigned prefix;
	uint32_t router;
	uint32_t dns[RK_DNS_MAX];
};

#define RK_DHCP_FRAME_BYTES 342 // Ethernet, IPv4 and UDP headers and the least that BOOTP demands

// Writes a DISCOVER of client `mac` into `frame`; its length is RK_DHCP_FRAME_BYTES.
void dhcp_put_discover(
	uint8_t frame[RK_DHCP_FRAME_BYTES], const uint8_t mac[ETHER_ADDR_LEN], uint32_t id);
// 1 when the frame is an OFFER for `mac` with this id, which then is in *offer; 0 when it is
// anything else, whole or not.
int dhcp_parse_offer(struct rk_dhcp_offer *offer, const uint8_t *frame, size_t length,
	const uint8_t mac[ETHER_ADDR_LEN], uint32_t id);

// Asks each second until an OFFER comes. 0, -ETIMEDOUT after timeout_ms, or what the socket
// failed with.
int dhcp_discover(struct rk_dhcp_offer *offer, int fd, enum rk_framing framing,
	const uint8_t mac[ETHER_ADDR_LEN], int timeout_ms, struct rk_error *e);
// The offer as text in *info: ip, prefix, gateway, dns.
void dhcp_fill_info(const struct rk_dhcp_offer *offer, struct rk_network_info *info);
