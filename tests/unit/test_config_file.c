// test_config_file.c: INI files: what is read, which words refuse the rest, the project's own.

#include "config/config.h"

#include "config/value.h"
#include "tests/unit/config_support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void expect_refused(const char *text, const char *message)
{
	struct rk_config config;
	struct rk_error e = {0};

	config_init(&config);
	cr_expect_eq(support_read_text(&config, text, &e), -EINVAL, "%s", text);
	cr_expect_eq(e.code, EINVAL);
	cr_expect_str_eq(e.text, message, "\n got: %s\nwant: %s", e.text, message);
	config_free(&config);
}

Test(config_file, sets_what_it_names)
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

Test(config_file, errors_name_line_section_and_key)
{
	expect_refused("[network]\nmtu = 99999\n",
		"t.ini:2: [network] mtu: \"99999\" is out of range, allowed: 0 to 65521");
	expect_refused("# c\n\n[network]\n\nmut = 1\n",
		"t.ini:5: [network] mut: unknown key, allowed: driver, mtu, cidr, ifname, "
		"disable-host-loopback, ipv6, "
		"detach-netns");
	expect_refused("[network]\nMTU = 1\n",
		"t.ini:2: [network] MTU: unknown key, allowed: driver, mtu, cidr, ifname, "
		"disable-host-loopback, ipv6, "
		"detach-netns");
	expect_refused("\n[netwrok]\n", "t.ini:2: [netwrok]: unknown section, allowed: " SECTIONS);
	expect_refused("\xef\xbb\xbf[netwrok]\n",
		"t.ini:1: [netwrok]: unknown section, allowed: " SECTIONS);
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
		"t.ini:2: [engine] : unknown key, allowed: state-dir, workers, io, bulk, "
		"log-level, "
		"log-format, udp-idle-timeout, connect-timeout, max-flows, pool-size, seccomp, "
		"landlock");
}

Test(config_file, syntax_errors_name_the_line)
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

Test(config_file, lines_and_size_are_bounded)
{
	static char text[2 << 20];
	struct rk_config config;
	struct rk_error e = {0};
	size_t start = strlen(strcpy(text, "[process]\ncommand = "));
	size_t value = 4000;

	config_init(&config);
	memset(text + start, 'x', value);
	strcpy(text + start + value, "\n[engine]\nworkers = 7\n");
	cr_expect_eq(support_read_text(&config, text, &e), 0, "%s", e.text);
	cr_expect_eq(strlen(config.process.command), value);
	cr_expect_eq(config.engine.workers, 7);
	memset(text + start, 'x', 4001);
	strcpy(text + start + 4001, "\n");
	cr_expect_eq(support_read_text(&config, text, &e), -EINVAL);
	cr_expect_str_eq(e.text, "t.ini:2: [process] command: the value has 4001 bytes, at most "
				 "4000 are read, allowed: a shell command");
	memset(text + start, 'x', 5000);
	strcpy(text + start + 5000, "\n");
	cr_expect_eq(support_read_text(&config, text, &e), -EINVAL);
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
Test(config_file, line_numbers_stay_exact_behind_long_lines)
{
	static char text[8192];

	memset(text, '#', 4095);
	strcpy(text + 4095, "\n[engine]\nworkers = x\n");
	expect_refused(text, "t.ini:3: [engine] workers: \"x\" is not a number, allowed: 0 to 256");
}

Test(config_file, garbage_harms_nothing)
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

Test(config_file, is_read_or_named, .init = support_make_directory,
	.fini = support_remove_directory)
{
	struct rk_config config;
	struct rk_error e = {0};
	char expected[256];
	FILE *file;

	config_init(&config);
	cr_expect_eq(config_read_file(&config, support_file, &e), -ENOENT);
	snprintf(expected, sizeof(expected),
		"%s: cannot read the configuration: No such file or directory", support_file);
	cr_expect_str_eq(e.text, expected);
	cr_expect_eq(config_read_file(&config, support_directory, &e), -EISDIR);
	support_write_file("[engine]\nworkers = 5\n");
	cr_expect_eq(config_read_file(&config, support_file, &e), 0, "%s", e.text);
	cr_expect_eq(config.engine.workers, 5);
	support_write_file("[engine]\nworkers = x\n");
	cr_expect_eq(config_read_file(&config, support_file, &e), -EINVAL);
	snprintf(expected, sizeof(expected),
		"%s:2: [engine] workers: \"x\" is not a number, allowed: 0 to 256", support_file);
	cr_expect_str_eq(e.text, expected);
	file = fopen(support_file, "we");
	for (int i = 0; i < 1 << 16; i++)
		fputs("# as long as it gets\n", file);
	fclose(file);
	cr_expect_eq(config_read_file(&config, support_file, &e), -EFBIG);
	snprintf(expected, sizeof(expected), "%s: the file is too large, allowed: 1048576 bytes",
		support_file);
	cr_expect_str_eq(e.text, expected);
	config_free(&config);
}

// The caller frees it.
static char *printed_markdown(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_print_markdown(out);
	fclose(out);
	return text;
}

// "RK_SOURCE_DIR/NAME", or NAME in the current directory.
static const char *source_path(const char *name, char *text, size_t size)
{
	const char *source_dir = getenv("RK_SOURCE_DIR");

	snprintf(text, size, "%s/%s", source_dir ? source_dir : ".", name);
	return text;
}

// RK_UPDATE_DOCS=1 writes the page instead of comparing it.
Test(config_file, documentation_is_up_to_date)
{
	char *expected = printed_markdown();
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

Test(config_file, example_is_valid)
{
	struct rk_config config;
	struct rk_error e = {0};
	char name[4096];

	config_init(&config);
	cr_expect_eq(config_read_file(
			     &config, source_path("config/rootless.ini", name, sizeof(name)), &e),
		0, "%s", e.text);
	cr_expect_eq(config_check(&config, &e), 0, "%s", e.text);
	cr_expect_eq(config.port.publish.count, 3);
	support_expect_round_trip(&config);
	config_free(&config);
}
