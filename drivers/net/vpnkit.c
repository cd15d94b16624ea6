// vpnkit.c: user-mode networking by VPNKit, or by what speaks its Ethernet protocol.
//
// How it works: VPNKit listens on a socket. After a handshake, which gives the hardware address of
// the tap (vpnkit_handshake.h), it carries Ethernet frames. Their network's addresses are VPNKit's
// to choose: they are asked for by DHCP before the tap exists, and then configured as static ones.

#include "base/fd.h"
#include "drivers/common.h"
#include "drivers/daemon.h"
#include "drivers/dhcp.h"
#include "drivers/relayed.h"
#include "drivers/vpnkit_handshake.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define VPNKIT_DIR              "vpnkit"
#define VPNKIT_SOCKET           "net.sock"
#define VPNKIT_PROGRAM          "vpnkit"
#define VPNKIT_REMEDY           "Debian does not package VPNKit: build it from its source"
#define VPNKIT_READY_TIMEOUT_MS 10000
#define VPNKIT_DHCP_TIMEOUT_MS  10000
#define VPNKIT_MTU_MAX          16424 // more stalls

struct vpnkit {
	char dir[PATH_MAX];
};

extern const struct rk_net_driver net_vpnkit;

static int vpnkit_check(const struct rk_config *config, struct rk_error *e)
{
	uint32_t mtu = net_driver_mtu(&net_vpnkit, config);
	int rc;

	if (config->network.ipv6)
		return error_set(e, EOPNOTSUPP, "[network] ipv6: vpnkit has IPv4 only");
	if (config->network.cidr[0]) {
		error_set(e, EOPNOTSUPP,
			"[network] cidr: vpnkit chooses the network and tells it by DHCP");
		return error_hint(e, "remove cidr");
	}
	if (mtu > VPNKIT_MTU_MAX)
		return error_set(e, EINVAL, "[network] mtu: %u is more than vpnkit's %u", mtu,
			VPNKIT_MTU_MAX);
	rc = relayed_look_up(net_vpnkit.name, config->vpnkit.binary, VPNKIT_REMEDY, e);
	return rc < 0 ? rc : driver_check_tun(e);
}

static int start_daemon(struct rk_net *net, const char *socket_path, struct rk_error *e)
{
	char mtu[16];
	const char *argv[10];
	unsigned n = 0;
	struct rk_spawn spawn = {.argv = argv};

	snprintf(mtu, sizeof(mtu), "%u", net_driver_mtu(net->driver, net->config));
	argv[n++] = net->config->vpnkit.binary;
	argv[n++] = "--ethernet";
	argv[n++] = socket_path;
	argv[n++] = "--mtu";
	argv[n++] = mtu;
	if (net->config->network.disable_host_loopback) {
		argv[n++] = "--host-ip";
		argv[n++] = "0.0.0.0"; // no address that stands for the host's loopback
	}
	argv[n] = NULL;
	return daemon_start(net, &spawn, VPNKIT_PROGRAM, e);
}

static void fill_info(const struct rk_net *net, const struct rk_vpnkit_link *link,
	const struct rk_dhcp_offer *offer, struct rk_network_info *info)
{
	uint32_t mtu = net_driver_mtu(net->driver, net->config);

	snprintf(info->driver, sizeof(info->driver), "%s", net->driver->name);
	snprintf(info->ifname, sizeof(info->ifname), "%s",
		net_driver_ifname(net->driver, net->config));
	dhcp_fill_info(offer, info);
	info->mtu = link->mtu > 0 && link->mtu < mtu ? link->mtu : mtu;
}

static int start_network(
	struct rk_net *net, const char *path, struct rk_network_info *info, struct rk_error *e)
{
	struct rk_vpnkit_link link;
	struct rk_dhcp_offer offer;
	RK_CLEANUP_FD int socket = -1;
	RK_CLEANUP_FD int tap = -1;
	int rc = start_daemon(net, path, e);

	if (rc == 0)
		rc = socket =
			relayed_await_socket(net, path, SOCK_STREAM, VPNKIT_READY_TIMEOUT_MS, e);
	if (rc >= 0)
		rc = vpnkit_handshake(&link, socket, VPNKIT_READY_TIMEOUT_MS, &net->cancel, e);
	if (rc >= 0)
		rc = dhcp_discover(&offer, socket, FRAMING_U16_LE, link.mac, VPNKIT_DHCP_TIMEOUT_MS,
			&net->cancel, e);
	if (rc < 0)
		return error_wrap(e, "%s", net->driver->name);
	rc = tap = relayed_open_tap(net, link.mac, e);
	if (rc >= 0)
		rc = relayed_start(net, tap, socket, FRAMING_U16_LE, NULL, e);
	if (rc < 0)
		return rc;
	daemon_log_discard(net);
	fill_info(net, &link, &offer, info);
	return 0;
}

static void vpnkit_stop(struct rk_net *net)
{
	struct vpnkit *vpnkit = net->private;

	if (!vpnkit)
		return;
	relayed_stop(net, SIGKILL, 0);
	relayed_remove_dir(vpnkit->dir);
	free(vpnkit);
	net->private = NULL;
}

static int vpnkit_start(struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	struct vpnkit *vpnkit = calloc(1, sizeof(*vpnkit));
	char path[PATH_MAX + sizeof(VPNKIT_SOCKET)];
	int rc;

	if (!vpnkit)
		return error_errno(e, ENOMEM, "%s", net->driver->name);
	rc = relayed_make_dir(net, VPNKIT_DIR, vpnkit->dir, sizeof(vpnkit->dir), e);
	if (rc < 0) {
		free(vpnkit);
		return rc;
	}
	net->private = vpnkit;
	snprintf(path, sizeof(path), "%s/" VPNKIT_SOCKET, vpnkit->dir);
	rc = start_network(net, path, info, e);
	if (rc < 0)
		vpnkit_stop(net);
	return rc;
}

const struct rk_net_driver net_vpnkit = {
	.name = "vpnkit",
	.flags = NET_OWN_NETNS,
	.default_mtu = 1500,
	.default_cidr = "",
	.default_ifname = "tap0",
	.check = vpnkit_check,
	.start = vpnkit_start,
	.stop = vpnkit_stop,
};
