// vpnkit_handshake.h: the start of VPNKit's Ethernet protocol, version 22.
//
// All numbers are little-endian; facts from VPNKit's own sources (moby/vpnkit).
//   both ways         49 bytes: "VMN3T", u32 version, 40 characters of a commit hash
//   client to server  41 bytes: u8 command, 36 characters of a UUID (zeros: make one up), 4 bytes
//   server to client  258 bytes: u8 type, then
//                     type 1, the link: u16 MTU, u16 largest frame, 6 bytes hardware address
//                     type 2, refused: u8 length, a message
// After that both sides send frames (FRAMING_U16_LE).
#pragma once

#include "base/error.h"
#include "base/wait.h"

#include <net/ethernet.h>
#include <stdint.h>

#define RK_VPNKIT_INIT_BYTES    49
#define RK_VPNKIT_COMMAND_BYTES 41
#define RK_VPNKIT_ANSWER_BYTES  258

struct rk_vpnkit_link {
	uint8_t mac[ETHER_ADDR_LEN]; // that the client must use
	uint16_t mtu;
};

void vpnkit_put_init(uint8_t init[RK_VPNKIT_INIT_BYTES]);
void vpnkit_put_command(uint8_t command[RK_VPNKIT_COMMAND_BYTES]);
// 0, or -EPROTO, or for a version that is not ours -EPROTONOSUPPORT.
int vpnkit_parse_init(const uint8_t init[RK_VPNKIT_INIT_BYTES], struct rk_error *e);
// 0 with *link, -ECONNREFUSED with the server's message, or -EPROTO.
int vpnkit_parse_answer(struct rk_vpnkit_link *link, const uint8_t answer[RK_VPNKIT_ANSWER_BYTES],
	struct rk_error *e);

// All of it on a connected socket. 0, -ETIMEDOUT after timeout_ms, -ECANCELED, -ECONNRESET (the
// server has hung up) or another -code.
int vpnkit_handshake(struct rk_vpnkit_link *link, int fd, int timeout_ms,
	const struct rk_cancel *cancel, struct rk_error *e);
