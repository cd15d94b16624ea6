// pasta.c: user-mode networking by pasta(1), which makes and configures its own tap.
//
// How it works: pasta stays in the foreground as our child, gets the namespaces by pid, makes the
// tap, sets its address, MTU and routes, and then writes its pid file. That file is a FIFO of ours,
// so the line in it is the ready signal. Addresses are numbered as slirp4netns has them: gateway
// +2, DNS +3, child +100.
//
// Two paths that pasta opens by default are closed: --tcp-ns and --udp-ns, by which it shows what
// listens on the host as if it listened on 127.0.0.1 of the namespace; and, for
// disable-host-loopback, the gateway's address as a name of the host's loopback.
//
// Versions are told apart by probing their options: pasta ends with status 0 when it knows the
// option that stands before --version.

#include "base/fd.h"
#include "drivers/common.h"
#include "drivers/daemon.h"
#include "drivers/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASTA_PACKAGE          "passt"
#define PASTA_READY_TIMEOUT_MS 10000
#define PASTA_STOP_GRACE_MS    1000
#define PASTA_PROBE_TIMEOUT_MS 5000
#define PASTA_MTU_MAX          65520
#define PASTA_PREFIX_MAX       25 // room for our +100
#define PASTA_OUTPUT_MAX       1024
#define PASTA_PID_FILE         "pasta.pid"
#define PASTA_WORDS_MAX        40

#define PASTA_HOST_GATEWAY 2
#define PASTA_HOST_DNS     3
#define PASTA_HOST_CHILD   100

// pasta takes any IPv6 address, always in a /64.
#define PASTA_IP6      "fd00::100"
#define PASTA_PREFIX6  64
#define PASTA_GATEWAY6 "fd00::2"
#define PASTA_DNS6     "fd00::3"

struct pasta {
	char pid_file[PATH_MAX];
};

// The command line, and the texts in it that are made for this start.
struct pasta_words {
	const char *argv[PASTA_WORDS_MAX];
	unsigned count;
	char mtu[16];
	char netmask[16];
	char pid[16];
};

extern const struct rk_net_driver net_pasta;

static int check_mtu(const struct rk_config *config, struct rk_error *e)
{
	uint32_t mtu = net_driver_mtu(&net_pasta, config);

	if (mtu <= PASTA_MTU_MAX)
		return 0;
	error_set(e, EINVAL, "[network] mtu: %u is more than pasta can", mtu);
	return error_hint(e, "set mtu to at most %d", PASTA_MTU_MAX);
}

static bool knows_option(const struct rk_config *config, const char *option)
{
	const char *argv[] = {config->pasta.binary, option, "--version", NULL};
	char output[PASTA_OUTPUT_MAX];

	return spawn_run(argv, output, sizeof(output), PASTA_PROBE_TIMEOUT_MS, NULL) == 0;
}

static bool is_implicit(const struct rk_config *config)
{
	return strcmp(config->port.driver, "implicit") == 0;
}

// Versions of 2023 look for new listeners of the namespace only while they also look for those of
// the host, to show them inside. This option came later than the end of that.
static bool scans_one_way(const struct rk_config *config)
{
	return knows_option(config, "--host-lo-to-ns-lo");
}

static int check_implicit(const struct rk_config *config, struct rk_error *e)
{
	if (!is_implicit(config) || !config->network.disable_host_loopback || scans_one_way(config))
		return 0;
	error_set(e, EOPNOTSUPP,
		"[port] driver: with implicit, this version of pasta shows services on the host's "
		"127.0.0.1 to the namespace, which [network] disable-host-loopback forbids");
	return error_hint(e,
		"set [port] driver to builtin, or disable-host-loopback to false, or install a "
		"pasta that knows --host-lo-to-ns-lo");
}

static int pasta_check(const struct rk_config *config, struct rk_error *e)
{
	char output[PASTA_OUTPUT_MAX];
	struct rk_cidr cidr;
	int rc;

	rc = cidr_parse(&cidr, net_driver_cidr(&net_pasta, config), PASTA_PREFIX_MAX, e);
	if (rc == 0)
		rc = check_mtu(config, e);
	if (rc == 0)
		rc = daemon_probe(net_pasta.name, config->pasta.binary, "--version", PASTA_PACKAGE,
			output, sizeof(output), e);
	if (rc == 0)
		rc = check_implicit(config, e);
	if (rc == 0)
		rc = driver_check_tun(e);
	return rc;
}

static void add_word(struct pasta_words *words, const char *word)
{
	words->argv[words->count++] = word;
	words->argv[words->count] = NULL;
}

static void add_pair(struct pasta_words *words, const char *option, const char *value)
{
	add_word(words, option);
	add_word(words, value);
}

static void add_addresses(
	struct pasta_words *words, const struct rk_network_info *info, bool disable_host_loopback)
{
	snprintf(words->netmask, sizeof(words->netmask), "%u", info->prefix);
	add_pair(words, "--address", info->ip);
	add_pair(words, "--netmask", words->netmask);
	add_pair(words, "--gateway", info->gateway);
	add_pair(words, "--dns-forward", info->dns[0]);
	if (info->ip6[0]) {
		add_pair(words, "--address", info->ip6);
		add_pair(words, "--gateway", info->gateway6);
		add_pair(words, "--dns-forward", info->dns[1]);
	} else {
		add_word(words, "--ipv4-only");
	}
	if (disable_host_loopback)
		add_word(words, "--no-map-gw");
}

// implicit: what listens in the namespace, listens on the host. Newer versions lead the host's
// 127.0.0.1 to the tap's address unless they are told to keep to 127.0.0.1, as older ones do.
static void add_ports(struct pasta_words *words, const struct rk_config *config)
{
	bool automatic = is_implicit(config);
	bool one_way = !automatic || scans_one_way(config);

	add_pair(words, "--tcp-ports", automatic ? "auto" : "none");
	add_pair(words, "--udp-ports", automatic ? "auto" : "none");
	if (automatic && one_way)
		add_word(words, "--host-lo-to-ns-lo");
	add_pair(words, "--tcp-ns", one_way ? "none" : "auto");
	add_pair(words, "--udp-ns", "none");
}

static int start_daemon(struct rk_net *net, const struct rk_network_info *info, struct rk_error *e)
{
	const struct pasta *pasta = net->private;
	const struct rk_config *config = net->config;
	struct pasta_words words = {.count = 0};
	struct rk_spawn spawn = {.argv = words.argv};

	snprintf(words.mtu, sizeof(words.mtu), "%u", info->mtu);
	add_word(&words, config->pasta.binary);
	add_word(&words, "--foreground");
	add_word(&words, "--quiet");
	// Started by root it would become nobody, who may not enter the namespaces.
	if (geteuid() == 0)
		add_pair(&words, "--runas", "0:0");
	add_pair(&words, "--pid", pasta->pid_file);
	add_pair(&words, "--ns-ifname", info->ifname);
	add_pair(&words, "--mtu", words.mtu);
	add_word(&words, "--config-net");
	add_addresses(&words, info, config->network.disable_host_loopback);
	add_ports(&words, config);
	snprintf(words.pid, sizeof(words.pid), "%d", net->child_pid);
	add_word(&words, words.pid);
	return daemon_start(net, &spawn, PASTA_PACKAGE, e);
}

static int fill_info(const struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	struct rk_cidr cidr;
	int rc = cidr_parse(&cidr, net_driver_cidr(net->driver, net->config), PASTA_PREFIX_MAX, e);

	if (rc < 0)
		return rc;
	snprintf(info->driver, sizeof(info->driver), "%s", net->driver->name);
	snprintf(info->ifname, sizeof(info->ifname), "%s",
		net_driver_ifname(net->driver, net->config));
	cidr_host(&cidr, PASTA_HOST_CHILD, info->ip);
	cidr_host(&cidr, PASTA_HOST_GATEWAY, info->gateway);
	cidr_host(&cidr, PASTA_HOST_DNS, info->dns[0]);
	info->prefix = cidr.prefix;
	info->mtu = net_driver_mtu(net->driver, net->config);
	info->configured = 1;
	if (net->config->network.ipv6) {
		snprintf(info->ip6, sizeof(info->ip6), PASTA_IP6);
		snprintf(info->gateway6, sizeof(info->gateway6), PASTA_GATEWAY6);
		snprintf(info->dns[1], sizeof(info->dns[1]), PASTA_DNS6);
		info->prefix6 = PASTA_PREFIX6;
	}
	return 0;
}

static int explain_failure(struct rk_error *e)
{
	if (strstr(e->text, "routable interface"))
		error_hint(e, "pasta needs an interface of the host with a default route");
	return -e->code;
}

// Makes the FIFO and opens our end, which waits for nobody. Returns it or -code.
static int open_pid_file(struct rk_net *net, struct rk_error *e)
{
	struct pasta *pasta = net->private;
	int length = snprintf(
		pasta->pid_file, sizeof(pasta->pid_file), "%s/" PASTA_PID_FILE, net->state_dir);
	int fd = -1;

	if (length >= (int)sizeof(pasta->pid_file))
		return error_errno(e, ENAMETOOLONG, "%s/" PASTA_PID_FILE, net->state_dir);
	unlink(pasta->pid_file);
	if (mkfifo(pasta->pid_file, 0600) == 0)
		fd = open(pasta->pid_file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? error_errno(e, errno, "%s", pasta->pid_file) : fd;
}

static int start_ready(struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	RK_CLEANUP_FD int ready = open_pid_file(net, e);
	int rc;

	if (ready < 0)
		return ready;
	rc = start_daemon(net, info, e);
	if (rc == 0)
		rc = daemon_await_ready(net, ready, PASTA_READY_TIMEOUT_MS, e);
	return rc < 0 ? explain_failure(e) : 0;
}

static void forget(struct rk_net *net)
{
	struct pasta *pasta = net->private;

	unlink(pasta->pid_file);
	free(pasta);
	net->private = NULL;
}

static int pasta_start(struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	int rc;

	net->private = calloc(1, sizeof(struct pasta));
	if (!net->private)
		return error_errno(e, ENOMEM, "%s", net->driver->name);
	rc = fill_info(net, info, e);
	if (rc == 0)
		rc = start_ready(net, info, e);
	if (rc < 0)
		forget(net);
	return rc;
}

static void pasta_stop(struct rk_net *net)
{
	if (!net->private)
		return;
	daemon_stop(net, SIGTERM, PASTA_STOP_GRACE_MS);
	forget(net);
}

const struct rk_net_driver net_pasta = {
	.name = "pasta",
	.flags = NET_OWN_NETNS,
	.default_mtu = 65520,
	.default_cidr = "10.0.2.0/24",
	.default_ifname = "tap0",
	.log_noise = "Failed to send ", // ... N bytes to syslog: after each line where none runs
	.check = pasta_check,
	.start = pasta_start,
	.stop = pasta_stop,
};
