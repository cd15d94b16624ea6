// test_ports.c: what a port spec means, and the table of published ports on a real data plane.

#include "base/fd.h"
#include "base/msg.h"
#include "engine/ports.h"
#include "engine/ports_forward.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rk_port_spec parse(const char *text)
{
	struct rk_port_spec spec;
	struct rk_error e;

	cr_assert_eq(port_spec_parse(&spec, text, strlen(text), &e), 0, "%s: %s", text, e.text);
	return spec;
}

// --- resolution

// Listeners and targets as text, "" = none.
struct resolution {
	char spec[64];
	char listeners[2][48];
	char targets[2][48];
};

ParameterizedTestParameters(ports, resolve)
{
	static struct resolution cases[] = {
		{":8080:80/tcp", {"0.0.0.0:8080", "[::]:8080"}, {"127.0.0.1:80", "[::1]:80"}},
		{"0.0.0.0:8080:80/udp", {"0.0.0.0:8080", "[::]:8080"},
			{"127.0.0.1:80", "[::1]:80"}},
		{"[::]:8080:80/tcp", {"[::]:8080", "0.0.0.0:8080"}, {"[::1]:80", "127.0.0.1:80"}},
		{":8080:80/tcp4", {"0.0.0.0:8080", ""}, {"127.0.0.1:80", "[::1]:80"}},
		{":8080:80/udp6", {"[::]:8080", ""}, {"[::1]:80", "127.0.0.1:80"}},
		{"[::]:8080:80/tcp6", {"[::]:8080", ""}, {"[::1]:80", "127.0.0.1:80"}},
		{"127.0.0.1:8080:80/tcp", {"127.0.0.1:8080", ""}, {"127.0.0.1:80", "[::1]:80"}},
		{"127.0.0.2:8080:80/tcp", {"127.0.0.2:8080", ""}, {"127.0.0.2:80", "[::1]:80"}},
		{"[::1]:8080:80/tcp", {"[::1]:8080", ""}, {"[::1]:80", "127.0.0.1:80"}},
		{"192.0.2.1:8080:80/tcp", {"192.0.2.1:8080", ""}, {"127.0.0.1:80", "[::1]:80"}},
		{"192.0.2.7:8080:80/tcp", {"192.0.2.7:8080", ""}, {"127.0.0.1:80", "[::1]:80"}},
		{"[2001:db8::7]:8080:80/tcp", {"[2001:db8::7]:8080", ""},
			{"[::1]:80", "127.0.0.1:80"}},
		{"0.0.0.0:8080:10.0.2.100:80/tcp", {"0.0.0.0:8080", "[::]:8080"},
			{"10.0.2.100:80", ""}},
		{"[::1]:8080:10.0.2.100:80/udp", {"[::1]:8080", ""}, {"10.0.2.100:80", ""}},
		{"127.0.0.1:8080:[::2]:80/udp4", {"127.0.0.1:8080", ""}, {"[::2]:80", ""}},
	};

	return cr_make_param_array(struct resolution, cases, sizeof(cases) / sizeof(cases[0]));
}

static void expect_addresses(const char *spec, const struct rk_addr *addresses, unsigned count,
	const char (*expected)[48])
{
	char text[RK_ADDR_TEXT_MAX];

	cr_expect_eq(count, expected[1][0] ? 2u : 1u, "%s: %u addresses", spec, count);
	for (unsigned i = 0; i < count; i++)
		cr_expect_str_eq(addr_format(&addresses[i], text, sizeof(text)), expected[i],
			"%s: address %u is %s, not %s", spec, i, text, expected[i]);
}

ParameterizedTest(struct resolution *expected, ports, resolve)
{
	struct rk_port_spec spec = parse(expected->spec);
	struct rk_forward forward;
	struct rk_error e;

	cr_assert_eq(ports_forward_resolve(&forward, &spec, &e), 0);
	expect_addresses(expected->spec, forward.listeners, forward.listener_count,
		(const char(*)[48])expected->listeners);
	expect_addresses(expected->spec, forward.targets, forward.target_count,
		(const char(*)[48])expected->targets);
	cr_expect_eq(forward.listeners_optional, forward.listener_count == 2);
	cr_expect_eq(forward.socktype, proto_is_udp(spec.proto) ? SOCK_DGRAM : SOCK_STREAM);
}

// --- the table

static struct rk_plane *plane;
static struct rk_ports *ports;

static void start_table(void)
{
	const struct rk_plane_options options = {
		.workers = 1,
		.max_flows = 16,
		.pool_size = 1,
		.udp_idle_timeout_ms = 1000,
		.connect_timeout_ms = 1000,
	};
	struct rk_error e;

	cr_assert_eq(plane_start(&plane, &options, &e), 0, "%s", e.text);
	ports = ports_create(plane);
	cr_assert(ports);
}

static void stop_table(void)
{
	plane_stop(plane);
	ports_destroy(ports);
}

// A TCP port on 127.0.0.1 that nobody has now, and nobody gets: below the ephemeral ports and those
// of the other tests. Each process, of which one test is one, begins somewhere else.
static uint16_t free_port(void)
{
	static unsigned asked;

	for (unsigned try = 0; try < 1000; try++) {
		struct rk_addr addr;
		unsigned number = 2048 + ((unsigned)getpid() * 8 + asked++) % 7000;
		RK_CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		cr_assert_eq(addr_parse(&addr, "127.0.0.1", 9, (uint16_t)number), 0);
		if (bind(fd, &addr.sa, addr_length(&addr)) == 0)
			return (uint16_t)number;
	}
	cr_assert_fail("no port is free");
	return 0;
}

static struct rk_port_spec local_spec(const char *proto, uint16_t parent_port)
{
	char text[64];

	snprintf(text, sizeof(text), "127.0.0.1:%u:80/%s", parent_port, proto);
	return parse(text);
}

static bool accepts(uint16_t port)
{
	struct rk_addr addr;
	RK_CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(addr_parse(&addr, "127.0.0.1", 9, port), 0);
	return connect(fd, &addr.sa, addr_length(&addr)) == 0;
}

Test(ports, ids_count_up_and_are_not_used_again, .init = start_table, .fini = stop_table)
{
	struct rk_port_spec spec = local_spec("tcp", free_port());
	struct rk_port port;
	struct rk_error e;

	cr_assert_eq(ports_add(ports, &spec, NULL, &port, &e), 0, "%s", e.text);
	cr_expect_eq(port.id, 1u);
	cr_expect(accepts(spec.parent_port));
	cr_assert_eq(ports_remove(ports, 1, &e), 0, "%s", e.text);
	cr_expect_not(accepts(spec.parent_port), "still open after the removal");
	cr_assert_eq(ports_add(ports, &spec, NULL, &port, &e), 0, "%s", e.text);
	cr_expect_eq(port.id, 2u);
	cr_expect_eq(ports_remove(ports, 1, &e), -ENOENT);
	cr_expect_str_eq(e.text, "unknown id: 1");
	cr_expect(strstr(e.hint, "list-ports"), "%s", e.hint);
}

Test(ports, same_address_is_a_conflict, .init = start_table, .fini = stop_table)
{
	struct rk_port_spec spec = local_spec("tcp", free_port());
	struct rk_port port;
	struct rk_error e;
	char text[64];

	cr_assert_eq(ports_add(ports, &spec, NULL, &port, &e), 0, "%s", e.text);
	spec.child_port = 81;
	cr_expect_eq(ports_add(ports, &spec, NULL, &port, &e), -EEXIST);
	cr_expect_str_eq(e.text, "conflict with ID 1");
	snprintf(text, sizeof(text), "that is 127.0.0.1:%u:", spec.parent_port);
	cr_expect(strstr(e.hint, text), "%s", e.hint);
	spec.proto = PROTO_TCP4;
	cr_expect_eq(
		ports_add(ports, &spec, NULL, &port, &e), -EADDRINUSE, "another protocol name");
	spec.proto = PROTO_UDP;
	cr_expect_eq(ports_add(ports, &spec, NULL, &port, &e), 0, "%s", e.text);
}

Test(ports, one_ipv6_address_in_two_spellings_is_a_conflict, .init = start_table,
	.fini = stop_table)
{
	struct rk_port_spec first = parse("[::1]:1:80/udp");
	struct rk_port_spec second = parse("[0:0::1]:1:80/udp");
	struct rk_port port;
	struct rk_error e;

	first.parent_port = second.parent_port = free_port();
	cr_assert_eq(ports_add(ports, &first, NULL, &port, &e), 0, "%s", e.text);
	cr_expect_eq(ports_add(ports, &second, NULL, &port, &e), -EEXIST);
}

// Each member of the spec that makes another port of it.
Test(ports, a_port_is_found_again_by_its_whole_spec, .init = start_table, .fini = stop_table)
{
	const struct rk_port_spec spec = local_spec("tcp", free_port());
	struct rk_port_spec others[] = {spec, spec, spec, spec};
	struct rk_port_spec owned = spec;
	struct rk_port port;
	struct rk_error e;

	others[0].child_port = 81;
	strcpy(others[1].child_ip, "127.0.0.1");
	strcpy(others[2].child_proxy, "docker-proxy");
	others[3].proxy_protocol_set = true;
	owned.owned = true;
	cr_assert_eq(ports_ensure(ports, &spec, NULL, &port, &e), 0, "%s", e.text);
	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(ports_ensure(ports, &others[i], NULL, &port, &e), -EEXIST, "%u", i);
	cr_expect_eq(ports_ensure(ports, &owned, NULL, &port, &e), 1, "%s", e.text);
	cr_expect_eq(ports_ensure(ports, &spec, NULL, &port, &e), 1, "%s", e.text);
	cr_expect_eq(port.id, 1u);
}

Test(ports, list_is_published_as_a_whole_or_not_at_all, .init = start_table, .fini = stop_table)
{
	uint16_t number = free_port();
	struct rk_port_spec specs[] = {local_spec("tcp", number), local_spec("tcp4", number)};
	struct rk_port *list = NULL;
	char expected[64];
	struct rk_error e;

	snprintf(expected, sizeof(expected), "127.0.0.1:%u:80/tcp4", number);
	cr_expect_eq(ports_add_all(ports, specs, 2, NULL, NULL, &e), -EADDRINUSE);
	cr_expect(strstr(e.text, expected), "the error names no spec: %s", e.text);
	cr_expect_eq(ports_list(ports, &list, &e), 0);
	cr_expect_not(accepts(number), "the first of the list is still open");
	free(list);
}

Test(ports, list_and_report_are_ordered_by_id, .init = start_table, .fini = stop_table)
{
	struct rk_port_report *reports = NULL;
	struct rk_port *list = NULL;
	struct rk_port port;
	struct rk_error e;

	for (int i = 0; i < 3; i++) {
		struct rk_port_spec spec = local_spec("tcp", free_port());

		cr_assert_eq(ports_add(ports, &spec, NULL, &port, &e), 0, "%s", e.text);
	}
	cr_assert_eq(ports_remove(ports, 2, &e), 0);
	cr_assert_eq(ports_list(ports, &list, &e), 2);
	cr_expect_eq(list[0].id, 1u);
	cr_expect_eq(list[1].id, 3u);
	cr_assert_eq(ports_report(ports, &reports, &e), 2);
	cr_expect_eq(reports[1].port.id, 3u);
	cr_expect_eq(reports[1].stats.state, PORT_LISTENING);
	free(list);
	free(reports);
}

Test(ports, bad_spec_is_refused, .init = start_table, .fini = stop_table)
{
	struct rk_port_spec spec = local_spec("tcp4", 8080);
	struct rk_port port;
	struct rk_error e;

	strcpy(spec.parent_ip, "::1");
	cr_expect_eq(ports_add(ports, &spec, NULL, &port, &e), -EINVAL, "IPv6 address with tcp4");
	strcpy(spec.parent_ip, "localhost");
	cr_expect_eq(ports_add(ports, &spec, NULL, &port, &e), -EINVAL, "a name");
	strcpy(spec.parent_ip, "127.0.0.1");
	spec.child_port = 0;
	cr_expect_eq(ports_add(ports, &spec, NULL, &port, &e), -EINVAL, "child port 0");
}

Test(ports, refusals_name_the_port_and_a_remedy, .init = start_table, .fini = stop_table)
{
	struct rk_port_spec spec = local_spec("udp", 8080);
	struct rk_port port;
	struct rk_error e;

	spec.proxy_protocol_set = true;
	spec.proxy_protocol = PROXY_PROTOCOL_V1;
	cr_expect_eq(ports_add(ports, &spec, NULL, &port, &e), -EINVAL);
	cr_expect(strstr(e.text, "127.0.0.1:8080:"), "%s", e.text);
	cr_expect(strstr(e.hint, "without"), "%s", e.hint);
	spec = local_spec("tcp", 8080);
	spec.source_ip = SOURCE_IP_REQUIRE;
	cr_expect_eq(ports_add(ports, &spec, NULL, &port, &e), -EOPNOTSUPP);
	cr_expect(strstr(e.text, "127.0.0.1:8080"), "%s", e.text);
	cr_expect(strstr(e.hint, "source-ip = prefer"), "%s", e.hint);
	spec = local_spec("tcp", 0);
	cr_expect_eq(ports_ensure(ports, &spec, NULL, &port, &e), -EINVAL);
	cr_expect(strstr(e.hint, "POST"), "%s", e.hint);
}

Test(ports, an_owner_that_cannot_be_watched_changes_nothing, .init = start_table,
	.fini = stop_table)
{
	const struct rk_owner nobody = {.pid = getpid(), .pidfd = INT_MAX};
	struct rk_port_spec spec = local_spec("tcp4", 0);
	struct rk_port *list = NULL;
	struct rk_port port;
	struct rk_error e;

	cr_assert_eq(ports_add(ports, &spec, NULL, &port, &e), 0);
	spec = port.spec;
	spec.owned = true;
	cr_expect_eq(ports_ensure(ports, &spec, &nobody, &port, &e), -EBADF);
	cr_assert_eq(ports_list(ports, &list, &e), 1);
	cr_expect_not(list[0].spec.owned);
	cr_expect_eq(list[0].owner, 0);
	free(list);
}

Test(ports, without_a_port_driver_everything_says_so)
{
	struct rk_ports *none = ports_create(NULL);
	struct rk_port_spec spec = local_spec("tcp", 8080);
	struct rk_port *list = NULL;
	struct rk_port port;
	struct rk_error e;

	cr_expect_eq(
		ports_add_all(none, NULL, 0, NULL, NULL, &e), 0, "an empty list needs no driver");
	cr_expect_eq(ports_add(none, &spec, NULL, &port, &e), -EOPNOTSUPP);
	cr_expect_eq(ports_remove(none, 1, &e), -EOPNOTSUPP);
	cr_expect_eq(ports_list(none, &list, &e), -EOPNOTSUPP);
	cr_expect_str_eq(e.text, "no PortDriver is available");
	ports_destroy(none);
}

// Two workers; `channels` are taken over, whatever comes of it.
static void refuse_channels(const int *channels, unsigned count, int code)
{
	const struct rk_plane_options options = {
		.workers = 2,
		.max_flows = 16,
		.pool_size = 1,
		.udp_idle_timeout_ms = 1000,
		.connect_timeout_ms = 1000,
	};
	struct rk_plane *two;
	struct rk_error e;

	cr_assert_eq(plane_start(&two, &options, &e), 0, "%s", e.text);
	cr_expect_eq(plane_set_helper(two, channels, count, &e), -code, "%s", e.text);
	for (unsigned i = 0; i < count; i++)
		cr_expect_eq(fcntl(channels[i], F_GETFD), -1, "channel %u of %u", i, count);
	plane_stop(two);
}

Test(plane, channels_that_no_worker_takes_are_closed)
{
	int ends[2];

	cr_assert_eq(msg_channel(ends), 0);
	refuse_channels((const int[]){ends[1]}, 1, EPROTO);
	fd_close(&ends[0]);
	cr_assert_eq(msg_channel(ends), 0);
	refuse_channels((const int[]){-1, ends[1]}, 2, EBADF);
}
