// untracked.h: TCP connections as their clients that go past the namespace's connection tracking.
//
// How it works: what answers a connection that has its client's address is known by connection
// tracking (nsctl/srcip.c), which costs something for every packet. Only NAT needs that. Where the
// connection ends at a socket of the namespace itself, marks on both its sockets do the same for
// nothing. Whether it would end there the kernel is asked by an inquiry: a connect of a socket with
// a mark of its own, which the namespace's packet filter refuses when all NAT has left the packet
// alone and it is about to be delivered locally, and drops in every other case. No server notices.
// The answer is there when the call returns, and holds for UNTRACKED_TRUST_MS.
//
// An untracked connection that is refused is repeated tracked, to the same target: NAT may have
// come in between. So is one that is not answered at all (a packet filter of others that lets only
// tracked connections pass), and then none goes untracked for UNTRACKED_SHUN_MS. Until one was
// connected untracked the others do not follow: no more than one at a time has to wait for what
// never comes.
//
// Limits: what one client was answered holds for all of its family. Of a port range or a list of
// targets, one goes untracked at a time. Setting a mark needs CAP_NET_ADMIN over the namespace,
// which its owner has; for any other user all are tracked.
#pragma once

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct rk_route;
struct rk_share;
struct rk_worker;

#define UNTRACKED_TRUST_MS    1000
#define UNTRACKED_SHUN_MS     60000
#define UNTRACKED_PATIENCE_MS 1500 // longer than the kernel waits before it repeats a lost SYN

// What is known of one port and family of clients.
struct rk_untracked {
	uint64_t until_ms;                        // of the worker's clock
	uint32_t generation, port_offset, target; // as in the route
	bool allowed;
	bool proven;           // one was connected
	uint64_t trial_end_ms; // until then the last one has time to be
};

// Before `fd` is connected to `target` as the route says. True: it goes untracked, which the route
// notes.
bool untracked_begin(struct rk_worker *worker, struct rk_route *route, struct rk_share *share,
	int fd, const struct rk_addr *target, const struct rk_addr *client);
// It was connected,
void untracked_answered(const struct rk_route *route, struct rk_share *share);
// or could not be.
void untracked_failed(
	struct rk_worker *worker, const struct rk_route *route, struct rk_share *share, int error);
