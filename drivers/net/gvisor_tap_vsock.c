// gvisor_tap_vsock.c: user-mode networking by gvproxy(1) of the project gvisor-tap-vsock.
//
// How it works: gvproxy listens on two sockets in a directory of ours: one carries Ethernet frames
// (SOCK_SEQPACKET, one frame a message), the other its HTTP API, which the port driver of the same
// name uses. A tap relay connects the first to a tap in the namespace.
//
// gvproxy numbers its network's hosts: gateway and DNS 1, our child 2, and the last one stands for
// the host's loopback. Versions before 0.8.8 have the network compiled in; later ones read another
// from a file. Not every version can leave the loopback alias out, and all answer their API at the
// gateway's port 80, where anybody in the namespace could open ports of the host: the relay's
// filter ends both (drivers/filter.h).

#include "base/fd.h"
#include "drivers/common.h"
#include "drivers/daemon.h"
#include "drivers/gvproxy.h"
#include "drivers/relayed.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define GVPROXY_PACKAGE          "gvproxy"
#define GVPROXY_READY_TIMEOUT_MS 10000
#define GVPROXY_OUTPUT_MAX       8192
#define GVPROXY_PREFIX_MAX       29 // gateway, child, loopback alias
#define GVPROXY_CIDR             "192.168.127.0/24"
#define GVPROXY_SERVICE_PORT     80

#define GVPROXY_HOST_GATEWAY 1
#define GVPROXY_HOST_CHILD   2

struct gvproxy {
	char dir[PATH_MAX];
};

extern const struct rk_net_driver net_gvisor_tap_vsock;

static bool is_compiled_in(const struct rk_config *config)
{
	return !strcmp(net_driver_cidr(&net_gvisor_tap_vsock, config), GVPROXY_CIDR);
}

static int check_cidr(const struct rk_config *config, struct rk_error *e)
{
	const char *cidr_text = net_driver_cidr(&net_gvisor_tap_vsock, config);
	char output[GVPROXY_OUTPUT_MAX] = "";
	struct rk_cidr cidr;
	int rc = cidr_parse(&cidr, cidr_text, GVPROXY_PREFIX_MAX, e);

	if (rc == 0)
		rc = daemon_probe(net_gvisor_tap_vsock.name, config->gvisor_tap_vsock.binary,
			"-help", GVPROXY_PACKAGE, output, sizeof(output), e);
	if (rc < 0 || is_compiled_in(config) || strstr(output, "\n  -config "))
		return rc;
	error_set(e, EOPNOTSUPP, "[network] cidr: %s: this version of gvproxy has %s compiled in",
		cidr_text, GVPROXY_CIDR);
	return error_hint(e, "remove cidr, or use gvproxy 0.8.8 or newer");
}

static int gvproxy_check(const struct rk_config *config, struct rk_error *e)
{
	int rc;

	if (config->network.ipv6) {
		error_set(e, EOPNOTSUPP, "[network] ipv6: gvisor-tap-vsock has IPv4 only");
		return error_hint(e, "set ipv6 to false, or [network] driver to slirp4netns or "
				     "pasta");
	}
	rc = check_cidr(config, e);
	return rc < 0 ? rc : driver_check_tun(e);
}

// The number of the host that stands for the real host's loopback: the last before broadcast.
static uint32_t loopback_host(const struct rk_cidr *cidr)
{
	return (UINT32_MAX >> cidr->prefix) - 1;
}

// What the compiled-in network has, with other addresses.
static int write_config(
	const struct gvproxy *gvproxy, const struct rk_cidr *cidr, struct rk_error *e)
{
	char network[INET_ADDRSTRLEN], gateway[INET_ADDRSTRLEN], host[INET_ADDRSTRLEN];
	char path[PATH_MAX + sizeof(RK_GVPROXY_CONFIG)];
	char text[1024];
	int rc;

	cidr_host(cidr, 0, network);
	cidr_host(cidr, GVPROXY_HOST_GATEWAY, gateway);
	cidr_host(cidr, loopback_host(cidr), host);
	snprintf(path, sizeof(path), "%s/" RK_GVPROXY_CONFIG, gvproxy->dir);
	snprintf(text, sizeof(text),
		"stack:\n"
		"  subnet: %s/%u\n"
		"  gatewayIP: %s\n"
		"  nat:\n"
		"    %s: 127.0.0.1\n"
		"  gatewayVirtualIPs: [%s]\n"
		"  dns:\n"
		"    - name: containers.internal.\n"
		"      records: [{name: gateway, ip: %s}, {name: host, ip: %s}]\n"
		"    - name: docker.internal.\n"
		"      records: [{name: gateway, ip: %s}, {name: host, ip: %s}]\n",
		network, cidr->prefix, gateway, host, host, gateway, host, gateway, host);
	rc = file_write_text(path, text);
	return rc < 0 ? error_errno(e, -rc, "%s", path) : 0;
}

static int start_daemon(struct rk_net *net, struct rk_error *e)
{
	const struct gvproxy *gvproxy = net->private;
	char api[PATH_MAX + 32], network[PATH_MAX + 32], config[PATH_MAX + 32];
	char mtu[16];
	const char *argv[12];
	unsigned n = 0;
	struct rk_spawn spawn = {.argv = argv};

	snprintf(api, sizeof(api), "unix://%s/" RK_GVPROXY_API, gvproxy->dir);
	snprintf(network, sizeof(network), "unixpacket://%s/" RK_GVPROXY_NETWORK, gvproxy->dir);
	snprintf(config, sizeof(config), "%s/" RK_GVPROXY_CONFIG, gvproxy->dir);
	snprintf(mtu, sizeof(mtu), "%u", net_driver_mtu(net->driver, net->config));
	argv[n++] = net->config->gvisor_tap_vsock.binary;
	argv[n++] = "-listen";
	argv[n++] = api;
	argv[n++] = "-listen-bess";
	argv[n++] = network;
	argv[n++] = "-mtu";
	argv[n++] = mtu;
	// With a file it only says what the file does not: no forward to an ssh server.
	argv[n++] = is_compiled_in(net->config) ? "-ssh-port" : "-config";
	argv[n++] = is_compiled_in(net->config) ? "-1" : config;
	argv[n] = NULL;
	return daemon_start(net, &spawn, GVPROXY_PACKAGE, e);
}

// The socket for frames of a gvproxy that is ready with all it has, or -code.
static int connect_daemon(struct rk_net *net, struct rk_error *e)
{
	const struct gvproxy *gvproxy = net->private;
	RK_CLEANUP_FD int api = -1;
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/" RK_GVPROXY_API, gvproxy->dir);
	api = relayed_await_socket(net, path, SOCK_STREAM, GVPROXY_READY_TIMEOUT_MS, e);
	if (api < 0)
		return api;
	snprintf(path, sizeof(path), "%s/" RK_GVPROXY_NETWORK, gvproxy->dir);
	return relayed_await_socket(net, path, SOCK_SEQPACKET, GVPROXY_READY_TIMEOUT_MS, e);
}

static void fill_info(
	const struct rk_net *net, const struct rk_cidr *cidr, struct rk_network_info *info)
{
	snprintf(info->driver, sizeof(info->driver), "%s", net->driver->name);
	snprintf(info->ifname, sizeof(info->ifname), "%s",
		net_driver_ifname(net->driver, net->config));
	cidr_host(cidr, GVPROXY_HOST_CHILD, info->ip);
	cidr_host(cidr, GVPROXY_HOST_GATEWAY, info->gateway);
	cidr_host(cidr, GVPROXY_HOST_GATEWAY, info->dns[0]);
	info->prefix = cidr->prefix;
	info->mtu = net_driver_mtu(net->driver, net->config);
}

static int start_network(struct rk_net *net, const struct rk_cidr *cidr, struct rk_error *e)
{
	struct rk_frame_filter filter = {.ipv4_only = true,
		.service_ip = cidr->network + GVPROXY_HOST_GATEWAY,
		.service_port = GVPROXY_SERVICE_PORT};
	RK_CLEANUP_FD int socket = -1;
	RK_CLEANUP_FD int tap = -1;
	int rc = 0;

	if (net->config->network.disable_host_loopback)
		filter.loopback_ip = cidr->network + loopback_host(cidr);
	if (!is_compiled_in(net->config))
		rc = write_config(net->private, cidr, e);
	if (rc == 0)
		rc = start_daemon(net, e);
	if (rc == 0)
		rc = socket = connect_daemon(net, e);
	if (rc >= 0)
		rc = tap = relayed_open_tap(net, NULL, e);
	if (rc >= 0)
		rc = relayed_start(net, tap, socket, FRAMING_PACKET, &filter, e);
	daemon_log_discard(net);
	return rc;
}

static void gvproxy_stop(struct rk_net *net)
{
	struct gvproxy *gvproxy = net->private;

	if (!gvproxy)
		return;
	// SIGTERM would make it wait for the next frame.
	relayed_stop(net, SIGKILL, 0);
	relayed_remove_dir(gvproxy->dir);
	free(gvproxy);
	net->private = NULL;
}

static int gvproxy_start(struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	struct gvproxy *gvproxy = calloc(1, sizeof(*gvproxy));
	struct rk_cidr cidr;
	int rc;

	if (!gvproxy)
		return error_errno(e, ENOMEM, "%s", net->driver->name);
	rc = cidr_parse(&cidr, net_driver_cidr(net->driver, net->config), GVPROXY_PREFIX_MAX, e);
	if (rc == 0)
		rc = relayed_make_dir(net, RK_GVPROXY_DIR, gvproxy->dir, sizeof(gvproxy->dir), e);
	if (rc < 0) {
		free(gvproxy);
		return rc;
	}
	net->private = gvproxy;
	rc = start_network(net, &cidr, e);
	if (rc < 0) {
		gvproxy_stop(net);
		return rc;
	}
	fill_info(net, &cidr, info);
	return 0;
}

const struct rk_net_driver net_gvisor_tap_vsock = {
	.name = "gvisor-tap-vsock",
	.flags = NET_OWN_NETNS,
	.default_mtu = 65520,
	.default_cidr = GVPROXY_CIDR,
	.default_ifname = "tap0",
	.check = gvproxy_check,
	.start = gvproxy_start,
	.stop = gvproxy_stop,
};
