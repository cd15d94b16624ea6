// none.c: no port is forwarded.

#include "drivers/driver.h"

#include <errno.h>
#include <stddef.h>

static const char *const none_protos[] = {NULL};

static int none_check(
	const struct rk_config *config, const struct rk_net_driver *net, struct rk_error *e)
{
	(void)net;
	if (config->port.publish.count == 0)
		return 0;
	error_set(e, EINVAL,
		"[port] publish: port driver \"none\" does not support publishing ports");
	return error_hint(e, "set [port] driver to builtin, or remove publish");
}

const struct rk_port_driver port_none = {
	.name = "none",
	.flags = PORT_HIDDEN,
	.protos = none_protos,
	.check = none_check,
};
