// flags.h: docker-proxy's command line, which rootlesskit-docker-proxy takes as well.
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct proxy_flags {
	const char *proto;        // "tcp", "udp", "sctp"
	const char *host_ip;      // an address literal once checked
	const char *container_ip; // handed on as it is
	const char *host_port_text;
	const char *container_port_text;
	uint16_t host_port;
	bool host_is_ip6;
	bool help;
};

// Reads -name VALUE, -name=VALUE and the same with two dashes, as Go's flag package does; the
// strings stay argv's. Nothing is checked here. 0 or -EINVAL with *e.
int flags_read(struct proxy_flags *flags, char **argv, struct rk_error *e);
// Checks what the engine is told (protocol name, host address, host port) and fills the parsed
// members. 0 or -EINVAL with *e.
int flags_check(struct proxy_flags *flags, struct rk_error *e);
