// fuzz_proxy_header.c: headers of the PROXY protocol for any two addresses, versions 1 and 2.
// A reader that knows only the specification finds the addresses that were written.

#include "engine/proxy_header.h"
#include "tests/fuzz/lib/fuzz.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

struct ends {
	int family;
	uint8_t ip[2][16];
	unsigned port[2];
};

static void read_v1(const char *header, size_t length, struct ends *ends)
{
	char text[PROXY_HEADER_MAX + 1], ip[2][INET6_ADDRSTRLEN];
	char family, cr, lf;

	FUZZ_REQUIRE(length <= 107);
	memcpy(text, header, length);
	text[length] = '\0';
	FUZZ_REQUIRE(sscanf(text, "PROXY TCP%c %45s %45s %u %u%c%c", &family, ip[0], ip[1],
			     &ends->port[0], &ends->port[1], &cr, &lf) == 7);
	FUZZ_REQUIRE(cr == '\r' && lf == '\n' && text + length - 1 == strchr(text, '\n'));
	FUZZ_REQUIRE(family == '4' || family == '6');
	ends->family = family == '6' ? AF_INET6 : AF_INET;
	for (int i = 0; i < 2; i++)
		FUZZ_REQUIRE(inet_pton(ends->family, ip[i], ends->ip[i]) == 1);
}

static void read_v2(const uint8_t *header, size_t length, struct ends *ends)
{
	size_t ip_size = header[13] == 0x21 ? 16 : 4;

	FUZZ_REQUIRE(memcmp(header, "\r\n\r\n\0\r\nQUIT\n\x21", 13) == 0);
	FUZZ_REQUIRE(header[13] == 0x11 || header[13] == 0x21);
	FUZZ_REQUIRE(length == 16 + 2 * ip_size + 4);
	FUZZ_REQUIRE((size_t)(header[14] << 8 | header[15]) == length - 16);
	ends->family = ip_size == 16 ? AF_INET6 : AF_INET;
	for (size_t i = 0; i < 2; i++) {
		const uint8_t *port = header + 16 + 2 * ip_size + 2 * i;

		memcpy(ends->ip[i], header + 16 + i * ip_size, ip_size);
		ends->port[i] = (unsigned)port[0] << 8 | port[1];
	}
}

static void take_addr(struct fuzz_input *input, int family, struct rk_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	addr->sa.sa_family = (sa_family_t)family;
	if (family == AF_INET6) {
		fuzz_take(input, &addr->in6.sin6_addr, sizeof(addr->in6.sin6_addr));
		addr->in6.sin6_scope_id = fuzz_take_u32(input);
	} else {
		fuzz_take(input, &addr->in4.sin_addr, sizeof(addr->in4.sin_addr));
	}
	addr_set_port(addr, (uint16_t)fuzz_take_u32(input));
}

static void require_end(const struct ends *ends, int which, const struct rk_addr *addr)
{
	const void *ip = addr->sa.sa_family == AF_INET6 ? (const void *)&addr->in6.sin6_addr
							: &addr->in4.sin_addr;

	FUZZ_REQUIRE(ends->family == addr->sa.sa_family);
	FUZZ_REQUIRE(memcmp(ends->ip[which], ip, ends->family == AF_INET6 ? 16 : 4) == 0);
	FUZZ_REQUIRE(ends->port[which] == addr_port(addr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	int family = fuzz_take_u8(&input) & 1 ? AF_INET6 : AF_INET;
	unsigned char header[PROXY_HEADER_MAX];
	struct rk_addr client, server;
	struct ends ends;
	size_t length;

	take_addr(&input, family, &client);
	take_addr(&input, family, &server);
	for (int v = PROXY_PROTOCOL_V1; v <= PROXY_PROTOCOL_V2; v++) {
		memset(&ends, 0, sizeof(ends));
		length = proxy_header_write(header, (enum rk_proxy_protocol)v, &client, &server);
		FUZZ_REQUIRE(length <= PROXY_HEADER_MAX);
		if (v == PROXY_PROTOCOL_V1)
			read_v1((const char *)header, length, &ends);
		else
			read_v2(header, length, &ends);
		require_end(&ends, 0, &client);
		require_end(&ends, 1, &server);
	}
	return 0;
}
