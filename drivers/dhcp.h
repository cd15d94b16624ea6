// dhcp.h: the messages of DHCP (RFC 2131, 2132) in Ethernet frames, and asking for an offer.
//
// Backends that have a network of their own are asked by DISCOVER and OFFER alone, on their socket,
// before there is an interface: what is offered is then configured as if it had been given. A real
// lease, with REQUEST and renewal, is in dhcp_lease.h.
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
	uint32_t server;
	uint32_t lease_s; // UINT32_MAX = for ever
	uint32_t renew_s; // when to ask the server (T1), and when to ask any server (T2)
	uint32_t rebind_s;
	uint8_t from[ETHER_ADDR_LEN]; // who sent the frame
};

enum rk_dhcp_type {
	DHCP_NOTHING = 0, // no message for us
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
	DHCP_RELEASE = 7,
};

// What a client says. Addresses in host byte order, 0 = left out.
struct rk_dhcp_question {
	enum rk_dhcp_type type;
	uint32_t id;
	uint32_t address; // that we have and speak from
	uint32_t wanted;  // that was offered
	uint32_t server;  // whom we have chosen
	uint32_t to;      // 0 = everybody, else to_mac is where that is
	const uint8_t *to_mac;
};

#define RK_DHCP_FRAME_BYTES 342 // Ethernet, IPv4 and UDP headers and the least that BOOTP demands

// Writes a DISCOVER of client `mac` into `frame`; its length is RK_DHCP_FRAME_BYTES.
void dhcp_put_discover(
	uint8_t frame[RK_DHCP_FRAME_BYTES], const uint8_t mac[ETHER_ADDR_LEN], uint32_t id);
// Writes that question of client `mac`; its length is RK_DHCP_FRAME_BYTES, too.
void dhcp_put_question(uint8_t frame[RK_DHCP_FRAME_BYTES], const uint8_t mac[ETHER_ADDR_LEN],
	const struct rk_dhcp_question *question);
// OFFER, ACK or NAK when the frame is one for `mac` with this id, which then is in *offer (an OFFER
// or ACK has an address that a host can have, and a prefix); DHCP_NOTHING when it is anything else,
// whole or not.
enum rk_dhcp_type dhcp_parse_answer(struct rk_dhcp_offer *offer, const uint8_t *frame,
	size_t length, const uint8_t mac[ETHER_ADDR_LEN], uint32_t id);
// 1 when the frame is an OFFER for `mac` with this id, which then is in *offer; 0 when it is
// anything else, whole or not.
int dhcp_parse_offer(struct rk_dhcp_offer *offer, const uint8_t *frame, size_t length,
	const uint8_t mac[ETHER_ADDR_LEN], uint32_t id);

// Asks each second until an OFFER comes. 0, -ETIMEDOUT after timeout_ms, -ECANCELED, or what the
// socket failed with.
int dhcp_discover(struct rk_dhcp_offer *offer, int fd, enum rk_framing framing,
	const uint8_t mac[ETHER_ADDR_LEN], int timeout_ms, const struct rk_cancel *cancel,
	struct rk_error *e);
// Waits for an OFFER, ACK or NAK, dropping all other frames. Its type, which is in *offer then,
// -ETIMEDOUT, -ECANCELED, or what the socket failed with.
int dhcp_await_answer(struct rk_dhcp_offer *offer, int fd, enum rk_framing framing,
	const uint8_t mac[ETHER_ADDR_LEN], uint32_t id, struct rk_wait wait);
// The offer as text in *info: ip, prefix, gateway, dns.
void dhcp_fill_info(const struct rk_dhcp_offer *offer, struct rk_network_info *info);
