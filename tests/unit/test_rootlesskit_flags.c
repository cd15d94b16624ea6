// test_rootlesskit_flags.c: RootlessKit's command line becomes the same settings as a file.

#include "config/keys.h"
#include "engine/rootlesskit_flags.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct rk_config config;
static struct rootlesskit_flags flags;
static struct rk_error error;

static void set_up(void)
{
	config_init(&config);
	memset(&flags, 0, sizeof(flags));
	cr_assert_eq(rootlesskit_flags_set_defaults(&config, &error), 0);
}

static void tear_down(void)
{
	config_free(&config);
}

TestSuite(rootlesskit_flags, .init = set_up, .fini = tear_down);

// The words behind the program's name, NULL-terminated.
static int read_words(char **words)
{
	char *argv[16] = {"rootlesskit"};
	int argc = 1;

	while (words[argc - 1]) {
		argv[argc] = words[argc - 1];
		argc++;
	}
	return rootlesskit_flags_read(&flags, &config, argc, argv, &error);
}
#define READ(...) read_words((char *[]){__VA_ARGS__, NULL})

Test(rootlesskit_flags, defaults_are_rootlesskits)
{
	cr_expect_str_eq(config.network.driver, "host");
	cr_expect_str_eq(config.port.driver, "none");
	cr_expect(!config.network.disable_host_loopback);
	cr_expect_eq(config.slirp4netns.sandbox, TRISTATE_FALSE);
	cr_expect_eq(config.slirp4netns.seccomp, TRISTATE_FALSE);
	cr_expect_eq(config.process.stop_timeout_ms, 0);
	cr_expect_eq(config.engine.log_level, LOG_LEVEL_WARNING);
	cr_expect_eq(config_check(&config, &error), 0);
}

Test(rootlesskit_flags, values_stand_behind_an_equals_sign_or_in_the_next_word)
{
	cr_assert_eq(READ("--net=pasta", "--mtu", "1400", "-p", "127.0.0.1:1:2/tcp",
			     "--publish=:3:4/udp", "--copy-up", "/etc", "-copy-up=/run", "sh"),
		0);
	cr_expect_str_eq(config.network.driver, "pasta");
	cr_expect_eq(config.network.mtu, 1400);
	cr_expect_eq(config.port.publish.count, 2);
	cr_expect_eq(config.port.publish.items[1].proto, PROTO_UDP);
	cr_expect_eq(config.mount.copy_up.count, 2);
	cr_expect_eq(flags.command, 10);
}

Test(rootlesskit_flags, bools_stand_alone_or_are_spelled_as_in_go)
{
	static char *const spellings[][2] = {{"--pidns=1", "--utsns=0"}, {"-pidns=t", "-utsns=f"},
		{"--pidns=TRUE", "--utsns=FALSE"}, {"--pidns", "--utsns=False"}};

	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		config.process.pidns = false;
		config.process.utsns = true;
		cr_assert_eq(READ(spellings[i][0], spellings[i][1], "true"), 0);
		cr_expect(config.process.pidns);
		cr_expect(!config.process.utsns);
		cr_expect_eq(flags.command, 3);
	}
}

Test(rootlesskit_flags, parsing_stops_at_the_first_word_that_is_no_flag)
{
	cr_assert_eq(READ("--pidns", "sh", "--no-such", "--utsns"), 0);
	cr_expect_eq(flags.command, 2);
	cr_expect(!config.process.utsns);
	cr_assert_eq(READ("--", "--pidns"), 0);
	cr_expect_eq(flags.command, 2);
	cr_assert_eq(READ("-", "x"), 0);
	cr_expect_eq(flags.command, 1);
}

Test(rootlesskit_flags, flags_that_are_no_settings)
{
	cr_assert_eq(READ("-h", "-v", "--print-semver", "minor", "--debug"), 0);
	cr_expect(flags.help && flags.version);
	cr_expect_str_eq(flags.print_semver, "minor");
	cr_expect_eq(config.engine.log_level, LOG_LEVEL_DEBUG);
	cr_assert_eq(READ("--source-ip-transparent=false"), 0);
	cr_expect_eq(config.port.source_ip, SOURCE_IP_OFF);
	cr_assert_eq(READ("--source-ip-transparent"), 0);
	cr_expect_eq(config.port.source_ip, SOURCE_IP_AUTO);
}

Test(rootlesskit_flags, errors_name_the_flag)
{
	static const struct {
		char *words[3];
		const char *text;
	} cases[] = {
		{{"--no-such=1"}, "flag provided but not defined: --no-such"},
		{{"-x"}, "flag provided but not defined: -x"},
		{{"--"
		  "\033[1m"},
			"flag provided but not defined: --?[1m"},
		{{"--mtu"}, "flag needs an argument: --mtu"},
		{{"--mtu=x"},
			"invalid value for flag --mtu: \"x\" is not a number, allowed: 0 to 65521"},
		{{"--pidns=maybe"},
			"invalid boolean value \"maybe\" for flag --pidns, allowed: true, false"},
		{{"--reaper", "on"},
			"invalid value for flag --reaper: \"on\" is not one of the choices, "
			"allowed: auto, true, false"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(read_words((char **)cases[i].words), -EINVAL);
		cr_expect_str_eq(error.text, cases[i].text);
	}
}

Test(rootlesskit_flags, checks_speak_of_flags)
{
	cr_assert_eq(READ("--reaper=true"), 0);
	cr_assert_eq(config_check(&config, &error), -EINVAL);
	rootlesskit_flags_translate(&error);
	cr_expect_str_eq(error.text, "--reaper: true requires pidns");
	error_set(&error, EINVAL, "[engine] workers: stays as it is");
	rootlesskit_flags_translate(&error);
	cr_expect_str_eq(error.text, "[engine] workers: stays as it is");
	error_set(&error, EINVAL, "no key at all");
	rootlesskit_flags_translate(&error);
	cr_expect_str_eq(error.text, "no key at all");
}
