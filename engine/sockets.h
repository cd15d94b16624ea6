// sockets.h: open the listening sockets of a port, one per worker and address.
//
// A large range has one socket per port and address instead, dealt out to the workers in turn: with
// thousands of ports it is not the single one that needs every processor.
//
// How two engines never share a port although every worker has a socket of its own: the first
// socket of an address binds without SO_REUSEPORT, which fails when anybody has the port, whatever
// options the other set. It gets the option only afterwards, so that the sockets of the other
// workers, bound after it, can join. (Seen on Linux 6.18: a later plain bind fails with EADDRINUSE,
// connections spread evenly over the sockets.)
#pragma once

#include "engine/share.h"

// How many listeners one worker's share of the port may have; how many sockets the port needs.
unsigned sockets_capacity(const struct rk_forward *forward, unsigned workers);
unsigned sockets_needed(const struct rk_forward *forward, unsigned workers);
// How many sockets, of different workers, share the clients of one port and address.
unsigned sockets_per_port(const struct rk_forward *forward, unsigned workers);
// shares[i] belongs to worker i; all carry the same forward, whose listeners get the port that the
// kernel chose where theirs was 0. All or nothing. 0 or -code with *e naming the address and the
// remedy.
int sockets_open(struct rk_share *const *shares, unsigned count, struct rk_error *e);
void sockets_close(struct rk_share *share);
