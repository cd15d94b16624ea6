// test_config_arguments.c: settings on the command line.

#include "config/config.h"

#include "tests/unit/config_support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

Test(config_arguments, wins_wherever_the_file_stands, .init = support_make_directory,
	.fini = support_remove_directory)
{
	struct rk_config config;
	struct rk_error e = {0};
	char config_option[128];
	const char *const *orders[] = {
		WORDS("--network.mtu=1500", "--port.publish=:2:2/tcp", "-c", support_file),
		WORDS("-c", support_file, "--network.mtu=1500", "-o", "port.publish=:2:2/tcp"),
		WORDS("-o", "network.mtu=1500", config_option, "--port.publish=:2:2/tcp"),
		WORDS("--config", support_file, "--network.mtu=9", "--network.mtu=1500",
			"--port.publish=:2:2/tcp"),
	};

	support_write_file("[network]\nmtu = 9000\nifname = eth7\n[port]\npublish = :1:1/tcp\n");
	snprintf(config_option, sizeof(config_option), "--config=%s", support_file);
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

Test(config_arguments, finds_the_command)
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

Test(config_arguments, booleans_and_values)
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

Test(config_arguments, errors_name_the_option)
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

Test(config_arguments, without_other_options)
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
