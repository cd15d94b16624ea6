// host.c: no network namespace: the child shares the host's network.

#include "drivers/driver.h"

static int host_check(const struct rk_config *config, struct rk_error *e)
{
	(void)config;
	(void)e;
	return 0;
}

// *info stays empty: an empty driver name is how "host" is reported.
static int host_start(struct rk_net *net, struct rk_network_info *info, struct rk_error *e)
{
	(void)info;
	(void)e;
	net->daemon = RK_PROCESS_NONE;
	return 0;
}

// The host's interfaces are not ours to touch.
static int host_configure(const struct rk_network_info *info, struct rk_error *e)
{
	(void)info;
	(void)e;
	return 0;
}

static void host_stop(struct rk_net *net)
{
	(void)net;
}

const struct rk_net_driver net_host = {
	.name = "host",
	.default_cidr = "",
	.default_ifname = "",
	.check = host_check,
	.start = host_start,
	.configure = host_configure,
	.stop = host_stop,
};
