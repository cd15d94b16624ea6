// test_drivers.c: driver names, legal pairs, address arithmetic, the daemon's end as an error.

#include "drivers/common.h"
#include "drivers/daemon.h"
#include "drivers/driver.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct rk_config config;
static struct rk_error e;

static void init_config(void)
{
	config_init(&config);
}

static void free_config(void)
{
	config_free(&config);
}

TestSuite(drivers, .init = init_config, .fini = free_config);

static int check_pair(const char *net, const char *port)
{
	cr_assert_eq(config_set(&config, "network", "driver", net, &e), 0);
	cr_assert_eq(config_set(&config, "port", "driver", port, &e), 0);
	return drivers_check(&config, &e);
}

Test(drivers, are_found_by_name)
{
	cr_assert_str_eq(net_driver_find("slirp4netns")->name, "slirp4netns");
	cr_assert_str_eq(port_driver_find("builtin")->name, "builtin");
	cr_assert_null(net_driver_find("slirp"));
	cr_assert_null(port_driver_find(""));
	cr_assert(strstr(net_driver_names(), "none, host, slirp4netns"));
	cr_assert(strstr(port_driver_names(), "none, builtin"));
}

Test(drivers, refuse_unknown_names_with_the_known_ones)
{
	cr_assert_eq(check_pair("slirp", "builtin"), -EINVAL);
	cr_assert(strstr(e.text, "[network] driver: \"slirp\"") && strstr(e.text, "slirp4netns"));
	cr_assert_eq(check_pair("none", "bultin"), -EINVAL);
	cr_assert(strstr(e.text, "[port] driver: \"bultin\"") && strstr(e.text, "none, builtin"));
}

Test(drivers, form_legal_pairs_only)
{
	cr_assert_eq(check_pair("none", "builtin"), 0);
	cr_assert_eq(check_pair("none", "none"), 0);
	cr_assert_eq(check_pair("host", "none"), 0);
	cr_assert_eq(check_pair("host", "builtin"), -EINVAL);
	cr_assert(strstr(e.text, "builtin") && strstr(e.text, "host") && e.hint[0]);
	cr_assert_eq(config_set(&config, "port", "publish", "127.0.0.1:8080:80/tcp", &e), 0);
	cr_assert_eq(check_pair("none", "builtin"), 0);
	cr_assert_eq(check_pair("none", "none"), -EINVAL);
	cr_assert(strstr(e.text, "publish"));
}

Test(drivers, refuse_an_interface_name_where_there_is_no_interface)
{
	cr_assert_eq(config_set(&config, "network", "ifname", "tap7", &e), 0);
	cr_assert_eq(check_pair("none", "none"), -EINVAL);
	cr_assert_eq(check_pair("host", "none"), -EINVAL);
	cr_assert_str_eq(net_driver_ifname(net_driver_find("slirp4netns"), &config), "tap7");
}

Test(drivers, have_defaults)
{
	const struct rk_net_driver *slirp = net_driver_find("slirp4netns");

	cr_assert_eq(net_driver_mtu(slirp, &config), 65520);
	cr_assert_str_eq(net_driver_cidr(slirp, &config), "10.0.2.0/24");
	cr_assert_str_eq(net_driver_ifname(slirp, &config), "tap0");
	cr_assert_eq(config_set(&config, "network", "mtu", "1500", &e), 0);
	cr_assert_eq(net_driver_mtu(slirp, &config), 1500);
}

Test(drivers, name_the_package_of_a_missing_program)
{
	cr_assert_eq(config_set(&config, "slirp4netns", "binary", "/nonexistent/slirp", &e), 0);
	cr_assert_eq(check_pair("slirp4netns", "builtin"), -ENOENT);
	cr_assert_str_eq(e.text, "/nonexistent/slirp: not found");
	cr_assert(strstr(e.hint, "apt install slirp4netns") &&
		  strstr(e.hint, "[slirp4netns] binary"));
}

Test(drivers, parse_networks)
{
	static const char *const bad[] = {"", "10.0.2.0", "10.0.2.0/", "10.0.2.0/x", "10.0.2.0/-1",
		"10.0.2.0/ 24", "10.0.2.0/24x", "10.0.2.0/26", "10.0.2.0/0", "10.0.2.100/24",
		"10.0.2/24", "fd00::/64", "100.100.100.100.100/24", "10.0.2.0/4294967320"};
	struct rk_cidr cidr;
	char text[INET_ADDRSTRLEN];

	cr_assert_eq(cidr_parse(&cidr, "10.0.2.0/24", 25, &e), 0);
	cr_assert_eq(cidr.prefix, 24);
	cr_assert_str_eq(cidr_host(&cidr, 100, text), "10.0.2.100");
	cr_assert_eq(cidr_parse(&cidr, "172.16.0.128/25", 25, &e), 0);
	cr_assert_str_eq(cidr_host(&cidr, 2, text), "172.16.0.130");
	cr_assert_eq(cidr_parse(&cidr, "10.0.0.0/8", 25, &e), 0);
	cr_assert_str_eq(cidr_host(&cidr, 256, text), "10.0.1.0");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(cidr_parse(&cidr, bad[i], 25, &e), -EINVAL, "%s", bad[i]);
	cidr_parse(&cidr, "10.0.2.100/24", 25, &e);
	cr_assert(strstr(e.text, "10.0.2.0/24"), "%s", e.text);
}

static int run_daemon(const char *script, int timeout_ms, struct rk_net *net)
{
	const char *argv[] = {"/bin/sh", "-c", script, NULL};
	struct rk_spawn spawn = {.argv = argv, .fd_count = 1};
	int ends[2];
	int rc;

	*net = (struct rk_net){.driver = net_driver_find("slirp4netns"), .daemon = RK_PROCESS_NONE};
	cr_assert_eq(pipe(ends), 0);
	spawn.fds[0].from = ends[1];
	spawn.fds[0].to = 3;
	cr_assert_eq(daemon_start(net, &spawn, "slirp4netns", &e), 0);
	close(ends[1]);
	rc = daemon_await_ready(net, ends[0], timeout_ms, &e);
	close(ends[0]);
	return rc;
}

Test(drivers, put_the_words_of_a_failing_daemon_into_the_error)
{
	struct rk_net net;

	cr_assert_eq(run_daemon("echo first >&2; echo second >&2; exit 4", 20000, &net), -EIO);
	cr_assert_str_eq(e.text, "slirp4netns exited with status 4: first; second");
	cr_assert_null(net.log);
	cr_assert_eq(run_daemon("echo hanging >&2; sleep 30", 2000, &net), -ETIMEDOUT);
	cr_assert_str_eq(e.text, "slirp4netns: not ready after 2000 ms: hanging");
	cr_assert_eq(net.daemon.pidfd, -1);
	cr_assert_eq(run_daemon("exec 3>&-; sleep 30", 20000, &net), -EIO);
	cr_assert_str_eq(e.text, "slirp4netns stopped working");
	cr_assert_eq(net.daemon.pidfd, -1);
}

Test(drivers, describe_how_a_ready_daemon_died)
{
	struct rk_net net;

	cr_assert_eq(run_daemon("echo chatter >&2; echo 1 >&3; read x; sleep 0.3; echo why >&2; "
				"kill -9 $$",
			     20000, &net),
		0);
	cr_assert_eq(net_describe_death(&net, &e), -EIO);
	cr_assert_str_eq(e.text, "slirp4netns killed by signal 9 (Killed): why");
	daemon_stop(&net, SIGTERM, 100);
	cr_assert_null(net.log);
}

Test(drivers, never_block_a_talkative_daemon)
{
	struct rk_net net;

	// 1 MiB into a pipe that nobody reads.
	cr_assert_eq(run_daemon("dd if=/dev/zero bs=1024 count=1024 >&2 2>/dev/null; echo 1 >&3; "
				"sleep 30",
			     20000, &net),
		0, "%s", e.text);
	daemon_stop(&net, SIGTERM, 1000);
	cr_assert_eq(net.daemon.pidfd, -1);
}
