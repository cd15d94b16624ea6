// ports.h: a table of ports whose driver publishes nothing, so that requests can do no harm.
#pragma once

#include "engine/api_json.h"
#include "engine/ports.h"

// Made on the first call; lives as long as the program.
struct rk_ports *fuzz_ports(void);
// What GET /v1/info says beside it.
const struct rk_api_info *fuzz_api_info(void);
// Requires that a spec that was accepted is in range and reads back from its text.
void fuzz_spec_require(const struct rk_port_spec *spec);
// Removes all ports but the first `keep`, and requires that each of them is a sound one: in range,
// with an id of its own, and a text that reads back to the same. The number that there were.
size_t fuzz_ports_require(size_t keep);
