// implicit.c: pasta opens on the host every port that is listened on in the namespace.

#include "drivers/driver.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const implicit_protos[] = {NULL};

static int implicit_check(
	const struct rk_config *config, const struct rk_net_driver *net, struct rk_error *e)
{
	if (strcmp(net->name, "pasta") != 0) {
		error_set(e, EINVAL, "[port] driver: port driver implicit requires pasta network");
		return error_hint(e, "set [network] driver to pasta");
	}
	if (config->port.publish.count == 0)
		return 0;
	error_set(e, EINVAL,
		"[port] publish: port driver \"implicit\" does not support publishing ports: pasta "
		"opens what listens in the namespace by itself");
	return error_hint(e, "remove publish, or set [port] driver to builtin");
}

const struct rk_port_driver port_implicit = {
	.name = "implicit",
	.flags = PORT_HIDDEN,
	.protos = implicit_protos,
	.check = implicit_check,
};
