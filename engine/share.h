// share.h: one worker's share of a published port: its listeners, targets and counters.
//
// The control thread makes it, opens its sockets and hands it to the worker; from then on the
// worker alone changes it, and the control thread only reads what is atomic: the counters, the last
// error and how each listener is. After the port was removed it lives until its last flow is gone;
// then the worker retires it and the control thread frees it.
#pragma once

#include "engine/counters.h"
#include "engine/last_error.h"
#include "engine/plane.h"
#include "engine/timers.h"
#include "engine/untracked.h"

#include <stdatomic.h>

struct rk_command;
struct rk_worker;
struct rk_share;

// A listening socket (TCP) or the bound socket of all clients (UDP).
struct rk_listener {
	struct rk_share *share;
	struct rk_timer pause;
	struct rk_node waiting;   // TCP: for a free flow; UDP: for a datagram buffer
	struct rk_addr addr;      // as bound
	uint32_t slot;            // index in the worker's table
	int fd;                   // -1 once closed
	int parked_fd;            // TCP: a client that waits for a free flow
	uint32_t sends;           // UDP: replies in flight
	uint16_t port_offset;     // in the port's range: what is added to the target's port
	_Atomic bool full;        // armed again when flows are free
	_Atomic bool held;        // TCP: armed again when fewer clients are pending
	_Atomic bool starved;     // UDP: armed again when a datagram buffer is free
	_Atomic uint32_t pending; // TCP: clients that have not reached their target yet
	_Atomic int error;        // while it pauses: the errno because of which it does; else 0
	bool armed;               // accept or receive in flight
	bool parked;              // parked_fd is one
	bool stopping;            // being closed
	bool multishot;           // TCP: the accept in flight takes every client that comes
	bool wildcard; // bound to all addresses: replies need the address the client used
};

// The lists of targets (see route.h).
enum rk_route_list { ROUTE_LOCAL, ROUTE_OWN, ROUTE_REMOTE, ROUTE_LIST_COUNT };

struct rk_share {
	struct rk_forward forward;     // the targets change with a retarget, the rest never
	struct rk_keepalive keepalive; // constant
	uint32_t max_pending;          // constant: of each listener, 0 = no limit
	uint32_t targets_generation;   // counts the retargets
	// The target that answered last, by list and family of the client.
	uint8_t preferred_targets[ROUTE_LIST_COUNT][2];
	struct rk_untracked untracked[2]; // by family of the client
	uint32_t flows;                   // live flows that refer to it
	struct rk_command *removal;       // the command to answer when the listeners are closed
	bool closed;                      // the listeners are closed
	struct rk_node node;              // in the worker's list until closed
	struct rk_share *next_retired;
	struct rk_counters counters;
	struct rk_error_record error;
	unsigned open_listeners;
	unsigned listener_count;
	struct rk_listener listeners[]; // sockets_capacity() of them
};
