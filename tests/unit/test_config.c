// test_config.c: the configuration: every key, every message, file, command line and printing.

#include "config/config.h"
#include "config/keys.h"
#include "config/value.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT_FORM "[PARENT-IP]:PARENT-PORT[:CHILD-IP]:CHILD-PORT/PROTO"
#define SECTIONS  "engine, network, slirp4netns, mount, port, process, api"

// --- helpers ----------------------------------------------------------------------------------

// The text that `print` writes; the caller frees it.
static char *printed_config(const struct rk_config *config)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_print(config, out);
	fclose(out);
	return text;
}

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

static int read_text(struct rk_config *config, const char *text, struct rk_error *e)
{
	return config_read_text(config, "t.ini", text, strlen(text), e);
}

static void expect_refused(const char *text, const char *message)
{
	struct rk_config config;
	struct rk_error e = {0};

	config_init(&config);
	cr_expect_eq(read_text(&config, text, &e), -EINVAL, "%s", text);
	cr_expect_eq(e.code, EINVAL);
	cr_expect_str_eq(e.text, message, "\n got: %s\nwant: %s", e.text, message);
	config_free(&config);
}

// --- every key --------------------------------------------------------------------------------

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
		"\"EPOLL\" is not one of the choices, allowed: auto, uring, epoll"},
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
	{"slirp4netns", "binary", "slirp4netns", "/opt/my slirp", NULL, " x",
		"\" x\" begins or ends with a blank, "
		"allowed: a path, or a name that is looked up on $PATH"},
	{"slirp4netns", "sandbox", "auto", "true", NULL, "maybe",
		"\"maybe\" is not one of the choices, allowed: auto, true, false"},
	{"slirp4netns", "seccomp", "auto", "false", NULL, "0",
		"\"0\" is not one of the choices, allowed: auto, true, false"},
	{"mount", "copy-up", "", "/etc", NULL, "/tmp",
		"\"/tmp\" cannot be copied up, allowed: an absolute directory, not / or /tmp"},
	{"mount", "propagation", "rprivate", "rshared", NULL, "unbindable",
		"\"unbindable\" is not one of the choices, "
		"allowed: private, rprivate, slave, rslave, shared, rshared"},
	{"port", "driver", "builtin", "none", NULL, "",
		"must not be empty, allowed: the name of a port driver"},
	{"port", "publish", "", "[::1]:8080:[::2]:80/udp", NULL, "a:b/tcp",
		"port spec \"a:b/tcp\": parent address or a port is missing (all addresses: "
		":8080:80/tcp), allowed: " PORT_FORM},
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

// --- single kinds of values -------------------------------------------------------------------

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
	expect_set("process", "command",
		"gr\xc3\xbc\xc3\x9f"
		"e",
		true);
	expect_set("process", "command", "a\nb", false);
	expect_set("process", "command", "a\r", false);
	expect_set("process", "command", "a\x1b[0m", false);
	expect_set("process", "command", "a\x7f", false);
	expect_set("process", "command", "a ", false);
	expect_set("process", "command", "\ta", false);
}

// --- the file ---------------------------------------------------------------------------------

Test(config, file_sets_what_it_names)
{
	static const char text[] = "\xef\xbb\xbf# comment\n"
				   "; another\r\n"
				   "\n"
				   "  [engine]   # behind a section\n"
				   "workers=3\r\n"
				   "   udp-idle-timeout   =   5s   \n"
				   "[port]\n"
				   "publish = 127.0.0.1:8080:80/tcp\n"
				   "publish = :53:53/udp\n"
				   "[process]\n"
				   "command = /bin/sh -c \"a; b\" ; # still the command\n"
				   "[mount]\n"
				   "copy-up = /etc\n"
				   "copy-up = /run\n"
				   "[engine] ; opened again\n"
				   "max-flows = 16";
	struct rk_config config;
	struct rk_error e = {0};

	config_init(&config);
	cr_assert_eq(
		config_read_text(&config, "t.ini", text, sizeof(text) - 1, &e), 0, "%s", e.text);
	cr_expect_eq(config.engine.workers, 3);
	cr_expect_eq(config.engine.udp_idle_timeout_ms, 5000);
	cr_expect_eq(config.engine.max_flows, 16);
	cr_assert_eq(config.port.publish.count, 2);
	cr_expect_eq(config.port.publish.items[1].proto, PROTO_UDP);
	cr_assert_eq(config.mount.copy_up.count, 2);
	cr_expect_str_eq(config.mount.copy_up.items[1], "/run");
	cr_expect_str_eq(config.process.command, "/bin/sh -c \"a; b\" ; # still the command");
	cr_expect_eq(config.engine.pool_size, 128);
	config_free(&config);
}

Test(config, file_errors_name_line_section_and_key)
{
	expect_refused("[network]\nmtu = 99999\n",
		"t.ini:2: [network] mtu: \"99999\" is out of range, allowed: 0 to 65521");
	expect_refused("# c\n\n[network]\n\nmut = 1\n",
		"t.ini:5: [network] mut: unknown key, allowed: driver, mtu, cidr, ifname, "
		"disable-host-loopback, ipv6");
	expect_refused("[network]\nMTU = 1\n",
		"t.ini:2: [network] MTU: unknown key, allowed: driver, mtu, cidr, ifname, "
		"disable-host-loopback, ipv6");
	expect_refused("\n[netwrok]\n", "t.ini:2: [netwrok]: unknown section, allowed: " SECTIONS);
	expect_refused("[]\n", "t.ini:1: []: unknown section, allowed: " SECTIONS);
	expect_refused("[a\x1b]\n", "t.ini:1: [a?]: unknown section, allowed: " SECTIONS);
	expect_refused("workers = 1\n", "t.ini:1: [] workers: a key before the first [section]");
	expect_refused("[engine]\nworkers = 1\n[port]\n[engine]\nworkers = 1\n",
		"t.ini:5: [engine] workers: given twice, first on line 2");
	expect_refused("[port]\npublish = 127.0.0.1:1:2/tcp\npublish = x:1:2/tcp\n",
		"t.ini:3: [port] publish: port spec \"x:1:2/tcp\": parent address \"x\" is not an "
		"IP address, allowed: " PORT_FORM);
	expect_refused("[engine]\nlog-level = info ; the default\n",
		"t.ini:2: [engine] log-level: \"info ; the default\" is not one of the choices, "
		"allowed: error, warning, info, debug");
	expect_refused("[engine]\n= 4\n",
		"t.ini:2: [engine] : unknown key, allowed: state-dir, workers, io, log-level, "
		"log-format, udp-idle-timeout, connect-timeout, max-flows, pool-size");
}

Test(config, file_syntax_errors_name_the_line)
{
	static const char neither[] =
		": the line is neither a [section] nor key = value nor a # comment";
	char message[128];

	snprintf(message, sizeof(message), "t.ini:2%s", neither);
	expect_refused("[engine]\nworkers\nio = auto\n", message);
	snprintf(message, sizeof(message), "t.ini:3%s", neither);
	expect_refused("[process]\ncommand = a\n  goes on\n", message);
	expect_refused("[engine\nworkers = 1\n", "t.ini:1: the section's ']' is missing");
	expect_refused("[engine] workers = 1\n",
		"t.ini:1: \"workers = 1\" behind the section is not allowed");
	expect_refused("[engine]x\n", "t.ini:1: \"x\" behind the section is not allowed");
}

Test(config, file_lines_and_size_are_bounded)
{
	static char text[2 << 20];
	struct rk_config config;
	struct rk_error e = {0};
	size_t start = strlen(strcpy(text, "[process]\ncommand = "));
	size_t value = 4000;

	config_init(&config);
	memset(text + start, 'x', value);
	strcpy(text + start + value, "\n[engine]\nworkers = 7\n");
	cr_expect_eq(read_text(&config, text, &e), 0, "%s", e.text);
	cr_expect_eq(strlen(config.process.command), value);
	cr_expect_eq(config.engine.workers, 7);
	memset(text + start, 'x', 4001);
	strcpy(text + start + 4001, "\n");
	cr_expect_eq(read_text(&config, text, &e), -EINVAL);
	cr_expect_str_eq(e.text, "t.ini:2: [process] command: the value has 4001 bytes, at most "
				 "4000 are read, allowed: a shell command");
	memset(text + start, 'x', 5000);
	strcpy(text + start + 5000, "\n");
	cr_expect_eq(read_text(&config, text, &e), -EINVAL);
	cr_expect_str_eq(e.text, "t.ini:2: the line is too long, allowed: 4095 bytes");
	memset(text, '#', sizeof(text));
	cr_expect_eq(config_read_text(&config, "t.ini", text, sizeof(text), &e), -EINVAL);
	cr_expect_str_eq(e.text, "t.ini:1: the line is too long, allowed: 4095 bytes");
	cr_expect_eq(
		config_read_text(&config, "t.ini", "[engine]\nio = au\0to\n", 20, &e), -EINVAL);
	cr_expect_str_eq(e.text, "t.ini:2: the line has a NUL byte in it");
	cr_expect_eq(config_read_text(&config, "t.ini", "", 0, &e), 0);
	config_free(&config);
}

// A comment line of the largest size must count as one line.
Test(config, file_line_numbers_stay_exact_behind_long_lines)
{
	static char text[8192];

	memset(text, '#', 4095);
	strcpy(text + 4095, "\n[engine]\nworkers = x\n");
	expect_refused(text, "t.ini:3: [engine] workers: \"x\" is not a number, allowed: 0 to 256");
}

Test(config, file_garbage_harms_nothing)
{
	static const char bytes[] = "[]=;#\n\r\t \0abcengine\xff:.\"";
	unsigned state = 7;

	for (unsigned round = 0; round < 3000; round++) {
		size_t length = round % 200;
		char *text = malloc(length ? length : 1);
		struct rk_config config;
		struct rk_error e = {0};

		for (size_t i = 0; i < length; i++) {
			state = state * 1103515245u + 12345u;
			text[i] = bytes[(state >> 16) % (sizeof(bytes) - 1)];
		}
		config_init(&config);
		if (config_read_text(&config, "t.ini", text, length, &e) < 0)
			cr_expect_eq(strncmp(e.text, "t.ini:", 6), 0, "%s", e.text);
		config_free(&config);
		free(text);
	}
}

// --- files on disk ----------------------------------------------------------------------------

static char directory[] = "/tmp/rk-test-config-XXXXXX";
static char path[64];

static void make_directory(void)
{
	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/a.ini", directory);
}

static void remove_directory(void)
{
	unlink(path);
	rmdir(directory);
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "we");

	cr_assert(file);
	fputs(text, file);
	fclose(file);
}

Test(config_disk, file_is_read_or_named, .init = make_directory, .fini = remove_directory)
{
	struct rk_config config;
	struct rk_error e = {0};
	char expected[256];
	FILE *file;

	config_init(&config);
	cr_expect_eq(config_read_file(&config, path, &e), -ENOENT);
	snprintf(expected, sizeof(expected),
		"%s: cannot read the configuration: No such file or directory", path);
	cr_expect_str_eq(e.text, expected);
	cr_expect_eq(config_read_file(&config, directory, &e), -EISDIR);
	write_file("[engine]\nworkers = 5\n");
	cr_expect_eq(config_read_file(&config, path, &e), 0, "%s", e.text);
	cr_expect_eq(config.engine.workers, 5);
	write_file("[engine]\nworkers = x\n");
	cr_expect_eq(config_read_file(&config, path, &e), -EINVAL);
	snprintf(expected, sizeof(expected),
		"%s:2: [engine] workers: \"x\" is not a number, allowed: 0 to 256", path);
	cr_expect_str_eq(e.text, expected);
	file = fopen(path, "we");
	for (int i = 0; i < 1 << 16; i++)
		fputs("# as long as it gets\n", file);
	fclose(file);
	cr_expect_eq(config_read_file(&config, path, &e), -EFBIG);
	snprintf(expected, sizeof(expected), "%s: the file is too large, allowed: 1048576 bytes",
		path);
	cr_expect_str_eq(e.text, expected);
	config_free(&config);
}

// --- printing ---------------------------------------------------------------------------------

static void expect_round_trip(const struct rk_config *config)
{
	char *text = printed_config(config);
	struct rk_config again;
	struct rk_error e = {0};
	char *second;

	config_init(&again);
	cr_expect_eq(read_text(&again, text, &e), 0, "%s\n%s", e.text, text);
	second = printed_config(&again);
	cr_expect_str_eq(text, second);
	cr_expect_str_eq(again.process.command, config->process.command);
	cr_expect_str_eq(again.engine.state_dir, config->engine.state_dir);
	cr_expect_eq(again.engine.udp_idle_timeout_ms, config->engine.udp_idle_timeout_ms);
	cr_expect_eq(again.port.publish.count, config->port.publish.count);
	for (size_t i = 0; i < config->port.publish.count; i++)
		cr_expect_eq(memcmp(&again.port.publish.items[i], &config->port.publish.items[i],
				     sizeof(struct rk_port_spec)),
			0);
	config_free(&again);
	free(second);
	free(text);
}

Test(config, what_is_printed_reads_back_equal)
{
	static const char *const commands[] = {"/bin/sh -c \"a; b\"", "a ; b", "; a", "# a", "[a]",
		"= a = b", ": a", "\"quoted\"", "a\tb", "a\\", "'",
		"gr\xc3\xbc\xc3\x9f"
		"e",
		"%s%n"};
	char longest[RK_VALUE_MAX + 1];
	struct rk_config config;

	config_init(&config);
	expect_round_trip(&config);
	for (size_t i = 0; i < KEY_COUNT; i++)
		cr_assert_eq(
			config_set(&config, keys[i].section, keys[i].name, keys[i].value, NULL), 0);
	config_set(&config, "port", "publish", ":1:[fe80::1%tap0]:2/tcp6", NULL);
	config_set(&config, "port", "publish", "127.0.0.1:1::2/udp4", NULL);
	config_set(&config, "mount", "copy-up", "/var/li b;x", NULL);
	config_set(&config, "engine", "udp-idle-timeout", "1001ms", NULL);
	expect_round_trip(&config);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		cr_assert_eq(config_set(&config, "process", "command", commands[i], NULL), 0);
		expect_round_trip(&config);
	}
	memset(longest, ';', RK_VALUE_MAX);
	longest[RK_VALUE_MAX] = '\0';
	cr_assert_eq(config_set(&config, "process", "command", longest, NULL), 0);
	expect_round_trip(&config);
	config_free(&config);
}

// The text of one of the printers without configuration; the caller frees it.
static char *printed_reference(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	print(out);
	fclose(out);
	return text;
}

Test(config, help_names_every_key)
{
	char *help = printed_reference(config_print_help);

	for (size_t i = 0; i < KEY_COUNT; i++) {
		cr_expect(strstr(help, keys[i].section), "%s", keys[i].section);
		cr_expect(strstr(help, keys[i].name), "%s", keys[i].name);
	}
	cr_expect(strstr(help, "Allowed: auto, uring, epoll; default: auto\n"));
	cr_expect(strstr(help, "Allowed: " PORT_FORM "; default: none; repeatable\n"));
	free(help);
}

// "RK_SOURCE_DIR/NAME", or NAME in the current directory.
static const char *source_path(const char *name, char *text, size_t size)
{
	const char *source_dir = getenv("RK_SOURCE_DIR");

	snprintf(text, size, "%s/%s", source_dir ? source_dir : ".", name);
	return text;
}

// RK_UPDATE_DOCS=1 writes the page instead of comparing it.
Test(config, documentation_is_up_to_date)
{
	char *expected = printed_reference(config_print_markdown);
	bool update = getenv("RK_UPDATE_DOCS");
	static char found[1 << 16];
	char name[4096];
	FILE *file = fopen(
		source_path("docs/configuration.md", name, sizeof(name)), update ? "we" : "re");

	cr_assert(file, "%s: %s", name, strerror(errno));
	if (update) {
		fputs(expected, file);
	} else {
		found[fread(found, 1, sizeof(found) - 1, file)] = '\0';
		cr_expect(strcmp(found, expected) == 0,
			"%s is out of date: run the unit tests once with RK_UPDATE_DOCS=1", name);
	}
	fclose(file);
	free(expected);
}

Test(config, example_is_valid)
{
	struct rk_config config;
	struct rk_error e = {0};
	char name[4096];

	config_init(&config);
	cr_expect_eq(config_read_file(
			     &config, source_path("config/rootless.ini", name, sizeof(name)), &e),
		0, "%s", e.text);
	cr_expect_eq(config_check(&config, &e), 0, "%s", e.text);
	cr_expect_eq(config.port.publish.count, 4);
	expect_round_trip(&config);
	config_free(&config);
}

// --- the command line -------------------------------------------------------------------------

static char others[256];

static int take_other(void *context, const char *option, const char *next, struct rk_error *e)
{
	cr_expect_eq(context, others);
	if (strcmp(option, "--unknown") == 0)
		return error_set(e, EINVAL, "--unknown: unknown option");
	if (strcmp(option, "--none") == 0)
		return error_set(e, EINVAL, "--none: no such thing");
	strcat(others, option);
	if (strcmp(option, "--two") == 0) {
		strcat(others, "=");
		strcat(others, next ? next : "(none)");
		strcat(others, ",");
		return 2;
	}
	strcat(others, ",");
	return 1;
}

// Reads the NULL-terminated words behind the program's name.
static int read_words(struct rk_config *config, struct rk_error *e, const char *const *words)
{
	char *argv[32] = {(char *)"program"};
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	others[0] = '\0';
	return config_read_arguments(config, argc, argv, take_other, others, e);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

Test(config_disk, command_line_wins_wherever_the_file_stands, .init = make_directory,
	.fini = remove_directory)
{
	struct rk_config config;
	struct rk_error e = {0};
	char config_option[128];
	const char *const *orders[] = {
		WORDS("--network.mtu=1500", "--port.publish=:2:2/tcp", "-c", path),
		WORDS("-c", path, "--network.mtu=1500", "-o", "port.publish=:2:2/tcp"),
		WORDS("-o", "network.mtu=1500", config_option, "--port.publish=:2:2/tcp"),
		WORDS("--config", path, "--network.mtu=9", "--network.mtu=1500",
			"--port.publish=:2:2/tcp"),
	};

	write_file("[network]\nmtu = 9000\nifname = eth7\n[port]\npublish = :1:1/tcp\n");
	snprintf(config_option, sizeof(config_option), "--config=%s", path);
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		config_init(&config);
		cr_expect_gt(read_words(&config, &e, orders[i]), 0, "%s", e.text);
		cr_expect_eq(config.network.mtu, 1500);
		cr_expect_str_eq(config.network.ifname, "eth7");
		cr_assert_eq(config.port.publish.count, 2, "a repeatable key appends");
		cr_expect_eq(config.port.publish.items[0].parent_port, 1);
		cr_expect_eq(config.port.publish.items[1].parent_port, 2);
		config_free(&config);
	}
}

Test(config, command_line_finds_the_command)
{
	const struct {
		const char *const *words;
		int index;
		const char *others;
	} cases[] = {
		{WORDS(), 1, ""},
		{WORDS("sh", "--network.ipv6"), 1, ""},
		{WORDS("--", "--network.ipv6"), 2, ""},
		{WORDS("--network.mtu=1", "sh", "-c", "exit"), 2, ""},
		{WORDS("-o", "network.mtu=1", "--", "-x"), 4, ""},
		{WORDS("--check", "--two", "value", "-v", "sh"), 5, "--check,--two=value,-v,"},
		{WORDS("--two", "--", "sh"), 3, "--two=--,"},
		{WORDS("--name=a.b", "-"), 2, "--name=a.b,"},
		{WORDS("", "--check"), 1, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_config config;
		struct rk_error e = {0};

		config_init(&config);
		cr_expect_eq(read_words(&config, &e, cases[i].words), cases[i].index,
			"case %zu: %s", i, e.text);
		cr_expect_str_eq(others, cases[i].others);
		cr_expect_eq(config.network.ipv6, false);
		config_free(&config);
	}
}

Test(config, command_line_booleans_and_values)
{
	struct rk_config config;
	struct rk_error e = {0};

	config_init(&config);
	cr_expect_eq(read_words(&config, &e,
			     WORDS("--network.ipv6", "-o", "process.pidns",
				     "--network.disable-host-loopback=false",
				     "--process.command=a=b; c --d",
				     "--engine.state-dir=", "--slirp4netns.sandbox=false")),
		8, "%s", e.text);
	cr_expect(config.network.ipv6);
	cr_expect(config.process.pidns);
	cr_expect_not(config.network.disable_host_loopback);
	cr_expect_str_eq(config.process.command, "a=b; c --d");
	cr_expect_eq(config.slirp4netns.sandbox, TRISTATE_FALSE);
	config_free(&config);
}

Test(config, command_line_errors_name_the_option)
{
	const struct {
		const char *const *words;
		int code;
		const char *message;
	} cases[] = {
		{WORDS("--network.mtu=x"), EINVAL,
			"--network.mtu: \"x\" is not a number, allowed: 0 to 65521"},
		{WORDS("-o", "network.mtu=x"), EINVAL,
			"-o network.mtu: \"x\" is not a number, allowed: 0 to 65521"},
		{WORDS("--network.mtu", "1500"), EINVAL,
			"--network.mtu: needs a value, as in --network.mtu=VALUE"},
		{WORDS("--netwrok.mtu=1"), EINVAL,
			"--netwrok.mtu: unknown section, allowed: " SECTIONS},
		{WORDS("-o", "api.sock=1"), EINVAL, "-o api.sock: unknown key, allowed: socket"},
		{WORDS("-o", "mtu=1"), EINVAL, "-o mtu: not a setting, allowed: SECTION.KEY=VALUE"},
		{WORDS("-o", "network.mtu"), EINVAL,
			"-o network.mtu: needs a value, as in -o network.mtu=VALUE"},
		{WORDS("-o"), EINVAL, "-o: needs SECTION.KEY=VALUE"},
		{WORDS("-c"), EINVAL, "-c: needs the name of a file"},
		{WORDS("--config="), EINVAL, "--config: needs the name of a file"},
		{WORDS("-c", "a", "--config=b"), EINVAL, "--config: given twice"},
		{WORDS("--check", "--unknown"), EINVAL, "--unknown: unknown option"},
		{WORDS("--two"), EINVAL, "--two: needs a value"},
		{WORDS("-c", "/nonexistent/a.ini"), ENOENT,
			"/nonexistent/a.ini: cannot read the configuration: "
			"No such file or directory"},
		// A wrong option is reported before the file is looked at.
		{WORDS("-c", "/nonexistent/a.ini", "--none"), EINVAL, "--none: no such thing"},
		{WORDS("--port.publish=bad"), EINVAL,
			"--port.publish: port spec \"bad\": protocol is missing, it must end in "
			"/tcp or /udp, allowed: " PORT_FORM},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_config config;
		struct rk_error e = {0};

		config_init(&config);
		cr_expect_eq(read_words(&config, &e, cases[i].words), -cases[i].code);
		cr_expect_str_eq(
			e.text, cases[i].message, "\n got: %s\nwant: %s", e.text, cases[i].message);
		config_free(&config);
	}
}

Test(config, command_line_without_other_options)
{
	char *argv[] = {(char *)"program", (char *)"--help", NULL};
	struct rk_config config;
	struct rk_error e = {0};

	config_init(&config);
	cr_expect_eq(config_read_arguments(&config, 2, argv, NULL, NULL, &e), -EINVAL);
	cr_expect_str_eq(e.text, "--help: unknown option");
	cr_expect_eq(config_read_arguments(&config, 1, argv, NULL, NULL, &e), 1);
	config_free(&config);
}

// --- checks across keys -----------------------------------------------------------------------

static void expect_checked(const char *text, const char *message)
{
	struct rk_config config;
	struct rk_error e = {0};

	config_init(&config);
	cr_assert_eq(read_text(&config, text, &e), 0, "%s", e.text);
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
	strcat(text, "\n[api]\nsocket = /run/api.sock\n");
	expect_checked(text, NULL);
}
