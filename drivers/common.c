// common.c: defaults, address blocks, checks and the static configuration of an interface.

#include "drivers/common.h"
#include "base/fd.h"
#include "base/netlink.h"
#include "drivers/driver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t net_driver_mtu(const struct rk_net_driver *driver, const struct rk_config *config)
{
	return config->network.mtu ? config->network.mtu : driver->default_mtu;
}

const char *net_driver_cidr(const struct rk_net_driver *driver, const struct rk_config *config)
{
	return config->network.cidr[0] ? config->network.cidr : driver->default_cidr;
}

const char *net_driver_ifname(const struct rk_net_driver *driver, const struct rk_config *config)
{
	return config->network.ifname[0] ? config->network.ifname : driver->default_ifname;
}

static bool parse_prefix(const char *text, unsigned *prefix)
{
	char *end;
	unsigned long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	value = strtoul(text, &end, 10);
	if (*end != '\0' || value > 32)
		return false;
	*prefix = (unsigned)value;
	return true;
}

int cidr_parse(struct rk_cidr *cidr, const char *text, unsigned prefix_max, struct rk_error *e)
{
	char ip[INET_ADDRSTRLEN] = "";
	const char *slash = strchr(text, '/');
	struct in_addr address;

	if (slash && (size_t)(slash - text) < sizeof(ip))
		memcpy(ip, text, (size_t)(slash - text));
	if (!slash || inet_pton(AF_INET, ip, &address) != 1 ||
		!parse_prefix(slash + 1, &cidr->prefix))
		return error_set(e, EINVAL,
			"[network] cidr: \"%s\" is no IPv4 network; allowed: like 10.0.2.0/24",
			text);
	cidr->network = ntohl(address.s_addr);
	if (cidr->prefix < 1 || cidr->prefix > prefix_max)
		return error_set(e, EINVAL, "[network] cidr: \"%s\": the prefix must be 1 to %u",
			text, prefix_max);
	if (cidr->network & (UINT32_MAX >> cidr->prefix)) {
		cidr->network &= ~(UINT32_MAX >> cidr->prefix);
		return error_set(e, EINVAL,
			"[network] cidr: \"%s\" is not the address of the network; did you mean "
			"%s/%u?",
			text, cidr_host(cidr, 0, ip), cidr->prefix);
	}
	return 0;
}

const char *cidr_host(const struct rk_cidr *cidr, uint32_t host, char text[INET_ADDRSTRLEN])
{
	struct in_addr address = {htonl(cidr->network + host)};

	return inet_ntop(AF_INET, &address, text, INET_ADDRSTRLEN);
}

int driver_check_tun(struct rk_error *e)
{
	RK_CLEANUP_FD int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int code = errno;

	if (fd >= 0)
		return 0;
	error_errno(e, code, "/dev/net/tun: cannot be opened");
	if (code == EACCES || code == EPERM)
		return error_hint(e,
			"chmod 666 /dev/net/tun as root; in a container allow the device "
			"(--device /dev/net/tun)");
	return error_hint(e, "modprobe tun as root; in a container add --device /dev/net/tun");
}

static int add_network(const char *ifname, const char *ip, unsigned prefix, const char *gateway,
	struct rk_error *e)
{
	struct rk_addr address, router;
	int rc;

	if (ip[0] && addr_parse(&address, ip, strlen(ip), 0) < 0)
		return error_set(e, EINVAL, "%s: \"%s\" is no address", ifname, ip);
	if (gateway[0] && addr_parse(&router, gateway, strlen(gateway), 0) < 0)
		return error_set(e, EINVAL, "%s: gateway \"%s\" is no address", ifname, gateway);
	rc = ip[0] ? address_add(ifname, &address, prefix, e) : 0;
	if (rc < 0 || !gateway[0])
		return rc;
	return route_add_default(ifname, &router, e);
}

int net_configure_static(const struct rk_network_info *info, struct rk_error *e)
{
	int rc = link_set_up("lo", e);

	if (rc < 0 || !info->ifname[0] || info->configured)
		return rc;
	if (info->mtu > 0)
		rc = link_set_mtu(info->ifname, info->mtu, e);
	if (rc == 0)
		rc = link_set_up(info->ifname, e);
	if (rc == 0)
		rc = add_network(info->ifname, info->ip, info->prefix, info->gateway, e);
	if (rc == 0)
		rc = add_network(info->ifname, info->ip6, info->prefix6, info->gateway6, e);
	return rc;
}
