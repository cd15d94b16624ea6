// share.h: one worker's share of a published port: its listeners, targets and counters.
//
// The control thread makes it, opens its sockets and hands it to the worker; from then on the
// worker alone changes it, and the control thread only reads the counters (relaxed atomics). After
// the port was removed it lives until its last flow is gone; then the worker retires it and the
// control thread frees it.
#pragma once

#include "engine/plane.h"
#include "engine/timers.h"

#include <stdatomic.h>

struct rk_command;
struct rk_worker;
struct rk_share;

// A listening socket (TCP) or the bound socket of all clients (UDP).
struct rk_listener {
	struct rk_share *share;
	struct rk_timer pause;
	struct rk_node waiting; // TCP: for a free flow; UDP: for a datagram buffer
	struct rk_addr addr;    // as bound
	uint32_t slot;          // index in the worker's table
	int fd;                 // -1 once closed
	uint32_t sends;         // UDP: replies in flight
	uint16_t port_offset;   // in the port's range: what is added to the target's port
	bool armed;             // accept or receive in flight
	bool stopping;          // being closed
	bool wildcard;          // bound to all addresses: replies need the address the client used
};

// Written by the worker only.
struct rk_counters {
	_Atomic uint64_t connections_open;
	_Atomic uint64_t connections_total;
	_Atomic uint64_t connections_refused;
	_Atomic uint64_t connections_failed;
	_Atomic uint64_t downgrades[DOWNGRADE_COUNT]; // the child is not shown the client's address
	_Atomic uint64_t bytes_in, bytes_out;
	_Atomic uint64_t datagrams_in, datagrams_out;
	_Atomic uint64_t datagrams_dropped;
	_Atomic int32_t last_error;
	_Atomic bool paused;
};

static inline void counter_add(_Atomic uint64_t *counter, uint64_t amount)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
		memory_order_relaxed);
}

// The lists of targets (see route.h).
enum rk_route_list { ROUTE_LOCAL, ROUTE_OWN, ROUTE_REMOTE, ROUTE_LIST_COUNT };

struct rk_share {
	struct rk_forward forward;     // the targets change with a retarget, the rest never
	struct rk_keepalive keepalive; // constant
	uint32_t targets_generation;   // counts the retargets
	// The target that answered last, by list and family of the client.
	uint8_t preferred_targets[ROUTE_LIST_COUNT][2];
	uint32_t flows;             // live flows that refer to it
	struct rk_command *removal; // the command to answer when the listeners are closed
	bool closed;                // the listeners are closed
	struct rk_node node;        // in the worker's list until closed
	struct rk_share *next_retired;
	struct rk_counters counters;
	unsigned open_listeners;
	unsigned listener_count;
	struct rk_listener listeners[]; // sockets_capacity() of them
};
