// slirp4netns.c: user-mode networking by slirp4netns(1), which makes its own tap in the namespace.
//
// How it works: the daemon gets the child's pid, enters its namespaces, makes the tap and writes
// one byte to the ready descriptor. It leaves when the exit descriptor is closed. We address the
// tap from inside: network+100, gateway +2, DNS +3; IPv6 as libslirp has it compiled in.

#include "drivers/slirp4netns.h"
#include "base/fd.h"
#include "base/log.h"
#include "drivers/common.h"
#include "drivers/daemon.h"
#include "drivers/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define SLIRP_PACKAGE          "slirp4netns"
#define SLIRP_READY_TIMEOUT_MS 10000
#define SLIRP_STOP_GRACE_MS    1000
#define SLIRP_MTU_MAX          65521
#define SLIRP_PREFIX_MAX       25 // its DNS, gateway and our +100 must fit
#define SLIRP_OUTPUT_MAX       8192
#define SLIRP_API_PATH_MAX     sizeof(((struct sockaddr_un *)0)->sun_path)
// Descriptor numbers in the daemon.
#define SLIRP_READY_FD 3
#define SLIRP_EXIT_FD  4

// libslirp 4.7: the block is fixed, hosts are numbered as in IPv4.
#define SLIRP_IP6      "fd00::100"
#define SLIRP_PREFIX6  64
#define SLIRP_GATEWAY6 "fd00::2"
#define SLIRP_DNS6     "fd00::3"

#define SLIRP_HOST_GATEWAY 2
#define SLIRP_HOST_DNS     3
#define SLIRP_HOST_CHILD   100

struct slirp {
	int exit_fd;                       // closing it ends the daemon
	char api_path[SLIRP_API_PATH_MAX]; // "" = no API
};

// Protections of the daemon that are switched on for this start.
struct slirp_armour {
	bool sandbox;
	bool seccomp;
};

extern const struct rk_net_driver net_slirp4netns;

int slirp4netns_api_path(const char *state_dir, char *path, size_t size, struct rk_error *e)
{
	int length = snprintf(path, size, "%s/slirp4netns.sock", state_dir);

	if (length < (int)size)
		return 0;
	error_errno(e, ENAMETOOLONG, "%s/slirp4netns.sock", state_dir);
	return error_hint(e, "set [engine] state-dir to a shorter path");
}

static int probe(const struct rk_config *config, const char *option, char *output, size_t size,
	struct rk_error *e)
{
	return daemon_probe(net_slirp4netns.name, config->slirp4netns.binary, option, SLIRP_PACKAGE,
		output, size, e);
}

static int slirp4netns_check(const struct rk_config *config, struct rk_error *e)
{
	char output[SLIRP_OUTPUT_MAX];
	struct rk_cidr cidr;
	int rc;

	rc = cidr_parse(&cidr, net_driver_cidr(&net_slirp4netns, config), SLIRP_PREFIX_MAX, e);
	if (rc == 0)
		rc = probe(config, "--version", output, sizeof(output), e);
	if (rc == 0)
		rc = driver_check_tun(e);
	return rc;
}

// auto: on when this build of slirp4netns lists the option (and the start works, see below).
static int choose_armour(
	const struct rk_config *config, struct slirp_armour *armour, struct rk_error *e)
{
	char help[SLIRP_OUTPUT_MAX] = "";
	bool automatic = config->slirp4netns.sandbox == TRISTATE_AUTO ||
			 config->slirp4netns.seccomp == TRISTATE_AUTO;
	int rc = 0;

	if (automatic)
		rc = probe(config, "--help", help, sizeof(help), e);
	armour->sandbox = config->slirp4netns.sandbox == TRISTATE_AUTO
				  ? strstr(help, "--enable-sandbox") != NULL
				  : config->slirp4netns.sandbox == TRISTATE_TRUE;
	armour->seccomp = config->slirp4netns.seccomp == TRISTATE_AUTO
				  ? strstr(help, "--enable-seccomp") != NULL
				  : config->slirp4netns.seccomp == TRISTATE_TRUE;
	return rc;
}

// Takes off what was put on by auto; false when there was nothing.
static bool lower_armour(const struct rk_config *config, struct slirp_armour *armour)
{
	struct slirp_armour before = *armour;

	armour->sandbox = config->slirp4netns.sandbox == TRISTATE_TRUE;
	armour->seccomp = config->slirp4netns.seccomp == TRISTATE_TRUE;
	return before.sandbox != armour->sandbox || before.seccomp != armour->seccomp;
}

// Starts the daemon with `ready_out` as its ready and `exit_in` as its exit descriptor.
static int start_daemon(struct rk_net *net, const struct slirp_armour *armour, int ready_out,
	int exit_in, struct rk_error *e)
{
	const struct rk_config *config = net->config;
	const struct slirp *slirp = net->private;
	char mtu[16], pid[16];
	const char *argv[24];
	unsigned n = 0;
	struct rk_spawn spawn = {.argv = argv,
		.fds = {{ready_out, SLIRP_READY_FD}, {exit_in, SLIRP_EXIT_FD}},
		.fd_count = 2};

	snprintf(mtu, sizeof(mtu), "%u", net_driver_mtu(net->driver, config));
	snprintf(pid, sizeof(pid), "%d", net->child_pid);
	argv[n++] = config->slirp4netns.binary;
	argv[n++] = "--mtu";
	argv[n++] = mtu;
	argv[n++] = "--cidr";
	argv[n++] = net_driver_cidr(net->driver, config);
	argv[n++] = "--ready-fd=3";
	argv[n++] = "--exit-fd=4";
	if (config->network.disable_host_loopback)
		argv[n++] = "--disable-host-loopback";
	if (config->network.ipv6)
		argv[n++] = "--enable-ipv6";
	if (armour->sandbox)
		argv[n++] = "--enable-sandbox";
	if (armour->seccomp)
		argv[n++] = "--enable-seccomp";
	if (slirp->api_path[0]) {
		argv[n++] = "--api-socket";
		argv[n++] = slirp->api_path;
		unlink(slirp->api_path);
	}
	argv[n++] = pid;
	argv[n++] = net_driver_ifname(net->driver, config);
	argv[n] = NULL;
	return daemon_start(net, &spawn, SLIRP_PACKAGE, e);
}

// One attempt: 0 with the daemon ready, else -code with nothing left of it.
static int try_start(struct rk_net *net, const struct slirp_armour *armour, struct rk_error *e)
{
	RK_CLEANUP_FD int ready_in = -1;
	RK_CLEANUP_FD int exit_out = -1;
	struct slirp *slirp = net->private;
	int ready[2], leave[2];
	int rc;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return error_errno(e, errno, "%s: pipe", net->driver->name);
	ready_in = ready[0];
	if (pipe2(leave, O_CLOEXEC) < 0) {
		error_errno(e, errno, "%s: pipe", net->driver->name);
		fd_close(&ready[1]);
		return -e->code;
	}
	exit_out = leave[1];
	rc = start_daemon(net, armour, ready[1], leave[0], e);
	fd_close(&ready[1]);
	fd_close(&leave[0]);
	if (rc == 0)
		rc = daemon_await_ready(net, ready_in, SLIRP_READY_TIMEOUT_MS, e);
	if (rc == 0)
		slirp->exit_fd = fd_take(&exit_out);
	return rc;
}

static int start_with_armour(struct rk_net *net, struct rk_error *e)
{
	struct slirp_armour armour;
	char line[sizeof(e->text) + sizeof(e->hint) + 8];
	int rc = choose_armour(net->config, &armour, e);

	if (rc < 0)
		return rc;
	rc = try_start(net, &armour, e);
	if (rc == 0 || rc == -ECANCELED || !lower_armour(net->config, &armour))
		return rc;
	log_warning(
		"slirp4netns: again without its sandbox or seccomp filter, which are on auto: %s",
		error_line(e, line, sizeof(line)));
	return try_start(net, &armour, e);
}

static int fill_info(const struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	struct rk_cidr cidr;
	int rc = cidr_parse(&cidr, net_driver_cidr(net->driver, net->config), SLIRP_PREFIX_MAX, e);

	if (rc < 0)
		return rc;
	snprintf(info->driver, sizeof(info->driver), "%s", net->driver->name);
	snprintf(info->ifname, sizeof(info->ifname), "%s",
		net_driver_ifname(net->driver, net->config));
	cidr_host(&cidr, SLIRP_HOST_CHILD, info->ip);
	cidr_host(&cidr, SLIRP_HOST_GATEWAY, info->gateway);
	cidr_host(&cidr, SLIRP_HOST_DNS, info->dns[0]);
	info->prefix = cidr.prefix;
	info->mtu = net_driver_mtu(net->driver, net->config);
	if (net->config->network.ipv6) {
		snprintf(info->ip6, sizeof(info->ip6), SLIRP_IP6);
		snprintf(info->gateway6, sizeof(info->gateway6), SLIRP_GATEWAY6);
		snprintf(info->dns[1], sizeof(info->dns[1]), SLIRP_DNS6);
		info->prefix6 = SLIRP_PREFIX6;
	}
	return 0;
}

// Only the port driver needs the API; whoever can connect to it can open ports of the host.
static int choose_api(struct rk_net *net, struct rk_error *e)
{
	struct slirp *slirp = net->private;

	if (strcmp(net->config->port.driver, "slirp4netns") != 0)
		return 0;
	return slirp4netns_api_path(net->state_dir, slirp->api_path, sizeof(slirp->api_path), e);
}

static void forget(struct rk_net *net)
{
	struct slirp *slirp = net->private;

	if (slirp->api_path[0])
		unlink(slirp->api_path);
	free(slirp);
	net->private = NULL;
}

static int slirp4netns_start(struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	struct slirp *slirp = calloc(1, sizeof(*slirp));
	int rc;

	if (!slirp)
		return error_errno(e, ENOMEM, "%s", net->driver->name);
	slirp->exit_fd = -1;
	net->private = slirp;
	rc = fill_info(net, info, e);
	if (rc == 0)
		rc = choose_api(net, e);
	if (rc == 0)
		rc = start_with_armour(net, e);
	if (rc < 0)
		forget(net);
	return rc;
}

static void slirp4netns_stop(struct rk_net *net)
{
	struct slirp *slirp = net->private;

	if (!slirp)
		return;
	fd_close(&slirp->exit_fd);
	daemon_stop(net, 0, SLIRP_STOP_GRACE_MS);
	forget(net);
}

const struct rk_net_driver net_slirp4netns = {
	.name = "slirp4netns",
	.flags = NET_OWN_NETNS,
	.default_mtu = 65520,
	.default_cidr = "10.0.2.0/24",
	.default_ifname = "tap0",
	.check = slirp4netns_check,
	.start = slirp4netns_start,
	.stop = slirp4netns_stop,
};
