// sockets.h: open the listening sockets of a port, one per worker and address.
//
// How two engines never share a port although every worker has a socket of its own: the first
// socket of an address binds without SO_REUSEPORT, which fails when anybody has the port, whatever
// options the other set. It gets the option only afterwards, so that the sockets of the other
// workers, bound after it, can join. (Seen on Linux 6.18: a later plain bind fails with EADDRINUSE,
// connections spread evenly over the sockets.)
#pragma once

#include "engine/share.h"

// shares[i] belongs to worker i; all carry the same forward. All or nothing.
// 0 or -code with *e naming the address and the remedy.
int sockets_open(struct rk_share *const *shares, unsigned count, struct rk_error *e);
void sockets_close(struct rk_share *share);
