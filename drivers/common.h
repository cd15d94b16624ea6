// common.h: what several drivers need: address blocks and the tap device.
#pragma once

#include "base/error.h"

#include <netinet/in.h>
#include <stdint.h>

// An IPv4 block in host byte order.
struct rk_cidr {
	uint32_t network;
	unsigned prefix;
};

// Parses "10.0.2.0/24": the network's own address, the prefix within `prefix_max`.
// 0, or -EINVAL with *e saying what is allowed.
int cidr_parse(struct rk_cidr *cidr, const char *text, unsigned prefix_max, struct rk_error *e);
// The text of address number `host` of the block (0 = the network). Returns `text`.
const char *cidr_host(const struct rk_cidr *cidr, uint32_t host, char text[INET_ADDRSTRLEN]);

// A tap can be made here: /dev/net/tun is there and may be opened.
int driver_check_tun(struct rk_error *e);
