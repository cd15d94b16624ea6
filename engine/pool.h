// pool.h: sockets of the child's namespace, made ahead of need by the helper inside it.
//
// How it works: per kind the pool holds up to a number of sockets that its users chose. When taking
// one leaves fewer than half of them (counting those already asked for), the pool asks the helper
// for the rest with one small message; they come back in batches by SCM_RIGHTS. In steady state no
// connection waits for the helper. One that finds the pool empty queues here and is resumed in
// order. A helper that cannot make sockets, or a process that is out of descriptors, only delays:
// the pool asks again.
#pragma once

#include "engine/list.h"
#include "engine/timers.h"

#include "base/msg.h"

#include <stdbool.h>
#include <stdint.h>

#define POOL_SIZE_MAX 1024

struct rk_pool {
	int channel; // to the helper, -1 = none
	uint32_t size;
	struct {
		int fds[POOL_SIZE_MAX];
		uint32_t count;
		uint32_t requested; // asked for, not yet here
		uint32_t level;     // how many are kept ready, 0 = none
		int error;          // errno with which the helper failed to make them, 0 = none
		uint64_t requests, empty, failures; // see struct rk_worker_stats
		struct rk_list waiting;
	} kinds[SOCKET_KIND_COUNT];
	struct rk_timer retry;
};

enum rk_pool_event { POOL_IDLE, POOL_FILLED, POOL_LOST_SOCKETS, POOL_HELPER_GONE };

void pool_init(struct rk_pool *pool, uint32_t size);
void pool_close(struct rk_pool *pool);
// Takes the (non-blocking) channel over; what was asked from a former helper is asked again.
// Returns the former channel, now the caller's to close, or -1.
int pool_set_channel(struct rk_pool *pool, struct rk_timers *timers, int channel);
// From now on keeps at least `level` sockets of that kind ready, at most the pool's size.
void pool_want(
	struct rk_pool *pool, struct rk_timers *timers, enum rk_socket_kind kind, uint32_t level);

// A socket for a flow, owned by the caller, or -1 when none is there. From now on the pool keeps as
// many of that kind as it can.
int pool_take(struct rk_pool *pool, struct rk_timers *timers, enum rk_socket_kind kind);
// The same for one that needs no more of them than it said with pool_want().
int pool_take_wanted(struct rk_pool *pool, struct rk_timers *timers, enum rk_socket_kind kind);
// Asks for what is missing (after a failure, or when the retry timer is due).
void pool_refill(struct rk_pool *pool, struct rk_timers *timers);
// Reads one message of the channel. POOL_IDLE: nothing (more) to read.
enum rk_pool_event pool_receive(struct rk_pool *pool, struct rk_timers *timers);

enum rk_socket_kind pool_kind(int socktype, int family);
