// srcip_probe.h: proves with a real connection that a server sees the address of a client that is
// not there, and that its answer comes back.
#pragma once

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

// Prepares a socket of this namespace for any local address, as the helper does. 0 or -errno.
int srcip_prepare_socket(int fd, int family, uint32_t mark);

// A client outside the namespace, from the addresses for documentation (RFC 5737, RFC 3849).
void srcip_foreign_client(struct rk_addr *client, int family);

// One exchange between srcip_foreign_client() and a server on all addresses, at `target` (its port
// is ignored). May take seconds when it fails. 0 or -errno; -EADDRNOTAVAIL: the server saw
// another client.
int srcip_probe(int socktype, const struct rk_addr *target, uint32_t mark);

// A connect of the same client to `target`, where a server listens or a socket only has the port:
// 0 when it is refused, else -errno; -EISCONN: it was not. May take seconds.
int srcip_probe_refusal(const struct rk_addr *target, uint32_t mark, bool listening);
