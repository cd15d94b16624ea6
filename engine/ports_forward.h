// ports_forward.h: what a port spec means: where to listen, where to connect.
#pragma once

#include "config/portspec.h"
#include "engine/plane.h"

// Fills *forward (id 0) from a spec that port_spec_check() accepted. 0 or -EINVAL with *e.
int ports_forward_resolve(
	struct rk_forward *forward, const struct rk_port_spec *spec, struct rk_error *e);
