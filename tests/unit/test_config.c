// test_config.c: the key table: every key, every kind of value, checks across keys, printing.

#include "config/config.h"

#include "config/keys.h"
#include "config/value.h"
#include "tests/unit/config_support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// The last value of a key, "" for an empty list.
static char *printed_value(const struct rk_config *config, const struct rk_key *key)
{
	size_t count = value_count(config, key);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (count > 0)
		value_write(config, key, count - 1, out);
	fclose(out);
	return text;
}

static void expect_value(
	const struct rk_config *config, const char *section, const char *name, const char *expected)
{
	const struct rk_key *key;
	struct rk_error e;
	char *text;

	cr_assert_eq(key_find(section, name, &key, &e), 0, "%s", e.text);
	text = printed_value(config, key);
	cr_expect_str_eq(text, expected, "[%s] %s: %s, not %s", section, name, text, expected);
	free(text);
}

static const struct {
	const char *section;
	const char *name;
	const char *initial;
	const char *value;
	const char *printed; // of `value`; NULL: the same
	const char *bad;
	const char *message; // for `bad`
} keys[] = {
	{"engine", "state-dir", "", "/run/user/1 2/x", NULL, "a\nb",
		"\"a?b\" has a line break or control character in it, allowed: a path"},
	{"engine", "workers", "0", "256", NULL, "257",
		"\"257\" is out of range, allowed: 0 to 256"},
	{"engine", "io", "auto", "epoll", NULL, "EPOLL",
		"\"EPOLL\" is not one of the choices, allowed: auto, io_uring, epoll"},
	{"engine", "bulk", "auto", "splice", NULL, "zerocopy",
		"\"zerocopy\" is not one of the choices, allowed: auto, copy, splice"},
	{"engine", "log-level", "info", "debug", NULL, "warn",
		"\"warn\" is not one of the choices, allowed: error, warning, info, debug"},
	{"engine", "log-format", "text", "json", NULL, "",
		"\"\" is not one of the choices, allowed: text, json"},
	{"engine", "udp-idle-timeout", "180s", "3m", "180s", "999ms",
		"\"999ms\" is out of range, allowed: 1s to 24h (units: ms, s, m, h)"},
	{"engine", "connect-timeout", "10s", "1h", NULL, "10",
		"\"10\" has no unit, allowed: 100ms to 1h (units: ms, s, m, h)"},
	{"engine", "max-flows", "65536", "1048576", NULL, "15",
		"\"15\" is out of range, allowed: 16 to 1048576"},
	{"engine", "pool-size", "128", "1", NULL, "-1",
		"\"-1\" is not a number, allowed: 1 to 4096"},
	{"engine", "seccomp", "auto", "true", NULL, "on",
		"\"on\" is not one of the choices, allowed: auto, true, false"},
	{"engine", "landlock", "auto", "false", NULL, "no",
		"\"no\" is not one of the choices, allowed: auto, true, false"},
	{"network", "driver", "slirp4netns", "none", NULL, "",
		"must not be empty, allowed: the name of a network driver"},
	{"network", "mtu", "0", "65521", NULL, "65522",
		"\"65522\" is out of range, allowed: 0 to 65521"},
	{"network", "cidr", "", "10.0.2.0/24", NULL, "10.0.2.100/24",
		"\"10.0.2.100/24\" is the address of a host, its network is 10.0.2.0/24, "
		"allowed: an IPv4 network such as 10.0.2.0/24"},
	{"network", "ifname", "", "exactly15bytes_", NULL, "sixteen-bytes-xx",
		"\"sixteen-bytes-xx\" is longer than 15 bytes, "
		"allowed: at most 15 characters without '/', ':' or blanks"},
	{"network", "disable-host-loopback", "true", "false", NULL, "no",
		"\"no\" is neither true nor false, allowed: true, false"},
	{"network", "ipv6", "false", "true", NULL, "True",
		"\"True\" is neither true nor false, allowed: true, false"},
	{"network", "detach-netns", "false", "true", NULL, "yes",
		"\"yes\" is neither true nor false, allowed: true, false"},
	{"slirp4netns", "binary", "slirp4netns", "/opt/my slirp", NULL, " x",
		"\" x\" begins or ends with a blank, "
		"allowed: a path, or a name that is looked up on $PATH"},
	{"slirp4netns", "sandbox", "auto", "true", NULL, "maybe",
		"\"maybe\" is not one of the choices, allowed: auto, true, false"},
	{"slirp4netns", "seccomp", "auto", "false", NULL, "0",
		"\"0\" is not one of the choices, allowed: auto, true, false"},
	{"pasta", "binary", "pasta", "/opt/pasta", NULL, "",
		"must not be empty, allowed: a path, or a name that is looked up on $PATH"},
	{"gvisor-tap-vsock", "binary", "gvproxy", "/opt/gvisor-tap-vsock", NULL, "",
		"must not be empty, allowed: a path, or a name that is looked up on $PATH"},
	{"vpnkit", "binary", "vpnkit", "/opt/vpnkit", NULL, "",
		"must not be empty, allowed: a path, or a name that is looked up on $PATH"},
	{"vdeplug_slirp", "binary", "vde_plug", "/opt/vdeplug_slirp", NULL, "",
		"must not be empty, allowed: a path, or a name that is looked up on $PATH"},
	{"lxc-user-nic", "binary", "/usr/libexec/lxc/lxc-user-nic", "/opt/lxc-user-nic", NULL, "",
		"must not be empty, allowed: a path, or a name that is looked up on $PATH"},
	{"lxc-user-nic", "bridge", "lxcbr0", "br0", NULL, "a/b",
		"\"a/b\" is not the name of an interface, "
		"allowed: at most 15 characters without '/', ':' or blanks"},
	{"mount", "copy-up", "", "/etc", NULL, "/tmp",
		"\"/tmp\" cannot be copied up, allowed: an absolute directory, not / or /tmp"},
	{"mount", "copy-up-mode", "tmpfs+symlink", "tmpfs+symlink", NULL, "overlay",
		"\"overlay\" is not one of the choices, allowed: tmpfs+symlink"},
	{"mount", "propagation", "rprivate", "rshared", NULL, "unbindable",
		"\"unbindable\" is not one of the choices, "
		"allowed: private, rprivate, slave, rslave, shared, rshared"},
	{"port", "driver", "builtin", "none", NULL, "",
		"must not be empty, allowed: the name of a port driver"},
	{"port", "publish", "", "[::1]:8080:[::2]:80/udp", NULL, "a:b/tcp",
		"port spec \"a:b/tcp\": parent address or a port is missing (all addresses: "
		":8080:80/tcp), allowed: " PORT_FORM},
	{"port", "source-ip", "auto", "require", NULL, "on",
		"\"on\" is not one of the choices, allowed: auto, off, prefer, require"},
	{"port", "proxy-protocol", "off", "v2", NULL, "3",
		"\"3\" is not one of the choices, allowed: off, v1, v2"},
	{"port", "keepalive", "true", "false", NULL, "off",
		"\"off\" is neither true nor false, allowed: true, false"},
	{"port", "keepalive-time", "0s", "90s", NULL, "10h",
		"\"10h\" is out of range, allowed: 0s to 9h (units: ms, s, m, h)"},
	{"port", "user-timeout", "0s", "24h", NULL, "25h",
		"\"25h\" is out of range, allowed: 0s to 24h (units: ms, s, m, h)"},
	{"port", "max-pending", "1024", "0", NULL, "-1",
		"\"-1\" is not a number, allowed: 0 to 1048576"},
	{"socat", "binary", "socat", "/opt/socat", NULL, "",
		"must not be empty, allowed: a path, or a name that is looked up on $PATH"},
	{"process", "command", "", "/bin/sh -c \"a; b ; c # d\"", NULL, "x\t",
		"\"x?\" begins or ends with a blank, allowed: a shell command"},
	{"process", "pidns", "false", "true", NULL, "1",
		"\"1\" is neither true nor false, allowed: true, false"},
	{"process", "cgroupns", "false", "true", NULL, "truer",
		"\"truer\" is neither true nor false, allowed: true, false"},
	{"process", "utsns", "false", "true", NULL, "t",
		"\"t\" is neither true nor false, allowed: true, false"},
	{"process", "ipcns", "false", "true", NULL, "",
		"\"\" is neither true nor false, allowed: true, false"},
	{"process", "reaper", "auto", "true", NULL, "1",
		"\"1\" is not one of the choices, allowed: auto, true, false"},
	{"process", "evacuate-cgroup2", "", "init", NULL, "a/b",
		"\"a/b\" is not the name of a cgroup, "
		"allowed: the name of a cgroup, without '/'"},
	{"process", "subid-source", "auto", "static", NULL, "nss",
		"\"nss\" is not one of the choices, allowed: auto, dynamic, static"},
	{"process", "stop-timeout", "10s", "0s", NULL, "5 s",
		"\"5 s\" has an unknown unit, allowed: 0s to 1h (units: ms, s, m, h)"},
	{"api", "socket", "", "/run/api.sock", NULL,
		"/012345678901234567890123456789012345678901234567890123456789012345678901234567890"
		"1"
		"23456789012345678901234567",
		"\"/"
		"01234567890123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567\" has 109 bytes, allowed: a path of at most 107 "
		"bytes"},
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

Test(config, table_is_complete_and_ordered)
{
	const struct rk_section *section = rk_sections;
	size_t i = 0;

	for (const struct rk_key *key = rk_keys; key->name; key++, i++) {
		cr_assert_lt(i, KEY_COUNT, "[%s] %s has no row here", key->section, key->name);
		cr_expect_str_eq(key->section, keys[i].section);
		cr_expect_str_eq(key->name, keys[i].name);
		while (section->name && strcmp(section->name, key->section) != 0)
			section++;
		cr_assert(section->name, "[%s] stands in the wrong order", key->section);
		cr_expect(key->help && key->help[0]);
		cr_expect_eq(key->initial == NULL, key_is_repeatable(key));
		if (key->type == KEY_STRING || key->type == KEY_STRINGS)
			cr_expect(key->allowed, "%s", key->name);
	}
	cr_expect_eq(i, KEY_COUNT);
}

Test(config, every_key_has_its_default)
{
	struct rk_config config;

	cr_assert_eq(config_init(&config), 0);
	for (size_t i = 0; i < KEY_COUNT; i++)
		expect_value(&config, keys[i].section, keys[i].name, keys[i].initial);
	cr_expect_eq(config.engine.udp_idle_timeout_ms, 180000);
	cr_expect_eq(config.engine.io, IO_AUTO);
	cr_expect_eq(config.engine.log_level, LOG_LEVEL_INFO);
	cr_expect_eq(config.slirp4netns.sandbox, TRISTATE_AUTO);
	cr_expect_eq(config.mount.propagation, PROPAGATION_RPRIVATE);
	cr_expect(config.network.disable_host_loopback);
	cr_expect_eq(config.port.publish.count, 0);
	cr_expect_str_eq(config.process.command, "");
	cr_expect_eq(config_check(&config, NULL), 0);
	config_free(&config);
	config_free(&config);
}

Test(config, every_key_is_set_and_printed)
{
	struct rk_config config;
	struct rk_error e = {0};

	cr_assert_eq(config_init(&config), 0);
	for (size_t i = 0; i < KEY_COUNT; i++) {
		cr_expect_eq(config_set(&config, keys[i].section, keys[i].name, keys[i].value, &e),
			0, "%s", e.text);
		expect_value(&config, keys[i].section, keys[i].name,
			keys[i].printed ? keys[i].printed : keys[i].value);
	}
	cr_expect_eq(config.engine.io, IO_EPOLL);
	cr_expect_eq(config.engine.log_level, LOG_LEVEL_DEBUG);
	cr_expect_eq(config.engine.log_format, LOG_FORMAT_JSON);
	cr_expect_eq(config.slirp4netns.sandbox, TRISTATE_TRUE);
	cr_expect_eq(config.slirp4netns.seccomp, TRISTATE_FALSE);
	cr_expect_eq(config.mount.propagation, PROPAGATION_RSHARED);
	cr_expect_str_eq(config.port.publish.items[0].child_ip, "::2");
	config_free(&config);
}

Test(config, every_key_refuses_what_is_not_allowed)
{
	struct rk_config config;
	char expected[1024];

	cr_assert_eq(config_init(&config), 0);
	for (size_t i = 0; i < KEY_COUNT; i++) {
		struct rk_error e = {0};

		cr_expect_eq(config_set(&config, keys[i].section, keys[i].name, keys[i].bad, &e),
			-EINVAL, "%s", keys[i].name);
		snprintf(expected, sizeof(expected), "[%s] %s: %s", keys[i].section, keys[i].name,
			keys[i].message);
		cr_expect_str_eq(e.text, expected, "\n got: %s\nwant: %s", e.text, expected);
		expect_value(&config, keys[i].section, keys[i].name, keys[i].initial);
	}
	config_free(&config);
}

static void expect_set(const char *section, const char *key, const char *value, bool legal)
{
	struct rk_config config;
	struct rk_error e = {0};

	config_init(&config);
	cr_expect_eq(config_set(&config, section, key, value, &e), legal ? 0 : -EINVAL,
		"%s = '%s': %s", key, value, e.text);
	config_free(&config);
}

Test(config, durations)
{
	static const struct {
		const char *text;
		uint32_t ms;
		const char *printed;
	} good[] = {
		{"0s", 0, "0s"},
		{"0ms", 0, "0s"},
		{"1ms", 1, "1ms"},
		{"500ms", 500, "500ms"},
		{"2000ms", 2000, "2s"},
		{"90s", 90000, "90s"},
		{"3m", 180000, "180s"},
		{"60m", 3600000, "1h"},
		{"007s", 7000, "7s"},
	};
	static const char *const bad[] = {"", "s", "ms", "1", "1 s", "1S", "1sec", "-1s", "+1s",
		"1.5s", "0x1s", "2h", "3600001ms", "99999999999999999999999h", "1193047h",
		"4294968s", " 1s", "1s "};
	struct rk_config config;

	config_init(&config);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_expect_eq(config_set(&config, "process", "stop-timeout", good[i].text, NULL), 0);
		cr_expect_eq(config.process.stop_timeout_ms, good[i].ms, "%s", good[i].text);
		expect_value(&config, "process", "stop-timeout", good[i].printed);
	}
	config_free(&config);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_set("process", "stop-timeout", bad[i], false);
}

Test(config, numbers)
{
	static const char *const bad[] = {"", "x", "1x", "-0", "+1", " 1", "1 ", "0x10", "1e3",
		"65522", "4294967296", "4294967297", "18446744073709551616",
		"99999999999999999999999999"};

	expect_set("network", "mtu", "0", true);
	expect_set("network", "mtu", "0001500", true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_set("network", "mtu", bad[i], false);
}

Test(config, networks)
{
	static const char *const good[] = {
		"", "10.0.2.0/24", "10.0.0.0/8", "192.168.1.4/30", "128.0.0.0/1", "0.0.0.0/1"};
	static const char *const bad[] = {"10.0.2.0", "10.0.2.100/24", "10.0.2.0/0", "10.0.2.0/31",
		"10.0.2.0/32", "10.0.2.0/", "10.0.2.0/024", "10.0.2.0/-1", "10.0.2.0/2x", "/24",
		"10.0.2/24", "10.0.2.0/24/24", "fd00::/64", "255.255.255.2555/24", "a/8"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		expect_set("network", "cidr", good[i], true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_set("network", "cidr", bad[i], false);
}

Test(config, interface_names)
{
	static const char *const bad[] = {"a/b", ".", "..", "a b", "a:1", "0123456789abcdef"};

	expect_set("network", "ifname", "tap0", true);
	expect_set("network", "ifname", "...", true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_set("network", "ifname", bad[i], false);
}

Test(config, directories_to_copy_up)
{
	static const char *const good[] = {
		"/etc", "/etc/", "/var/lib", "/tmpx", "/var/tmp", "/tmp/x", "/...", "/a.b/.c"};
	static const char *const bad[] = {"", "etc", "./etc", "/", "//", "/tmp", "/tmp/", "//tmp//",
		"/etc/..", "/../tmp", "/etc/./x", "/."};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		expect_set("mount", "copy-up", good[i], true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_set("mount", "copy-up", bad[i], false);
}

Test(config, strings_are_what_a_line_can_carry)
{
	char longest[RK_VALUE_MAX + 2];

	memset(longest, 'x', sizeof(longest));
	longest[RK_VALUE_MAX] = '\0';
	expect_set("process", "command", longest, true);
	longest[RK_VALUE_MAX] = 'x';
	longest[RK_VALUE_MAX + 1] = '\0';
	expect_set("process", "command", longest, false);
	expect_set("process", "command", "", true);
	expect_set("process", "command", "a\tb", true);
	expect_set("process", "command", "gr\xc3\xbc\xc3\x9f", true);
	expect_set("process", "command", "a\nb", false);
	expect_set("process", "command", "a\r", false);
	expect_set("process", "command", "a\x1b[0m", false);
	expect_set("process", "command", "a\x7f", false);
	expect_set("process", "command", "a ", false);
	expect_set("process", "command", "\ta", false);
}

static void expect_checked(const char *text, const char *message)
{
	struct rk_config config;
	struct rk_error e = {0};

	config_init(&config);
	cr_assert_eq(support_read_text(&config, text, &e), 0, "%s", e.text);
	cr_expect_eq(config_check(&config, &e), message ? -EINVAL : 0, "%s", text);
	cr_expect_str_eq(e.text, message ? message : "", "got: %s", e.text);
	config_free(&config);
}

Test(config, checks_across_keys)
{
	char text[256] = "[engine]\nstate-dir = /";

	expect_checked("[mount]\npropagation = shared\n", NULL);
	expect_checked("[mount]\npropagation = rslave\ncopy-up = /etc\n", NULL);
	expect_checked("[mount]\npropagation = shared\ncopy-up = /etc\n",
		"[mount] propagation: shared lets the mounts of copy-up out into the host, "
		"allowed with copy-up: private, rprivate, slave, rslave");
	expect_checked("[mount]\npropagation = rshared\ncopy-up = /etc\n",
		"[mount] propagation: rshared lets the mounts of copy-up out into the host, "
		"allowed with copy-up: private, rprivate, slave, rslave");
	expect_checked("[mount]\ncopy-up = /etc\ncopy-up = /run\ncopy-up = /etc\n",
		"[mount] copy-up: /etc is given twice");
	expect_checked("[port]\npublish = :80:1/tcp\npublish = :80:2/udp\n"
		       "publish = 127.0.0.1:80:3/tcp\npublish = :81:4/tcp\n",
		NULL);
	expect_checked("[port]\npublish = :80:1/tcp4\npublish = :80:2/tcp6\n", NULL);
	expect_checked("[port]\npublish = :80:1/tcp\npublish = :80:2/tcp\n",
		"[port] publish: :80:2/tcp wants the parent address of :80:1/tcp");
	memset(text + strlen(text), 'x', 97); // "/x...x/api.sock" has 107 bytes
	expect_checked(text, NULL);
	strcat(text, "x");
	expect_checked(text, "[engine] state-dir: the path of its api.sock has 108 bytes, "
			     "allowed: 107");
	// The state directory itself takes no longer one (base/statedir.c), whatever else is set.
	strcat(text, "\n[api]\nsocket = /run/api.sock\n");
	expect_checked(text, "[engine] state-dir: the path of its api.sock has 108 bytes, "
			     "allowed: 107");
}

Test(config, what_is_printed_reads_back_equal)
{
	static const char *const commands[] = {"/bin/sh -c \"a; b\"", "a ; b", "; a", "# a", "[a]",
		"= a = b", ": a", "\"quoted\"", "a\tb", "a\\", "'", "gr\xc3\xbc\xc3\x9f", "%s%n"};
	char longest[RK_VALUE_MAX + 1];
	struct rk_config config;

	config_init(&config);
	support_expect_round_trip(&config);
	for (size_t i = 0; i < KEY_COUNT; i++)
		cr_assert_eq(
			config_set(&config, keys[i].section, keys[i].name, keys[i].value, NULL), 0);
	config_set(&config, "port", "publish", ":1:[fe80::1%tap0]:2/tcp6", NULL);
	config_set(&config, "port", "publish", "127.0.0.1:1::2/udp4", NULL);
	config_set(&config, "mount", "copy-up", "/var/li b;x", NULL);
	config_set(&config, "engine", "udp-idle-timeout", "1001ms", NULL);
	support_expect_round_trip(&config);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		cr_assert_eq(config_set(&config, "process", "command", commands[i], NULL), 0);
		support_expect_round_trip(&config);
	}
	memset(longest, ';', RK_VALUE_MAX);
	longest[RK_VALUE_MAX] = '\0';
	cr_assert_eq(config_set(&config, "process", "command", longest, NULL), 0);
	support_expect_round_trip(&config);
	config_free(&config);
}

Test(config, help_names_every_key)
{
	char *help = NULL;
	size_t size;
	FILE *out = open_memstream(&help, &size);

	config_print_help(out);
	fclose(out);

	for (size_t i = 0; i < KEY_COUNT; i++) {
		cr_expect(strstr(help, keys[i].section), "%s", keys[i].section);
		cr_expect(strstr(help, keys[i].name), "%s", keys[i].name);
	}
	cr_expect(strstr(help, "Allowed: auto, io_uring, epoll; default: auto\n"));
	cr_expect(strstr(help, "Allowed: " PORT_FORM "; default: none; repeatable\n"));
	free(help);
}
