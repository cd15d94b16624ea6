// test_ports_source.c: which targets are shown the client's address, by spec, family and level.

#include "engine/ports_forward.h"
#include "engine/ports_source.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <string.h>

#define LEVELS(tcp4, tcp6, udp4, udp6)                                                             \
	{                                                                                          \
		[SOCKET_TCP4] = (tcp4), [SOCKET_TCP6] = (tcp6), [SOCKET_UDP4] = (udp4),            \
		[SOCKET_UDP6] = (udp6)                                                             \
	}

static const struct rk_source_info everything = {
	.level = LEVELS(SOURCE_FULL, SOURCE_FULL, SOURCE_FULL, SOURCE_FULL),
	.ip = "10.0.2.100",
	.ip6 = "fd00::100",
};
static const struct rk_source_info loopback_only = {
	.level = LEVELS(SOURCE_LOOPBACK, SOURCE_LOOPBACK, SOURCE_NONE, SOURCE_NONE),
};
static const struct rk_source_info nothing = {.ip = "10.0.2.100"};

static int resolve(const char *text, enum rk_source_ip mode, const struct rk_source_info *source,
	struct rk_forward *forward)
{
	const struct rk_source_policy policy = {
		.source_ip = mode, .source = source, .ifname = "tap0"};
	struct rk_port_spec spec;
	struct rk_error e;

	cr_assert_eq(port_spec_parse(&spec, text, strlen(text), &e), 0, "%s", text);
	cr_assert_eq(ports_forward_resolve(forward, &spec, &e), 0, "%s", text);
	return ports_source_resolve(forward, &spec, &policy, &e);
}

// Lists as text, separated by blanks.
struct row {
	char spec[48];
	enum { EVERYTHING, LOOPBACK_ONLY, NOTHING } source;
	char own4[64], plain4[96], own6[64], plain6[96];
};

ParameterizedTestParameters(ports_source, targets)
{
	static struct row rows[] = {
		{":1:80/tcp", EVERYTHING, "10.0.2.100:80 127.0.0.1:80",
			"10.0.2.100:80 [fd00::100]:80 127.0.0.1:80 [::1]:80",
			"[fd00::100]:80 [::1]:80",
			"[fd00::100]:80 10.0.2.100:80 127.0.0.1:80 [::1]:80"},
		{":1:80/udp", EVERYTHING, "10.0.2.100:80 127.0.0.1:80",
			"10.0.2.100:80 [fd00::100]:80 127.0.0.1:80 [::1]:80",
			"[fd00::100]:80 [::1]:80",
			"[fd00::100]:80 10.0.2.100:80 127.0.0.1:80 [::1]:80"},
		{":1:127.0.0.1:80/tcp", EVERYTHING, "10.0.2.100:80 127.0.0.1:80",
			"10.0.2.100:80 127.0.0.1:80", "", "[fd00::100]:80 127.0.0.1:80"},
		{":1:172.17.0.2:80/tcp", EVERYTHING, "172.17.0.2:80", "172.17.0.2:80", "",
			"172.17.0.2:80"},
		{":1:80/tcp", LOOPBACK_ONLY, "127.0.0.1:80", "127.0.0.1:80 [::1]:80", "[::1]:80",
			"127.0.0.1:80 [::1]:80"},
		{":1:80/udp", LOOPBACK_ONLY, "", "127.0.0.1:80 [::1]:80", "",
			"127.0.0.1:80 [::1]:80"},
		{":1:172.17.0.2:80/tcp", LOOPBACK_ONLY, "", "172.17.0.2:80", "", "172.17.0.2:80"},
		{":1:80/tcp", NOTHING, "", "10.0.2.100:80 127.0.0.1:80 [::1]:80", "",
			"10.0.2.100:80 127.0.0.1:80 [::1]:80"},
	};

	return cr_make_param_array(struct row, rows, sizeof(rows) / sizeof(rows[0]));
}

static void expect_list(
	const struct row *row, const struct rk_target_list *list, const char *expected)
{
	char text[256] = "", one[RK_ADDR_TEXT_MAX];

	for (unsigned i = 0; i < list->count; i++) {
		if (i > 0)
			strcat(text, " ");
		strcat(text, addr_format(&list->addrs[i], one, sizeof(one)));
	}
	cr_expect_str_eq(text, expected, "%s (%d): is \"%s\", expected \"%s\"", row->spec,
		row->source, text, expected);
}

ParameterizedTest(struct row *row, ports_source, targets)
{
	static const struct rk_source_info *const sources[] = {
		&everything, &loopback_only, &nothing};
	struct rk_forward forward;

	cr_assert_eq(resolve(row->spec, SOURCE_IP_PREFER, sources[row->source], &forward), 0);
	expect_list(row, &forward.remote[0].own, row->own4);
	expect_list(row, &forward.remote[0].plain, row->plain4);
	expect_list(row, &forward.remote[1].own, row->own6);
	expect_list(row, &forward.remote[1].plain, row->plain6);
}

Test(ports_source, auto_is_prefer_for_tcp_and_off_for_udp)
{
	struct rk_forward forward;

	cr_assert_eq(resolve(":1:80/tcp", SOURCE_IP_AUTO, &everything, &forward), 0);
	cr_expect_eq(forward.source_ip, SOURCE_IP_PREFER);
	cr_assert_eq(resolve(":1:80/udp", SOURCE_IP_AUTO, &everything, &forward), 0);
	cr_expect_eq(forward.source_ip, SOURCE_IP_OFF);
	cr_assert_eq(resolve(":1:80/tcp", SOURCE_IP_AUTO, NULL, &forward), 0);
	cr_expect_eq(forward.source_ip, SOURCE_IP_OFF);
}

Test(ports_source, require_needs_a_target)
{
	struct rk_forward forward;

	cr_expect_eq(resolve(":1:80/tcp", SOURCE_IP_REQUIRE, &loopback_only, &forward), 0);
	cr_expect_eq(
		resolve(":1:80/udp", SOURCE_IP_REQUIRE, &loopback_only, &forward), -EOPNOTSUPP);
	cr_expect_eq(resolve(":1:80/tcp", SOURCE_IP_REQUIRE, &nothing, &forward), -EOPNOTSUPP);
	cr_expect_eq(resolve(":1:80/tcp", SOURCE_IP_REQUIRE, NULL, &forward), -EOPNOTSUPP);
	cr_expect_eq(
		resolve(":1:[::2]:80/tcp", SOURCE_IP_REQUIRE, &everything, &forward), -EOPNOTSUPP);
}
