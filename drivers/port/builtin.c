// builtin.c: the engine's own data plane forwards every published port.

#include "drivers/driver.h"

#include <errno.h>
#include <stddef.h>

static const char *const builtin_protos[] = {"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", NULL};

static int builtin_check(
	const struct rk_config *config, const struct rk_net_driver *net, struct rk_error *e)
{
	(void)config;
	if (net->flags & NET_OWN_NETNS)
		return 0;
	error_set(e, EINVAL,
		"[port] driver: port driver builtin requires non-host network: %s makes no network "
		"namespace to forward into",
		net->name);
	return error_hint(e, "set [network] driver to slirp4netns, or [port] driver to none");
}

const struct rk_port_driver port_builtin = {
	.name = "builtin",
	.flags = PORT_DATA_PLANE,
	.protos = builtin_protos,
	.check = builtin_check,
};
