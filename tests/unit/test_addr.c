// test_addr.c: socket addresses: parsing, printing, comparing.

#include "base/addr.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

Test(addr, parses_and_prints)
{
	static const struct {
		const char *ip;
		uint16_t port;
		int family;
		const char *printed;
	} cases[] = {
		{"127.0.0.1", 80, AF_INET, "127.0.0.1:80"},
		{"0.0.0.0", 0, AF_INET, "0.0.0.0:0"},
		{"255.255.255.255", 65535, AF_INET, "255.255.255.255:65535"},
		{"::", 1, AF_INET6, "[::]:1"},
		{"::1", 80, AF_INET6, "[::1]:80"},
		{"2001:DB8:0:0::1", 443, AF_INET6, "[2001:db8::1]:443"},
		{"::ffff:127.0.0.1", 5, AF_INET6, "[::ffff:127.0.0.1]:5"},
		{"fe80::1%lo", 7, AF_INET6, "[fe80::1%lo]:7"},
		{"fe80::1%1", 7, AF_INET6, "[fe80::1%lo]:7"},
		{"fe80::1%4294967295", 7, AF_INET6, "[fe80::1%4294967295]:7"},
		{"fe80::1", 7, AF_INET6, "[fe80::1]:7"},
		{"ff02::1%lo", 7, AF_INET6, "[ff02::1%lo]:7"},
	};
	char text[RK_ADDR_TEXT_MAX];
	struct rk_addr addr;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(addr_parse(&addr, cases[i].ip, strlen(cases[i].ip), cases[i].port), 0);
		cr_expect_eq(addr.sa.sa_family, cases[i].family, "%s", cases[i].ip);
		cr_expect_eq(addr_port(&addr), cases[i].port);
		cr_expect_str_eq(addr_format(&addr, text, sizeof(text)), cases[i].printed);
	}
}

Test(addr, refuses_what_is_no_literal)
{
	static const struct {
		const char *ip;
		int code;
	} cases[] = {
		{"", EINVAL},
		{"localhost", EINVAL},
		{"127.1", EINVAL},
		{"1.2.3.4.5", EINVAL},
		{"1.2.3.256", EINVAL},
		{"[::1]", EINVAL},
		{":::", EINVAL},
		{"1.2.3.4%lo", EINVAL},
		{"::1%lo", EINVAL},
		{"fe80::1%", EINVAL},
		{"fe80::1%0", EINVAL},
		{"fe80::1%4294967296", EINVAL},
		{"fe80::1%0123456789abcdef", EINVAL},
		{"fe80::1%no-such-if", ENODEV},
		{"0000:0000:0000:0000:0000:0000:0000:0000:0000:0001", EINVAL},
	};
	struct rk_addr addr;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(addr_parse(&addr, cases[i].ip, strlen(cases[i].ip), 1), -cases[i].code,
			"%s", cases[i].ip);
	cr_expect_eq(addr_parse(&addr, "127.0.0.1\0", 10, 1), -EINVAL);
	cr_expect_eq(addr_parse(&addr, "fe80::1%l\0o", 11, 1), -EINVAL);
}

Test(addr, reads_no_byte_past_the_length)
{
	struct rk_addr addr;
	char text[RK_ADDR_TEXT_MAX];

	cr_assert_eq(addr_parse(&addr, "127.0.0.15", 9, 3), 0);
	cr_expect_str_eq(addr_format_ip(&addr, text, sizeof(text)), "127.0.0.1");
}

static struct rk_addr make(const char *ip, uint16_t port)
{
	struct rk_addr addr;

	cr_assert_eq(addr_parse(&addr, ip, strlen(ip), port), 0, "%s", ip);
	return addr;
}

Test(addr, classifies)
{
	static const struct {
		const char *ip;
		bool wildcard;
		bool loopback;
	} cases[] = {
		{"0.0.0.0", true, false},
		{"::", true, false},
		{"127.0.0.1", false, true},
		{"127.255.0.9", false, true},
		{"::1", false, true},
		{"::ffff:127.0.0.2", false, true},
		{"::ffff:10.0.0.1", false, false},
		{"128.0.0.1", false, false},
		{"2001:db8::1", false, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_addr addr = make(cases[i].ip, 1);

		cr_expect_eq(addr_is_wildcard(&addr), cases[i].wildcard, "%s", cases[i].ip);
		cr_expect_eq(addr_is_loopback(&addr), cases[i].loopback, "%s", cases[i].ip);
	}
}

Test(addr, compares_family_ip_port_and_scope)
{
	struct rk_addr v4 = make("127.0.0.1", 80);
	struct rk_addr v6 = make("fe80::1%1", 80);
	struct rk_addr other;

	other = make("127.0.0.1", 80);
	cr_expect(addr_equal(&v4, &other));
	addr_set_port(&other, 81);
	cr_expect_eq(addr_port(&other), 81);
	cr_expect_not(addr_equal(&v4, &other));
	other = make("127.0.0.2", 80);
	cr_expect_not(addr_equal(&v4, &other));
	cr_expect_not(addr_equal(&v4, &v6));
	other = make("fe80::1%1", 80);
	cr_expect(addr_equal(&v6, &other));
	other = make("fe80::1%2", 80);
	cr_expect_not(addr_equal(&v6, &other));
	other = make("fe80::1%1", 1);
	addr_set_port(&other, 80);
	cr_expect(addr_equal(&v6, &other));
	cr_expect_eq(addr_length(&v4), sizeof(struct sockaddr_in));
	cr_expect_eq(addr_length(&v6), sizeof(struct sockaddr_in6));
}

Test(addr, longest_text_fits)
{
	struct rk_addr addr = make("fe80:1111:2222:3333:4444:5555:6666:7777%4294967295", 65535);
	char text[RK_ADDR_TEXT_MAX];
	char tiny[4] = "abc";

	cr_expect_str_eq(addr_format(&addr, text, sizeof(text)),
		"[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535");
	cr_expect_str_eq(addr_format_ip(&addr, tiny, sizeof(tiny)), "");
}
