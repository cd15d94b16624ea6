// tap.c: a tap device in the child's network namespace, its descriptor on the host side.

#include "drivers/tap.h"
#include "base/netlink.h"
#include "drivers/inside.h"

#include <errno.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/if.h>

static int open_tap(const void *name, struct rk_error *e)
{
	return tap_open(name, false, e);
}

int tap_open_in(pid_t child, const char *name, struct rk_error *e)
{
	return inside_open(child, name, open_tap, name, e);
}

int tap_get_mac(int tap, uint8_t mac[ETHER_ADDR_LEN], struct rk_error *e)
{
	struct ifreq request = {.ifr_name = ""};

	if (ioctl(tap, SIOCGIFHWADDR, &request) < 0)
		return error_errno(e, errno, "tap: read its hardware address");
	memcpy(mac, request.ifr_hwaddr.sa_data, ETHER_ADDR_LEN);
	return 0;
}

int tap_set_mac(int tap, const uint8_t mac[ETHER_ADDR_LEN], struct rk_error *e)
{
	struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};

	memcpy(request.ifr_hwaddr.sa_data, mac, ETHER_ADDR_LEN);
	if (ioctl(tap, SIOCSIFHWADDR, &request) < 0)
		return error_errno(e, errno, "tap: set its hardware address");
	return 0;
}
