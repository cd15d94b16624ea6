// vpnkit_handshake.c: the start of VPNKit's Ethernet protocol, version 22.

#include "drivers/vpnkit_handshake.h"
#include "drivers/framing.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define MAGIC_BYTES  5
#define VERSION      22
#define VERSION_AT   MAGIC_BYTES
#define HASH_AT      (VERSION_AT + 4)
#define COMMAND_LINK 1

enum { ANSWER_LINK = 1, ANSWER_REFUSED = 2 };

static const uint8_t magic[MAGIC_BYTES] = {'V', 'M', 'N', '3', 'T'};

static uint32_t read_u32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

void vpnkit_put_init(uint8_t init[RK_VPNKIT_INIT_BYTES])
{
	memcpy(init, magic, MAGIC_BYTES);
	memcpy(init + VERSION_AT, (uint8_t[]){VERSION, 0, 0, 0}, 4);
	memset(init + HASH_AT, '0', RK_VPNKIT_INIT_BYTES - HASH_AT); // we are of no commit of it
}

void vpnkit_put_command(uint8_t command[RK_VPNKIT_COMMAND_BYTES])
{
	memset(command, 0, RK_VPNKIT_COMMAND_BYTES);
	command[0] = COMMAND_LINK;
}

int vpnkit_parse_init(const uint8_t init[RK_VPNKIT_INIT_BYTES], struct rk_error *e)
{
	uint32_t version = read_u32(init + VERSION_AT);

	if (memcmp(init, magic, MAGIC_BYTES) != 0)
		return error_set(e, EPROTO, "handshake: the answer is not VPNKit's");
	if (version != VERSION)
		return error_set(e, EPROTONOSUPPORT, "handshake: protocol version %u, not %u",
			version, VERSION);
	return 0;
}

_Static_assert(RK_VPNKIT_ANSWER_BYTES >= 2 + UINT8_MAX, "any length of a message fits");

static int describe_refusal(const uint8_t *answer, struct rk_error *e)
{
	char message[RK_VPNKIT_ANSWER_BYTES];
	size_t length = answer[1]; // at most 255, and as much follows

	for (size_t i = 0; i < length; i++)
		message[i] = isprint(answer[2 + i]) ? (char)answer[2 + i] : '?';
	message[length] = '\0';
	return error_set(e, ECONNREFUSED, "handshake: refused: %s", message);
}

int vpnkit_parse_answer(struct rk_vpnkit_link *link, const uint8_t answer[RK_VPNKIT_ANSWER_BYTES],
	struct rk_error *e)
{
	if (answer[0] == ANSWER_REFUSED)
		return describe_refusal(answer, e);
	if (answer[0] != ANSWER_LINK)
		return error_set(e, EPROTO, "handshake: an answer of unknown type %u", answer[0]);
	link->mtu = (uint16_t)(answer[1] | answer[2] << 8);
	memcpy(link->mac, answer + 5, ETHER_ADDR_LEN);
	// A group address (its lowest bit is set) is no interface's own; neither are zeros.
	if (link->mac[0] & 1 ||
		memcmp(link->mac, (uint8_t[ETHER_ADDR_LEN]){0}, ETHER_ADDR_LEN) == 0)
		return error_set(e, EPROTO, "handshake: no usable hardware address came");
	return 0;
}

int vpnkit_handshake(struct rk_vpnkit_link *link, int fd, int timeout_ms,
	const struct rk_cancel *cancel, struct rk_error *e)
{
	struct rk_wait wait = wait_within(timeout_ms, cancel);
	uint8_t init[RK_VPNKIT_INIT_BYTES];
	uint8_t command[RK_VPNKIT_COMMAND_BYTES];
	uint8_t answer[RK_VPNKIT_ANSWER_BYTES];
	int rc;

	vpnkit_put_init(init);
	vpnkit_put_command(command);
	rc = stream_send(fd, init, sizeof(init), wait);
	if (rc == 0)
		rc = stream_receive(fd, init, sizeof(init), wait);
	if (rc < 0)
		return error_errno(e, -rc, "handshake");
	rc = vpnkit_parse_init(init, e);
	if (rc < 0)
		return rc;
	rc = stream_send(fd, command, sizeof(command), wait);
	if (rc == 0)
		rc = stream_receive(fd, answer, sizeof(answer), wait);
	if (rc < 0)
		return error_errno(e, -rc, "handshake");
	return vpnkit_parse_answer(link, answer, e);
}
