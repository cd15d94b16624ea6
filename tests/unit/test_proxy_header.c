// test_proxy_header.c: the header of the PROXY protocol, byte by byte.

#include "engine/proxy_header.h"

#include <criterion/criterion.h>
#include <string.h>

static struct rk_addr address(const char *ip, uint16_t port)
{
	struct rk_addr addr;

	cr_assert_eq(addr_parse(&addr, ip, strlen(ip), port), 0, "%s", ip);
	return addr;
}

static void expect_header(enum rk_proxy_protocol version, const struct rk_addr *client,
	const struct rk_addr *server, const void *expected, size_t length)
{
	unsigned char header[PROXY_HEADER_MAX];

	memset(header, 0xaa, sizeof(header));
	cr_assert_eq(proxy_header_write(header, version, client, server), length);
	cr_expect_arr_eq(header, expected, length);
}

static void expect_text(const char *client_ip, uint16_t client_port, const char *server_ip,
	uint16_t server_port, const char *expected)
{
	struct rk_addr client = address(client_ip, client_port);
	struct rk_addr server = address(server_ip, server_port);

	expect_header(PROXY_PROTOCOL_V1, &client, &server, expected, strlen(expected));
}

Test(proxy_header, version_1)
{
	expect_text("192.0.2.7", 56324, "198.51.100.1", 443,
		"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n");
	expect_text("2001:db8::7", 1, "2001:db8:1::2", 65535,
		"PROXY TCP6 2001:db8::7 2001:db8:1::2 1 65535\r\n");
}

// The longest that there is: 104 bytes and CR LF, one less than the specification's limit.
Test(proxy_header, version_1_longest)
{
	const char *longest = "1111:2222:3333:4444:5555:6666:7777:8888";

	expect_text(longest, 65535, longest, 65535,
		"PROXY TCP6 1111:2222:3333:4444:5555:6666:7777:8888 "
		"1111:2222:3333:4444:5555:6666:7777:8888 65535 65535\r\n");
}

Test(proxy_header, version_1_without_scope)
{
	struct rk_addr client = address("fe80::1%1", 5);
	struct rk_addr server = address("fe80::2%1", 6);
	const char *expected = "PROXY TCP6 fe80::1 fe80::2 5 6\r\n";

	expect_header(PROXY_PROTOCOL_V1, &client, &server, expected, strlen(expected));
}

Test(proxy_header, version_2_ipv4)
{
	static const unsigned char expected[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 'Q', 'U',
		'I', 'T', 0x0a, 0x21, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01,
		0xbb};
	struct rk_addr client = address("192.0.2.7", 0xdc04);
	struct rk_addr server = address("198.51.100.1", 443);

	expect_header(PROXY_PROTOCOL_V2, &client, &server, expected, sizeof(expected));
}

Test(proxy_header, version_2_ipv6)
{
	static const unsigned char expected[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 'Q', 'U',
		'I', 'T', 0x0a, 0x21, 0x21, 0, 36, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 7, 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x00, 0x50,
		0x1f, 0x90};
	struct rk_addr client = address("2001:db8::7", 80);
	struct rk_addr server = address("2001:db8:1::2", 8080);

	expect_header(PROXY_PROTOCOL_V2, &client, &server, expected, sizeof(expected));
}
