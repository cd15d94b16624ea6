// test_portspec.c: port specs: what is accepted, what is refused, and with which words.

#include "config/portspec.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM_HINT "the form is [PARENT-IP]:PARENT-PORT[:CHILD-IP]:CHILD-PORT/PROTO"

Test(portspec, accepts_and_prints)
{
	static const struct {
		const char *text;
		const char *parent_ip;
		uint16_t parent_port;
		const char *child_ip;
		uint16_t child_port;
		enum rk_proto proto;
		const char *printed; // NULL: as the text
	} cases[] = {
		{"127.0.0.1:8080:80/tcp", "127.0.0.1", 8080, "", 80, PROTO_TCP, NULL},
		{"0.0.0.0:8080:10.0.2.100:80/tcp", "0.0.0.0", 8080, "10.0.2.100", 80, PROTO_TCP,
			NULL},
		{"[::1]:8080:[::2]:80/udp", "::1", 8080, "::2", 80, PROTO_UDP, NULL},
		{":8080:80/tcp", "", 8080, "", 80, PROTO_TCP, NULL},
		{":1:65535/tcp4", "", 1, "", 65535, PROTO_TCP4, NULL},
		{":65535:1/udp4", "", 65535, "", 1, PROTO_UDP4, NULL},
		{"[::]:53:53/udp6", "::", 53, "", 53, PROTO_UDP6, NULL},
		{"[::]:53:127.0.0.1:53/tcp6", "::", 53, "127.0.0.1", 53, PROTO_TCP6, NULL},
		{"127.0.0.1:53:[::1]:53/udp4", "127.0.0.1", 53, "::1", 53, PROTO_UDP4, NULL},
		{":53:[::1]:53/tcp", "", 53, "::1", 53, PROTO_TCP, NULL},
		{"[fe80::1%eth0]:8080:80/tcp", "fe80::1%eth0", 8080, "", 80, PROTO_TCP, NULL},
		{"[::1]:1:[fe80::2%tap0]:2/tcp", "::1", 1, "fe80::2%tap0", 2, PROTO_TCP, NULL},
		// Upstream's clients write these too.
		{"127.0.0.1:8080::80/tcp", "127.0.0.1", 8080, "", 80, PROTO_TCP,
			"127.0.0.1:8080:80/tcp"},
		{"[127.0.0.1]:0080:80/tcp", "127.0.0.1", 80, "", 80, PROTO_TCP,
			"127.0.0.1:80:80/tcp"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i].text;
		struct rk_port_spec spec, again;
		struct rk_error e = {0};
		char printed[256];

		cr_expect_eq(
			port_spec_parse(&spec, text, strlen(text), &e), 0, "%s: %s", text, e.text);
		cr_expect_str_eq(spec.parent_ip, cases[i].parent_ip, "%s", text);
		cr_expect_eq(spec.parent_port, cases[i].parent_port, "%s", text);
		cr_expect_str_eq(spec.child_ip, cases[i].child_ip, "%s", text);
		cr_expect_eq(spec.child_port, cases[i].child_port, "%s", text);
		cr_expect_eq(spec.proto, cases[i].proto, "%s", text);
		port_spec_format(&spec, printed, sizeof(printed));
		cr_expect_str_eq(printed, cases[i].printed ? cases[i].printed : text);
		cr_expect_eq(port_spec_parse(&again, printed, strlen(printed), &e), 0);
		cr_expect_eq(memcmp(&spec, &again, sizeof(spec)), 0, "%s", text);
	}
}

static const struct {
	const char *text;
	const char *wrong;
} refused[] = {
	{"", "the spec is empty"},
	{"bad", "protocol is missing, it must end in /tcp or /udp"},
	{"8080", "protocol is missing, it must end in /tcp or /udp"},
	{"8080:80", "protocol is missing, it must end in /tcp or /udp"},
	{"/tcp", "parent port and child port are missing"},
	{"80/tcp", "parent port and child port are missing"},
	{"a:b/tcp", "parent address or a port is missing (all addresses: :8080:80/tcp)"},
	{"8080:80/tcp", "parent address or a port is missing (all addresses: :8080:80/tcp)"},
	{"x:1:2/tcp", "parent address \"x\" is not an IP address"},
	{"localhost:1:2/tcp", "parent address \"localhost\" is not an IP address"},
	{"1.2.3:1:2/tcp", "parent address \"1.2.3\" is not an IP address"},
	{"1.2.3.4:1:x:2/tcp", "child address \"x\" is not an IP address"},
	{"[]:1:2/tcp", "parent address is empty in its brackets"},
	{":1:[]:2/tcp", "child address is empty in its brackets"},
	{":0-3:1-4/tcp", "parent port \"0\" is not a number from 1 to 65535"},
	{":8000-8010:80/tcp", "the ranges of ports are not equally long"},
	{":8000:80-90/tcp", "the ranges of ports are not equally long"},
	{":8000-8010:80-89/tcp", "the ranges of ports are not equally long"},
	{":8010-8000:80-90/tcp", "parent ports 8010-8000: the last is below the first"},
	{":8000-8010:90-80/tcp", "child ports 90-80: the last is below the first"},
	{":8000-:80-90/tcp", "parent port is missing"},
	{":8000-8010-8020:80-90/tcp", "parent port \"8010-8020\" is not a number from 1 to 65535"},
	{"1.2.3.4:70000:1/tcp", "parent port \"70000\" is not a number from 0 to 65535"},
	{"1.2.3.4:99999999999:1/tcp",
		"parent port \"99999999999\" is not a number from 0 to 65535"},
	{"1.2.3.4:-1:1/tcp", "parent port \"-1\" is not a number from 0 to 65535"},
	{"1.2.3.4:+1:1/tcp", "parent port \"+1\" is not a number from 0 to 65535"},
	{"1.2.3.4:0x50:1/tcp", "parent port \"0x50\" is not a number from 0 to 65535"},
	{"1.2.3.4:1:65536/tcp", "child port \"65536\" is not a number from 1 to 65535"},
	{"1.2.3.4:1:0/tcp", "child port \"0\" is not a number from 1 to 65535"},
	{"1.2.3.4::1/tcp", "parent port is missing"},
	{"1.2.3.4:1:/tcp", "child port is missing"},
	{"127.0.0.1:1:2/", "protocol \"\" is unknown, allowed: tcp, tcp4, tcp6, udp, udp4, "
			   "udp6 (lower case)"},
	{"127.0.0.1:1:2/TCP", "protocol \"TCP\" is unknown, allowed: tcp, tcp4, tcp6, udp, "
			      "udp4, udp6 (lower case)"},
	{"127.0.0.1:1:2/tcp5", "protocol \"tcp5\" is unknown, allowed: tcp, tcp4, tcp6, "
			       "udp, udp4, udp6 (lower case)"},
	{"127.0.0.1:1:2/sctp", "protocol \"sctp\" is not supported, allowed: tcp, tcp4, "
			       "tcp6, udp, udp4, udp6"},
	{"127.0.0.1:1:2/sctp6", "protocol \"sctp6\" is not supported, allowed: tcp, tcp4, "
				"tcp6, udp, udp4, udp6"},
	{"127.0.0.1:1:2/tcp/udp", "protocol \"tcp/udp\" is unknown, allowed: tcp, tcp4, "
				  "tcp6, udp, udp4, udp6 (lower case)"},
	{"127.0.0.1:1:2/tcp 127.0.0.1:3:4/tcp",
		"blanks and commas are not allowed, one spec at a time"},
	{"127.0.0.1:1:2/tcp,127.0.0.1:3:4/tcp",
		"blanks and commas are not allowed, one spec at a time"},
	{"127.0.0.1:1:2/tcp\n", "byte 18 is not a printable character"},
	{"::1:1:2/tcp", "too many ':' (an IPv6 address needs brackets: [::1])"},
	{"2001:db8::1:1:2/tcp", "too many ':' (an IPv6 address needs brackets: [::1])"},
	{"1.2.3.4:1:::1:2/tcp", "too many ':' (an IPv6 address needs brackets: [::1])"},
	{"[::1:1:2/tcp", "address has a '[' that no ']' before the ':' closes"},
	{"[::1]x:1:2/tcp", "address has a '[' that no ']' before the ':' closes"},
	{"1.2.3.4:1:[::1:2/tcp", "address has a '[' that no ']' before the ':' closes"},
	{"[::1]:1:2/tcp4", "parent address \"::1\" is not IPv4, which tcp4 needs"},
	{"[::1]:1:2/udp4", "parent address \"::1\" is not IPv4, which udp4 needs"},
	{"127.0.0.1:1:2/tcp6", "parent address \"127.0.0.1\" is not IPv6, which tcp6 needs"},
	{"127.0.0.1:1:2/udp6", "parent address \"127.0.0.1\" is not IPv6, which udp6 needs"},
	{"[fe80::1]:1:2/tcp", "parent address \"fe80::1\" is link-local and needs its interface: "
			      "fe80::1%eth0"},
	{"[::1%lo]:1:2/tcp", "parent address \"::1%lo\": only a link-local address has a "
			     "scope, as in fe80::1%eth0"},
	{"127.0.0.1%lo:1:2/tcp", "parent address \"127.0.0.1%lo\": only a link-local "
				 "address has a scope, as in fe80::1%eth0"},
	{"[fe80::1%]:1:2/tcp", "parent address \"fe80::1%\": only a link-local address has "
			       "a scope, as in fe80::1%eth0"},
	{"[fe80::1%0123456789abcdef]:1:2/tcp",
		"parent address \"fe80::1%0123456789abcdef\": only a link-local address "
		"has a scope, as in fe80::1%eth0"},
};

Test(portspec, refuses_and_names_the_part)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const char *text = refused[i].text;
		struct rk_port_spec spec;
		struct rk_error e = {0};
		char expected[640];

		cr_expect_eq(port_spec_parse(&spec, text, strlen(text), &e), -EINVAL, "%s", text);
		if (text[0] && !strchr(text, '\n')) {
			snprintf(expected, sizeof(expected), "port spec \"%s\": %s", text,
				refused[i].wrong);
			cr_expect_str_eq(e.text, expected);
		} else {
			cr_expect(strstr(e.text, refused[i].wrong), "%s", e.text);
		}
		cr_expect_str_eq(e.hint, FORM_HINT);
		cr_expect_eq(e.code, EINVAL);
	}
}

Test(portspec, reads_and_prints_ranges)
{
	static const struct {
		const char *text;
		uint16_t parent, parent_end, child, child_end;
		const char *printed;
	} cases[] = {
		{":8000-8010:9000-9010/tcp", 8000, 8010, 9000, 9010, NULL},
		{"[::1]:1-65535:[::2]:1-65535/udp", 1, 65535, 1, 65535, NULL},
		{":80-80:81-81/tcp", 80, 0, 81, 81, ":80:81/tcp"},
		{"127.0.0.1:0:80/tcp", 0, 0, 80, 80, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i].text;
		struct rk_port_spec spec;
		struct rk_error e = {0};
		char printed[RK_PORT_TEXT_MAX];

		cr_expect_eq(
			port_spec_parse(&spec, text, strlen(text), &e), 0, "%s: %s", text, e.text);
		cr_expect_eq(spec.parent_port, cases[i].parent, "%s", text);
		cr_expect_eq(spec.parent_port_end, cases[i].parent_end, "%s", text);
		cr_expect_eq(spec.child_port, cases[i].child, "%s", text);
		cr_expect_eq(port_spec_child_end(&spec), cases[i].child_end, "%s", text);
		cr_expect_str_eq(port_spec_format(&spec, printed, sizeof(printed)),
			cases[i].printed ? cases[i].printed : text);
	}
}

Test(portspec, ranges_overlap_in_any_port)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} cases[] = {
		{":80:80/tcp", ":80:81/tcp", true},
		{":80:80/tcp", ":81:80/tcp", false},
		{":80:80/tcp", ":80:80/udp", false},
		{":80:80/tcp", ":80:80/tcp4", false}, // the kernel's question
		{":10-20:10-20/tcp", ":20:1/tcp", true},
		{":10-20:10-20/tcp", ":21:1/tcp", false},
		{":10-20:10-20/tcp", ":9:1/tcp", false},
		{":10-20:10-20/tcp", ":1-10:1-10/tcp", true},
		{":10-20:10-20/tcp", ":1-65535:1-65535/tcp", true},
		{":0:80/tcp", ":0:80/tcp", false},
		{":0:80/tcp", ":1-65535:1-65535/tcp", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_port_spec a, b;
		struct rk_error e;

		cr_assert_eq(port_spec_parse(&a, cases[i].a, strlen(cases[i].a), &e), 0);
		cr_assert_eq(port_spec_parse(&b, cases[i].b, strlen(cases[i].b), &e), 0);
		cr_expect_eq(port_spec_overlaps(&a, &b), cases[i].overlap, "%s %s", cases[i].a,
			cases[i].b);
		cr_expect_eq(port_spec_overlaps(&b, &a), cases[i].overlap, "%s %s", cases[i].b,
			cases[i].a);
	}
}

Test(portspec, refuses_nul_bytes_and_over_long_text)
{
	static char longest[1 << 20];
	struct rk_port_spec spec;
	struct rk_error e;

	cr_expect_eq(port_spec_parse(&spec, ":80:80/tcp\0", 11, &e), -EINVAL);
	cr_expect_str_eq(e.text, "port spec \":80:80/tcp?\": byte 11 is not a printable character");
	cr_expect_eq(port_spec_parse(&spec, "\0", 1, &e), -EINVAL);
	memset(longest, ':', sizeof(longest));
	cr_expect_eq(port_spec_parse(&spec, longest, sizeof(longest), &e), -EINVAL);
	cr_expect(strstr(e.text, ":...\": the spec is longer than 256 bytes"), "%s", e.text);
	cr_expect_eq(port_spec_parse(&spec, longest, 256, &e), -EINVAL);
	cr_expect_eq(port_spec_parse(&spec, "x:1:2/tcp", 9, NULL), -EINVAL);
}

// Each spec ends at the last byte of its own allocation: the sanitizer build sees any byte read
// past the length. Mutations of a good spec reach every branch of the splitter.
Test(portspec, survives_garbage)
{
	static const char good[] = "[fe80::1%eth0]:8080:[::2]:80/udp";
	static const char bytes[] = "[]:/%0a9\xff\n";
	unsigned state = 1;

	for (unsigned round = 0; round < 20000; round++) {
		size_t length = state % sizeof(good);
		char *text = malloc(length + 1);
		char *exact = malloc(length ? length : 1);
		struct rk_port_spec spec;
		struct rk_error e;

		memcpy(text, good, length);
		for (unsigned flips = round % 4; flips > 0 && length > 0; flips--) {
			state = state * 1103515245u + 12345u;
			text[(state >> 8) % length] = bytes[(state >> 16) % (sizeof(bytes) - 1)];
		}
		memcpy(exact, text, length);
		if (port_spec_parse(&spec, exact, length, &e) == 0)
			cr_expect_eq(port_spec_check(&spec, &e), 0);
		else
			cr_expect_eq(spec.parent_port, 0);
		free(exact);
		free(text);
		state = state * 1103515245u + 12345u;
	}
}

Test(portspec, check_covers_specs_made_elsewhere)
{
	struct rk_port_spec good = {.proto = PROTO_TCP6, .parent_port = 1, .child_port = 2};
	struct rk_port_spec spec = good;
	struct rk_error e;

	cr_expect_eq(port_spec_check(&spec, &e), 0);
	spec.parent_port = 0;
	cr_expect_eq(port_spec_check(&spec, &e), 0, "the kernel chooses");
	spec.parent_port_end = 3;
	cr_expect_eq(port_spec_check(&spec, &e), -EINVAL, "but not a range");
	spec = good;
	spec.parent_port_end = 1;
	cr_expect_eq(port_spec_check(&spec, &e), -EINVAL, "a range of one is none");
	spec.parent_port_end = 65534;
	cr_expect_eq(port_spec_check(&spec, &e), 0);
	spec.parent_port_end = 65535;
	cr_expect_eq(port_spec_check(&spec, &e), -EINVAL, "the child has no port 65536");
	spec = good;
	spec.child_port = 0;
	cr_expect_eq(port_spec_check(&spec, &e), -EINVAL);
	spec = good;
	spec.proto = PROTO_COUNT;
	cr_expect_eq(port_spec_check(&spec, &e), -EINVAL);
	spec = good;
	memset(spec.child_ip, '1', sizeof(spec.child_ip)); // no NUL
	cr_expect_eq(port_spec_check(&spec, &e), -EINVAL);
	spec = good;
	strcpy(spec.parent_ip, "[::1]");
	cr_expect_eq(port_spec_check(&spec, &e), -EINVAL);
}

Test(portspec, protocols)
{
	static const struct {
		const char *name;
		bool udp;
		int family;
	} cases[PROTO_COUNT] = {
		{"tcp", false, AF_UNSPEC},
		{"tcp4", false, AF_INET},
		{"tcp6", false, AF_INET6},
		{"udp", true, AF_UNSPEC},
		{"udp4", true, AF_INET},
		{"udp6", true, AF_INET6},
	};
	enum rk_proto proto;

	for (unsigned i = 0; i < PROTO_COUNT; i++) {
		cr_assert_eq(proto_parse(cases[i].name, &proto), 0);
		cr_expect_eq(proto, i);
		cr_expect_str_eq(proto_name(proto), cases[i].name);
		cr_expect_eq(proto_is_udp(proto), cases[i].udp);
		cr_expect_eq(proto_family(proto), cases[i].family);
	}
	cr_expect_eq(proto_parse("TCP", &proto), -EINVAL);
	cr_expect_eq(proto_parse("sctp", &proto), -EINVAL);
	cr_expect_eq(proto_parse("", &proto), -EINVAL);
	cr_expect_eq(proto_parse("tc", &proto), -EINVAL);
	cr_expect_str_eq(proto_name(PROTO_COUNT), "?");
}
