// registry.c: every driver, one line each.

#include "drivers/driver.h"

#include <stdio.h>
#include <string.h>

#define NET_DRIVERS(DRIVER)                                                                        \
	DRIVER(none)                                                                               \
	DRIVER(host)                                                                               \
	DRIVER(slirp4netns)                                                                        \
	DRIVER(pasta)                                                                              \
	DRIVER(gvisor_tap_vsock)                                                                   \
	DRIVER(vpnkit)                                                                             \
	DRIVER(vdeplug_slirp)                                                                      \
	DRIVER(lxc_user_nic)

#define PORT_DRIVERS(DRIVER)                                                                       \
	DRIVER(none)                                                                               \
	DRIVER(builtin)                                                                            \
	DRIVER(slirp4netns)                                                                        \
	DRIVER(implicit)                                                                           \
	DRIVER(socat)                                                                              \
	DRIVER(gvisor_tap_vsock)

#define DECLARE_NET(id)  extern const struct rk_net_driver net_##id;
#define DECLARE_PORT(id) extern const struct rk_port_driver port_##id;
#define NET_ADDRESS(id)  &net_##id,
#define PORT_ADDRESS(id) &port_##id,

NET_DRIVERS(DECLARE_NET)
PORT_DRIVERS(DECLARE_PORT)

static const struct rk_net_driver *const net_drivers[] = {NET_DRIVERS(NET_ADDRESS)};
static const struct rk_port_driver *const port_drivers[] = {PORT_DRIVERS(PORT_ADDRESS)};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define NAMES_MAX       256

const struct rk_net_driver *net_driver_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(net_drivers); i++) {
		if (!strcmp(net_drivers[i]->name, name))
			return net_drivers[i];
	}
	return NULL;
}

const struct rk_port_driver *port_driver_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(port_drivers); i++) {
		if (!strcmp(port_drivers[i]->name, name))
			return port_drivers[i];
	}
	return NULL;
}

// Appends "NAME" or ", NAME" to the text of `used` bytes; returns its new length.
static size_t append_name(char *names, size_t used, const char *name)
{
	return used +
	       (size_t)snprintf(names + used, NAMES_MAX - used, "%s%s", used > 0 ? ", " : "", name);
}

const char *net_driver_names(void)
{
	static char names[NAMES_MAX];
	size_t used = 0;

	for (size_t i = 0; i < COUNT_OF(net_drivers) && used < NAMES_MAX; i++)
		used = append_name(names, used, net_drivers[i]->name);
	return names;
}

const char *port_driver_names(void)
{
	static char names[NAMES_MAX];
	size_t used = 0;

	for (size_t i = 0; i < COUNT_OF(port_drivers) && used < NAMES_MAX; i++)
		used = append_name(names, used, port_drivers[i]->name);
	return names;
}
