// none.c: a network namespace of its own with nothing but lo.

#include "drivers/driver.h"

#include <stdio.h>

static int none_check(const struct rk_config *config, struct rk_error *e)
{
	(void)config;
	(void)e;
	return 0;
}

static int none_start(struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	(void)e;
	net->daemon = RK_PROCESS_NONE;
	snprintf(info->driver, sizeof(info->driver), "%s", net->driver->name);
	return 0;
}

static void none_stop(struct rk_net *net)
{
	(void)net;
}

const struct rk_net_driver net_none = {
	.name = "none",
	.flags = NET_OWN_NETNS,
	.default_cidr = "",
	.default_ifname = "",
	.check = none_check,
	.start = none_start,
	.stop = none_stop,
};
