// dhcp.c: the messages of DHCP in Ethernet frames, and asking for an offer.

#include "drivers/dhcp.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define RESEND_MS   1000
#define CLIENT_PORT 68
#define SERVER_PORT 67

// Places in the frame and in the BOOTP message, in bytes.
#define IP_AT            14
#define IP_BYTES         20
#define UDP_AT           (IP_AT + IP_BYTES)
#define UDP_BYTES        8
#define BOOTP_AT         (UDP_AT + UDP_BYTES)
#define BOOTP_BYTES      (RK_DHCP_FRAME_BYTES - BOOTP_AT)
#define BOOTP_ID_AT      4
#define BOOTP_CLIENT_AT  12
#define BOOTP_ADDRESS_AT 16
#define BOOTP_MAC_AT     28
#define BOOTP_COOKIE_AT  236
#define BOOTP_OPTIONS_AT 240

#define BOOTP_REPLY 2
static const uint8_t cookie[] = {0x63, 0x82, 0x53, 0x63};

enum {
	OPTION_PAD = 0,
	OPTION_MASK = 1,
	OPTION_ROUTER = 3,
	OPTION_DNS = 6,
	OPTION_ADDRESS = 50,
	OPTION_LEASE = 51,
	OPTION_TYPE = 53,
	OPTION_SERVER = 54,
	OPTION_WANTED = 55,
	OPTION_RENEW = 58,
	OPTION_REBIND = 59,
	OPTION_END = 255
};

static uint16_t read_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read_u32(const uint8_t *at)
{
	return (uint32_t)read_u16(at) << 16 | read_u16(at + 2);
}

static void put_u16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_u32(uint8_t *at, uint32_t value)
{
	put_u16(at, value >> 16);
	put_u16(at + 2, value & 0xffff);
}

// RFC 1071.
static uint16_t header_checksum(const uint8_t *header, size_t length)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i += 2)
		sum += read_u16(header + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put_headers(uint8_t *frame, const uint8_t *mac, const struct rk_dhcp_question *question)
{
	uint8_t *ip = frame + IP_AT;
	uint8_t *udp = frame + UDP_AT;

	memset(frame, 0xff, ETHER_ADDR_LEN);
	if (question->to)
		memcpy(frame, question->to_mac, ETHER_ADDR_LEN);
	memcpy(frame + ETHER_ADDR_LEN, mac, ETHER_ADDR_LEN);
	put_u16(frame + 2 * ETHER_ADDR_LEN, ETHERTYPE_IP);
	ip[0] = 0x45; // version 4, header of 5 words
	put_u16(ip + 2, RK_DHCP_FRAME_BYTES - IP_AT);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	put_u32(ip + 12, question->address);
	put_u32(ip + 16, question->to ? question->to : INADDR_BROADCAST);
	put_u16(ip + 10, header_checksum(ip, IP_BYTES));
	put_u16(udp, CLIENT_PORT);
	put_u16(udp + 2, SERVER_PORT);
	put_u16(udp + 4, RK_DHCP_FRAME_BYTES - UDP_AT); // no checksum: 0, as IPv4 permits
}

// Returns where the next option goes; 0 is left out.
static uint8_t *put_address_option(uint8_t *at, unsigned code, uint32_t address)
{
	if (address == 0)
		return at;
	at[0] = (uint8_t)code;
	at[1] = sizeof(address);
	put_u32(at + 2, address);
	return at + 2 + sizeof(address);
}

static void put_options(uint8_t *at, const struct rk_dhcp_question *question)
{
	static const uint8_t wanted[] = {OPTION_WANTED, 6, OPTION_MASK, OPTION_ROUTER, OPTION_DNS,
		OPTION_LEASE, OPTION_RENEW, OPTION_REBIND};

	at[0] = OPTION_TYPE;
	at[1] = 1;
	at[2] = (uint8_t)question->type;
	at = put_address_option(at + 3, OPTION_ADDRESS, question->wanted);
	at = put_address_option(at, OPTION_SERVER, question->server);
	if (question->type != DHCP_RELEASE) {
		memcpy(at, wanted, sizeof(wanted));
		at += sizeof(wanted);
	}
	*at = OPTION_END;
}

void dhcp_put_question(uint8_t frame[RK_DHCP_FRAME_BYTES], const uint8_t mac[ETHER_ADDR_LEN],
	const struct rk_dhcp_question *question)
{
	uint8_t *bootp = frame + BOOTP_AT;

	memset(frame, 0, RK_DHCP_FRAME_BYTES);
	put_headers(frame, mac, question);
	bootp[0] = 1; // request
	bootp[1] = 1; // Ethernet
	bootp[2] = ETHER_ADDR_LEN;
	put_u32(bootp + BOOTP_ID_AT, question->id);
	if (question->address == 0)
		put_u16(bootp + 10, 0x8000); // answer to broadcast: we have no address yet
	put_u32(bootp + BOOTP_CLIENT_AT, question->address);
	memcpy(bootp + BOOTP_MAC_AT, mac, ETHER_ADDR_LEN);
	memcpy(bootp + BOOTP_COOKIE_AT, cookie, sizeof(cookie));
	put_options(bootp + BOOTP_OPTIONS_AT, question);
}

void dhcp_put_discover(
	uint8_t frame[RK_DHCP_FRAME_BYTES], const uint8_t mac[ETHER_ADDR_LEN], uint32_t id)
{
	struct rk_dhcp_question question = {.type = DHCP_DISCOVER, .id = id};

	dhcp_put_question(frame, mac, &question);
}

// The BOOTP message in the frame and its length, or NULL.
static const uint8_t *find_bootp(const uint8_t *frame, size_t length, size_t *bootp_length)
{
	const uint8_t *ip = frame + IP_AT;
	size_t header;

	if (length < UDP_AT || read_u16(frame + 2 * ETHER_ADDR_LEN) != ETHERTYPE_IP ||
		ip[0] >> 4 != 4 || ip[9] != IPPROTO_UDP)
		return NULL;
	header = (size_t)(ip[0] & 0xf) * 4;
	if (header < IP_BYTES || length < IP_AT + header + UDP_BYTES + BOOTP_OPTIONS_AT)
		return NULL;
	if (read_u16(ip + header) != SERVER_PORT || read_u16(ip + header + 2) != CLIENT_PORT)
		return NULL;
	*bootp_length = length - IP_AT - header - UDP_BYTES;
	return ip + header + UDP_BYTES;
}

// The options that are one number of 32 bits; NULL: another one.
static uint32_t *number_option(struct rk_dhcp_offer *offer, unsigned code)
{
	switch (code) {
	case OPTION_SERVER:
		return &offer->server;
	case OPTION_LEASE:
		return &offer->lease_s;
	case OPTION_RENEW:
		return &offer->renew_s;
	case OPTION_REBIND:
		return &offer->rebind_s;
	default:
		return NULL;
	}
}

// 0 when ones and zeros are mixed: that is no mask of a network.
static unsigned mask_prefix(uint32_t mask)
{
	return (~mask & (~mask + 1)) == 0 ? (unsigned)__builtin_popcount(mask) : 0;
}

// Not "this network", loopback, multicast, reserved or broadcast (RFC 6890).
static bool is_host_address(uint32_t address)
{
	uint32_t first = address >> 24;

	return first != 0 && first != IN_LOOPBACKNET && first < 224;
}

static void take_option(struct rk_dhcp_offer *offer, unsigned *type, unsigned code,
	const uint8_t *value, size_t length)
{
	uint32_t *number = number_option(offer, code);

	if (number && length == 4)
		*number = read_u32(value);
	else if (code == OPTION_TYPE)
		*type = length == 1 ? value[0] : DHCP_NOTHING;
	else if (code == OPTION_MASK && length == 4)
		offer->prefix = mask_prefix(read_u32(value));
	else if (code == OPTION_ROUTER && length >= 4)
		offer->router = read_u32(value);
	else if (code == OPTION_DNS)
		for (size_t i = 0; i < RK_DNS_MAX && (i + 1) * 4 <= length; i++)
			offer->dns[i] = read_u32(value + i * 4);
}

// The message type, 0 when the options are cut short or name none.
static unsigned parse_options(struct rk_dhcp_offer *offer, const uint8_t *at, const uint8_t *end)
{
	unsigned type = 0;

	while (at < end && *at != OPTION_END) {
		if (*at == OPTION_PAD) {
			at++;
			continue;
		}
		if (end - at < 2 || end - at - 2 < at[1])
			return 0;
		take_option(offer, &type, at[0], at + 2, at[1]);
		at += 2 + at[1];
	}
	return type;
}

enum rk_dhcp_type dhcp_parse_answer(struct rk_dhcp_offer *offer, const uint8_t *frame,
	size_t length, const uint8_t mac[ETHER_ADDR_LEN], uint32_t id)
{
	size_t bootp_length;
	const uint8_t *bootp = find_bootp(frame, length, &bootp_length);
	unsigned type;

	if (!bootp || bootp[0] != BOOTP_REPLY || read_u32(bootp + BOOTP_ID_AT) != id ||
		memcmp(bootp + BOOTP_MAC_AT, mac, ETHER_ADDR_LEN) != 0 ||
		memcmp(bootp + BOOTP_COOKIE_AT, cookie, sizeof(cookie)) != 0)
		return DHCP_NOTHING;
	*offer = (struct rk_dhcp_offer){.address = read_u32(bootp + BOOTP_ADDRESS_AT)};
	memcpy(offer->from, frame + ETHER_ADDR_LEN, ETHER_ADDR_LEN);
	type = parse_options(offer, bootp + BOOTP_OPTIONS_AT, bootp + bootp_length);
	if (type == DHCP_NAK)
		return DHCP_NAK;
	if ((type != DHCP_OFFER && type != DHCP_ACK) || !is_host_address(offer->address) ||
		offer->prefix == 0)
		return DHCP_NOTHING;
	return (enum rk_dhcp_type)type;
}

int dhcp_parse_offer(struct rk_dhcp_offer *offer, const uint8_t *frame, size_t length,
	const uint8_t mac[ETHER_ADDR_LEN], uint32_t id)
{
	return dhcp_parse_answer(offer, frame, length, mac, id) == DHCP_OFFER;
}

int dhcp_await_answer(struct rk_dhcp_offer *offer, int fd, enum rk_framing framing,
	const uint8_t mac[ETHER_ADDR_LEN], uint32_t id, struct rk_wait wait)
{
	static uint8_t frame[RK_FRAME_MAX];
	enum rk_dhcp_type type = DHCP_NOTHING;
	ssize_t got;

	do {
		got = frame_receive(fd, framing, frame, sizeof(frame), wait);
		if (got >= 0)
			type = dhcp_parse_answer(offer, frame, (size_t)got, mac, id);
	} while (got >= 0 && type == DHCP_NOTHING);
	return got < 0 ? (int)got : (int)type;
}

// 0 once an OFFER is in, or -errno.
static int await_offer(struct rk_dhcp_offer *offer, int fd, enum rk_framing framing,
	const uint8_t *mac, uint32_t id, struct rk_wait wait)
{
	int rc;

	do {
		rc = dhcp_await_answer(offer, fd, framing, mac, id, wait);
	} while (rc >= 0 && rc != DHCP_OFFER);
	return rc < 0 ? rc : 0;
}

int dhcp_discover(struct rk_dhcp_offer *offer, int fd, enum rk_framing framing,
	const uint8_t mac[ETHER_ADDR_LEN], int timeout_ms, const struct rk_cancel *cancel,
	struct rk_error *e)
{
	struct rk_wait wait = wait_within(timeout_ms, cancel);
	uint8_t frame[RK_DHCP_FRAME_BYTES];
	uint32_t id = (uint32_t)clock_now_ms();
	struct rk_wait turn;
	int rc;

	dhcp_put_discover(frame, mac, id);
	do {
		turn = wait_at_most(wait, RESEND_MS);
		rc = frame_send(fd, framing, frame, sizeof(frame), turn);
		if (rc == 0)
			rc = await_offer(offer, fd, framing, mac, id, turn);
	} while (rc == -ETIMEDOUT && turn.deadline_ms < wait.deadline_ms);
	if (rc == -ECANCELED)
		return error_set(e, ECANCELED, "ask for an address by DHCP: given up");
	if (rc == -ETIMEDOUT)
		return error_set(
			e, ETIMEDOUT, "no address was offered by DHCP within %d ms", timeout_ms);
	return rc < 0 ? error_errno(e, -rc, "ask for an address by DHCP") : 0;
}

static void put_address(char text[INET_ADDRSTRLEN], uint32_t address)
{
	struct in_addr in = {htonl(address)};

	if (address)
		inet_ntop(AF_INET, &in, text, INET_ADDRSTRLEN);
}

void dhcp_fill_info(const struct rk_dhcp_offer *offer, struct rk_network_info *info)
{
	put_address(info->ip, offer->address);
	put_address(info->gateway, offer->router);
	info->prefix = offer->prefix;
	for (unsigned i = 0; i < RK_DNS_MAX; i++)
		put_address(info->dns[i], offer->dns[i]);
}
