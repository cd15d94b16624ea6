// lxc_user_nic.c: a veth pair to a bridge of the host, made by lxc-user-nic(1), address by DHCP.
//
// How it works: the set-uid program lxc-user-nic puts one end of a veth pair into the namespace of
// a process and the other into a bridge, as far as /etc/lxc/lxc-usernet allows it. From a packet
// socket on the new interface we ask the bridge's DHCP server for an address (dhcp_lease.h), which
// the child then configures like a given one. A process of ours keeps the lease; its end is that of
// the network. The kernel moves all frames, and removes the pair with the namespace.
//
// The program takes only a process id. That is the child's: with detach-netns it is the child, too,
// that lives in the network namespace.

#include "base/fd.h"
#include "base/msg.h"
#include "drivers/dhcp_lease.h"
#include "drivers/driver.h"
#include "drivers/lxc_explain.h"
#include "drivers/packet.h"
#include "drivers/relayed.h"

#include <errno.h>
#include <linux/if.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LXC_REMEDY          "apt install liblxc-common"
#define LXC_RUN_TIMEOUT_MS  10000
#define LXC_DHCP_TIMEOUT_MS 30000
#define LXC_STOP_GRACE_MS   1000
#define LXC_OUTPUT_MAX      4096
#define LXC_USERNET_MAX     65536
#define LXC_USER_MAX        64

struct lxc {
	int report; // of the keeper of the lease
};

extern const struct rk_net_driver net_lxc_user_nic;

static int read_bridge_mtu(const char *bridge, uint32_t *mtu, struct rk_error *e)
{
	RK_CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = ""};

	if (fd < 0)
		return error_errno(e, errno, "%s: socket", bridge);
	memcpy(request.ifr_name, bridge, strnlen(bridge, sizeof(request.ifr_name) - 1));
	if (ioctl(fd, SIOCGIFMTU, &request) < 0) {
		error_errno(e, errno, "[lxc-user-nic] bridge: %s", bridge);
		return error_hint(e, "the bridge and its DHCP server are made by root, as by "
				     "package lxc's service lxc-net");
	}
	*mtu = (uint32_t)request.ifr_mtu;
	return 0;
}

static int check_mtu(const struct rk_config *config, struct rk_error *e)
{
	uint32_t mtu;
	int rc = read_bridge_mtu(config->lxc_user_nic.bridge, &mtu, e);

	if (rc < 0 || config->network.mtu <= mtu)
		return rc;
	error_set(e, EINVAL, "[network] mtu: %u is more than the %u of the bridge %s",
		config->network.mtu, mtu, config->lxc_user_nic.bridge);
	return error_hint(e, "set mtu to 0, which takes the bridge's");
}

static int lxc_check(const struct rk_config *config, struct rk_error *e)
{
	int rc;

	if (config->network.ipv6)
		return error_set(
			e, EOPNOTSUPP, "[network] ipv6: lxc-user-nic asks for IPv4 by DHCP only");
	if (config->network.cidr[0]) {
		error_set(e, EOPNOTSUPP,
			"[network] cidr: the bridge's DHCP server chooses the address");
		return error_hint(e, "remove cidr");
	}
	rc = relayed_look_up(net_lxc_user_nic.name, config->lxc_user_nic.binary, LXC_REMEDY, e);
	return rc < 0 ? rc : check_mtu(config, e);
}

static int explain_failure(
	const struct lxc_request *request, const char *output, struct rk_error *e)
{
	RK_CLEANUP_FREE char *usernet = calloc(1, LXC_USERNET_MAX);
	bool allowed = usernet && file_read_text(LXC_USERNET, usernet, LXC_USERNET_MAX) > 0 &&
		       lxc_is_allowed(request, usernet);

	return lxc_explain(request, output, allowed, e);
}

static int make_interface(const struct rk_net *net, const char *ifname, struct rk_error *e)
{
	struct passwd *entry = getpwuid(getuid());
	struct lxc_request request = {.program = net->config->lxc_user_nic.binary,
		.user = entry ? entry->pw_name : "the user",
		.bridge = net->config->lxc_user_nic.bridge,
		.ifname = ifname};
	char output[LXC_OUTPUT_MAX];
	char pid[16];
	const char *argv[] = {request.program, "create", "/dev/null", "rk-engine", pid, "veth",
		request.bridge, ifname, NULL};
	int status;

	snprintf(pid, sizeof(pid), "%d", net->child_pid);
	status = spawn_run(argv, output, sizeof(output), LXC_RUN_TIMEOUT_MS, e);
	if (status <= 0)
		return status;
	explain_failure(&request, output, e);
	return error_wrap(e, "%s", net->driver->name);
}

static int obtain_lease(
	struct rk_net *net, const char *ifname, struct rk_network_info *info, struct rk_error *e)
{
	struct lxc *lxc = net->private;
	struct rk_dhcp_lease lease;
	RK_CLEANUP_FD int socket = -1;
	int rc;

	rc = socket = packet_open_dhcp(net->child_pid, ifname, lease.mac, e);
	if (rc < 0)
		return rc;
	rc = dhcp_lease_obtain(&lease, socket, LXC_DHCP_TIMEOUT_MS, &net->cancel, e);
	if (rc == -ETIMEDOUT)
		error_hint(e, "does a DHCP server, such as dnsmasq, listen on the bridge %s?",
			net->config->lxc_user_nic.bridge);
	if (rc == 0)
		rc = lxc->report = dhcp_keeper_start(&lease, socket, &net->daemon, e);
	if (rc < 0)
		return error_wrap(e, "%s", net->driver->name);
	dhcp_fill_info(&lease.terms, info);
	return 0;
}

static void lxc_stop(struct rk_net *net)
{
	struct lxc *lxc = net->private;

	if (!lxc)
		return;
	process_stop(&net->daemon, SIGTERM, LXC_STOP_GRACE_MS);
	fd_close(&lxc->report);
	free(lxc);
	net->private = NULL;
}

static int start_network(struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	uint32_t mtu;
	int rc = read_bridge_mtu(net->config->lxc_user_nic.bridge, &mtu, e);

	snprintf(info->driver, sizeof(info->driver), "%s", net->driver->name);
	snprintf(info->ifname, sizeof(info->ifname), "%s",
		net_driver_ifname(net->driver, net->config));
	if (rc == 0)
		rc = make_interface(net, info->ifname, e);
	if (rc == 0)
		rc = obtain_lease(net, info->ifname, info, e);
	info->mtu = net->config->network.mtu ? net->config->network.mtu : mtu;
	info->dynamic = 1;
	return rc;
}

static int lxc_start(struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	struct lxc *lxc = calloc(1, sizeof(*lxc));
	int rc;

	if (!lxc)
		return error_errno(e, ENOMEM, "%s", net->driver->name);
	lxc->report = -1;
	net->private = lxc;
	rc = start_network(net, info, e);
	if (rc < 0)
		lxc_stop(net);
	return rc;
}

// The keeper's own words, when it had some.
static int lxc_describe_death(struct rk_net *net, struct rk_error *e)
{
	static struct rk_message message;
	const struct lxc *lxc = net->private;
	char how[64];
	int status;

	if (msg_receive(lxc->report, &message) == 1 && message.header.type == MSG_ERROR) {
		*e = message.error;
		return error_wrap(e, "%s", net->driver->name);
	}
	status = process_wait(&net->daemon, LXC_STOP_GRACE_MS);
	return error_set(e, EIO, "%s: the process that keeps the lease %s", net->driver->name,
		status < 0 ? "stopped working" : process_describe_status(status, how, sizeof(how)));
}

const struct rk_net_driver net_lxc_user_nic = {
	.name = "lxc-user-nic",
	.flags = NET_OWN_NETNS,
	.default_mtu = 0,
	.default_cidr = "",
	.default_ifname = "eth0",
	.check = lxc_check,
	.start = lxc_start,
	.describe_death = lxc_describe_death,
	.stop = lxc_stop,
};
