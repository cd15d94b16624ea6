// proxy_header.h: the header of the PROXY protocol, versions 1 and 2, with which a server learns
// whose connection it was handed (haproxy.org, proxy-protocol.txt).
#pragma once

#include "base/addr.h"
#include "config/portspec.h"

#include <stddef.h>

// Version 1 has at most 107 bytes, version 2 of TCP over IPv6 has 52.
#define PROXY_HEADER_MAX 108

// Writes the header for a TCP connection of `client` to `server` (the address that the client
// connected to, of the same family). Returns its length.
size_t proxy_header_write(unsigned char header[PROXY_HEADER_MAX], enum rk_proxy_protocol version,
	const struct rk_addr *client, const struct rk_addr *server);
