// check.c: the driver settings as a whole: known names, legal pairs, the drivers' own checks.

#include "drivers/driver.h"

#include <errno.h>

// Settings that mean nothing where no interface is made.
static int check_no_interface(
	const struct rk_config *config, const struct rk_net_driver *net, struct rk_error *e)
{
	if (net->default_ifname[0] || !config->network.ifname[0])
		return 0;
	error_set(
		e, EINVAL, "[network] ifname: the network driver %s makes no interface", net->name);
	return error_hint(e, "remove ifname");
}

static int check_detach(
	const struct rk_config *config, const struct rk_net_driver *net, struct rk_error *e)
{
	if (!config->network.detach_netns || (net->flags & NET_OWN_NETNS))
		return 0;
	return error_set(e, EINVAL,
		"[network] detach-netns: the network driver %s makes no namespace to detach",
		net->name);
}

int drivers_check(const struct rk_config *config, struct rk_error *e)
{
	const struct rk_net_driver *net = net_driver_find(config->network.driver);
	const struct rk_port_driver *port = port_driver_find(config->port.driver);
	int rc;

	if (!net)
		return error_set(e, EINVAL,
			"[network] driver: \"%s\" is no network driver; allowed: %s",
			config->network.driver, net_driver_names());
	if (!port)
		return error_set(e, EINVAL, "[port] driver: \"%s\" is no port driver; allowed: %s",
			config->port.driver, port_driver_names());
	rc = check_no_interface(config, net, e);
	if (rc == 0)
		rc = check_detach(config, net, e);
	if (rc == 0)
		rc = port->check(config, net, e);
	if (rc == 0)
		rc = net->check(config, e);
	return rc;
}
