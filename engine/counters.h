// counters.h: what a worker counts for one port, and when its clients last reached a target.
//
// How it works: the worker that owns them is the only writer, so a relaxed load and store is enough
// and costs what a plain addition does. The control thread reads at any time; figures of one port
// may be some nanoseconds apart from each other.
#pragma once

#include "drivers/forward.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// Connections are TCP connections and UDP flows; in = client to child, out = child to client.
enum rk_port_counter {
	COUNT_OPEN, // the only one that goes down
	COUNT_TOTAL,
	COUNT_REFUSED,         // the child refused
	COUNT_FAILED,          // reached no target for any other reason: no socket, time-out, limit
	COUNT_TIMED_OUT,       // of the failed ones: connect-timeout passed
	COUNT_DOWNGRADED,      // the child was not shown the client's address
	COUNT_UNTRACKED,       // TCP, past the namespace's connection tracking
	COUNT_RESET_BY_CLIENT, // TCP, after it was connected
	COUNT_RESET_BY_CHILD,  // TCP, after it was connected
	COUNT_RETRIES,         // another target, or another way to the same, was tried
	COUNT_SOCKET_WAITS,    // the pool of child sockets was empty
	COUNT_BUFFER_WAITS,    // a receive found no buffer
	COUNT_PAUSES,          // the listener paused after an error
	COUNT_ROOM_WAITS,      // the listener stopped because no flow was free
	COUNT_PENDING_WAITS,   // ... because too many of its clients had not reached a target yet
	COUNT_BYTES_IN,        // that the child's socket took
	COUNT_BYTES_OUT,       // that the client's socket took
	COUNT_DATAGRAMS_IN,    // sent to the child
	COUNT_DATAGRAMS_OUT,   // sent to clients
	COUNT_DROPPED_ROOM,    // datagrams: no flow was free for a new client
	COUNT_DROPPED_SOCKET,  // ... the flow waited for a child socket
	COUNT_DROPPED_BUFFER,  // ... no room to keep a first datagram
	COUNT_DROPPED_TARGET,  // ... no target could be connected
	COUNT_DROPPED_SEND,    // ... the kernel refused to send it
	COUNT_DROPPED_INVALID, // ... truncated, or its listener was being closed
	PORT_COUNTERS
};

struct rk_counters {
	_Atomic uint64_t values[PORT_COUNTERS];
	_Atomic uint64_t downgrades[DOWNGRADE_COUNT]; // of COUNT_DOWNGRADED, by reason
	// (time << 1 | success) of the last client: did it reach a target; was it shown to it.
	_Atomic uint64_t reached;
	_Atomic uint64_t shown;
};

static inline void counter_add(_Atomic uint64_t *counter, uint64_t amount)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
		memory_order_relaxed);
}

static inline void count_add(
	struct rk_counters *counters, enum rk_port_counter which, uint64_t amount)
{
	counter_add(&counters->values[which], amount);
}

static inline void count_one(struct rk_counters *counters, enum rk_port_counter which)
{
	count_add(counters, which, 1);
}

// Remembers how it went for the last client. Of several workers the latest counts.
static inline void verdict_set(_Atomic uint64_t *verdict, uint64_t now_ms, bool success)
{
	atomic_store_explicit(verdict, now_ms << 1 | success, memory_order_relaxed);
}
