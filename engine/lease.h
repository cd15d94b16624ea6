// lease.h: ports that belong to a process: when it has ended, they are to be freed.
//
// How it works: the owner is the process at the other end of an API connection, held by a pidfd, so
// that neither a number that is used again nor a fork of the connection's descriptor deceives us.
// All pidfds are in one epoll set, whose descriptor the control thread polls.
#pragma once

#include "base/error.h"

#include <stdint.h>
#include <sys/types.h>

// A process; `pidfd` < 0: none.
struct rk_owner {
	pid_t pid; // in our PID namespace, 0 = not visible there
	int pidfd;
};

// The process that opened a UNIX connection. The caller closes owner->pidfd. 0 or -code with *e
// (ESRCH: it has ended).
int lease_open_peer(int connection, struct rk_owner *owner, struct rk_error *e);

struct rk_leases;

// NULL when there is no memory or no descriptor.
struct rk_leases *leases_create(void);
void leases_destroy(struct rk_leases *leases); // NULL is allowed
// Readable when an owner has ended, or when the other descriptor that it is to watch is readable.
int leases_watch_fd(const struct rk_leases *leases);
// One other descriptor, borrowed. 0 or -errno.
int leases_watch_also(struct rk_leases *leases, int fd);
// The port belongs to the owner from now on (a copy of the pidfd is kept), or to nobody when there
// is none; replaces an earlier one. 0 or -errno, the earlier lease then stays.
int leases_set(struct rk_leases *leases, uint32_t port_id, const struct rk_owner *owner);
// Ends the lease of one port whose owner has ended, and returns its id; 0 = none has.
uint32_t leases_take_ended(struct rk_leases *leases);
