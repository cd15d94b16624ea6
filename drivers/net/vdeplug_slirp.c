// vdeplug_slirp.c: user-mode networking by libslirp in vde_plug(1).
//
// How it works: vde_plug joins two ends: libslirp's network, described by a URL, and one end of a
// socket pair that it inherits (seqpacket://FD, one frame a message). A tap relay has the other
// end. vde_plug does not say when it is ready, so we ask its network's DHCP server for an offer:
// the answer shows that frames go both ways. Addresses are numbered as slirp4netns does.

#include "base/fd.h"
#include "drivers/common.h"
#include "drivers/daemon.h"
#include "drivers/dhcp.h"
#include "drivers/relayed.h"
#include "drivers/tap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define VDE_PACKAGES         "vdeplug libvdeplug-slirp"
#define VDE_READY_TIMEOUT_MS 10000
#define VDE_STOP_GRACE_MS    1000
#define VDE_MTU_MAX          9000 // libslirp takes frames of 9014 bytes from this side
#define VDE_PREFIX_MAX       25   // DHCP, DNS, gateway and our +100 must fit
#define VDE_URL_MAX          256
#define VDE_SOCKET_FD        3 // the number in vde_plug

#define VDE_HOST_GATEWAY 2
#define VDE_HOST_DNS     3
#define VDE_HOST_DHCP    15
#define VDE_HOST_CHILD   100

// libslirp 4.7: the block is fixed.
#define VDE_IP6      "fd00::100"
#define VDE_PREFIX6  64
#define VDE_GATEWAY6 "fd00::2"
#define VDE_DNS6     "fd00::3"

extern const struct rk_net_driver net_vdeplug_slirp;

static int vde_check(const struct rk_config *config, struct rk_error *e)
{
	uint32_t mtu = net_driver_mtu(&net_vdeplug_slirp, config);
	struct rk_cidr cidr;
	int rc;

	if (mtu > VDE_MTU_MAX) {
		error_set(e, EINVAL,
			"[network] mtu: %u is more than the %u that libslirp takes from vde_plug",
			mtu, VDE_MTU_MAX);
		return error_hint(e, "set mtu to %u or less", VDE_MTU_MAX);
	}
	rc = cidr_parse(&cidr, net_driver_cidr(&net_vdeplug_slirp, config), VDE_PREFIX_MAX, e);
	if (rc == 0)
		rc = relayed_look_up(net_vdeplug_slirp.name, config->vdeplug_slirp.binary,
			"apt install " VDE_PACKAGES, e);
	return rc < 0 ? rc : driver_check_tun(e);
}

// Every address is given: libslirp keeps the host parts of its own for a prefix other than /24. A
// prefix length has the delimiter of options in it and stands in quotes.
static void put_url(
	const struct rk_config *config, const struct rk_cidr *cidr, char *url, size_t size)
{
	char gateway[INET_ADDRSTRLEN], dns[INET_ADDRSTRLEN], dhcp[INET_ADDRSTRLEN];
	uint32_t mtu = net_driver_mtu(&net_vdeplug_slirp, config);

	cidr_host(cidr, VDE_HOST_GATEWAY, gateway);
	cidr_host(cidr, VDE_HOST_DNS, dns);
	cidr_host(cidr, VDE_HOST_DHCP, dhcp);
	snprintf(url, size, "slirp:///v4/addr='%s/%u'/vnameserver=%s/dhcp=%s/mtu=%u/mru=%u%s%s",
		gateway, cidr->prefix, dns, dhcp, mtu, mtu, config->network.ipv6 ? "/v6" : "",
		config->network.disable_host_loopback ? "/disable_host_loopback" : "");
}

static int start_daemon(
	struct rk_net *net, const struct rk_cidr *cidr, int socket, struct rk_error *e)
{
	char url[VDE_URL_MAX];
	const char *argv[] = {net->config->vdeplug_slirp.binary, url, "seqpacket://3", NULL};
	struct rk_spawn spawn = {.argv = argv, .fds = {{socket, VDE_SOCKET_FD}}, .fd_count = 1};

	put_url(net->config, cidr, url, sizeof(url));
	return daemon_start(net, &spawn, VDE_PACKAGES, e);
}

// `socket` answers, or the daemon's own words are in *e.
static int await_network(struct rk_net *net, int socket, int tap, struct rk_error *e)
{
	struct rk_dhcp_offer offer;
	uint8_t mac[ETHER_ADDR_LEN];
	int rc = tap_get_mac(tap, mac, e);

	if (rc < 0)
		return rc;
	rc = dhcp_discover(
		&offer, socket, FRAMING_PACKET, mac, VDE_READY_TIMEOUT_MS, &net->cancel, e);
	if (rc == -ECONNRESET || rc == -EPIPE)
		return net_describe_death(net, e);
	return rc < 0 ? error_wrap(e, "%s", net->driver->name) : 0;
}

static void fill_info(
	const struct rk_net *net, const struct rk_cidr *cidr, struct rk_network_info *info)
{
	snprintf(info->driver, sizeof(info->driver), "%s", net->driver->name);
	snprintf(info->ifname, sizeof(info->ifname), "%s",
		net_driver_ifname(net->driver, net->config));
	cidr_host(cidr, VDE_HOST_CHILD, info->ip);
	cidr_host(cidr, VDE_HOST_GATEWAY, info->gateway);
	cidr_host(cidr, VDE_HOST_DNS, info->dns[0]);
	info->prefix = cidr->prefix;
	info->mtu = net_driver_mtu(net->driver, net->config);
	if (net->config->network.ipv6) {
		snprintf(info->ip6, sizeof(info->ip6), VDE_IP6);
		snprintf(info->gateway6, sizeof(info->gateway6), VDE_GATEWAY6);
		snprintf(info->dns[1], sizeof(info->dns[1]), VDE_DNS6);
		info->prefix6 = VDE_PREFIX6;
	}
}

static int start_network(struct rk_net *net, const struct rk_cidr *cidr, struct rk_error *e)
{
	RK_CLEANUP_FD int ours = -1;
	RK_CLEANUP_FD int theirs = -1;
	RK_CLEANUP_FD int tap = -1;
	int ends[2];
	int rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(e, errno, "%s: socketpair", net->driver->name);
	ours = ends[0];
	theirs = ends[1];
	rc = tap = relayed_open_tap(net, NULL, e);
	if (rc >= 0)
		rc = start_daemon(net, cidr, theirs, e);
	fd_close(&theirs);
	if (rc >= 0)
		rc = await_network(net, ours, tap, e);
	if (rc >= 0)
		rc = relayed_start(net, tap, ours, FRAMING_PACKET, NULL, e);
	if (rc < 0)
		return rc;
	daemon_log_discard(net);
	return 0;
}

static void vde_stop(struct rk_net *net)
{
	relayed_stop(net, SIGTERM, VDE_STOP_GRACE_MS);
}

static int vde_start(struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	struct rk_cidr cidr;
	int rc = cidr_parse(&cidr, net_driver_cidr(net->driver, net->config), VDE_PREFIX_MAX, e);

	if (rc == 0)
		rc = start_network(net, &cidr, e);
	if (rc < 0) {
		vde_stop(net);
		return rc;
	}
	fill_info(net, &cidr, info);
	return 0;
}

const struct rk_net_driver net_vdeplug_slirp = {
	.name = "vdeplug_slirp",
	.flags = NET_OWN_NETNS,
	.default_mtu = 1500,
	.default_cidr = "10.0.2.0/24",
	.default_ifname = "tap0",
	.check = vde_check,
	.start = vde_start,
	.stop = vde_stop,
};
