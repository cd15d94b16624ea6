// timers.h: deadlines of one worker, in lists of equal delay.
//
// How it works: everything in one list waits equally long, so appending keeps it sorted and the
// earliest deadline is at its head: starting, restarting and stopping are O(1), and an idle worker
// with empty lists sleeps without a tick.
#pragma once

#include "engine/list.h"

#include <stdint.h>

enum rk_timer_kind {
	TIMER_CONNECT,     // a TCP flow waits for its child socket or connection
	TIMER_UNTRACKED,   // ... went untracked, and has not reached its target
	TIMER_HALF_CLOSED, // a TCP flow has one direction closed: watch its silent side
	TIMER_PAUSE,       // a listener waits after EMFILE
	TIMER_UDP_IDLE,    // a UDP flow had no datagram
	TIMER_POOL,        // the helper could not deliver: ask again
	TIMER_POLL,        // the mailbox or the helper's channel could not be polled
	TIMER_KIND_COUNT
};

struct rk_timer {
	struct rk_node node;
	uint64_t deadline_ms;
};

struct rk_timers {
	struct {
		struct rk_list list;
		uint64_t delay_ms;
		uint64_t fired; // how many ran out
	} kinds[TIMER_KIND_COUNT];
	uint64_t now_ms; // CLOCK_MONOTONIC as of the last timers_update()
};

void timers_init(struct rk_timers *timers, const uint64_t delays_ms[TIMER_KIND_COUNT]);
void timers_update(struct rk_timers *timers);

// Starts or restarts.
static inline void timer_start(
	struct rk_timers *timers, struct rk_timer *timer, enum rk_timer_kind kind)
{
	list_remove(&timer->node);
	timer->deadline_ms = timers->now_ms + timers->kinds[kind].delay_ms;
	list_append(&timers->kinds[kind].list, &timer->node);
}
static inline void timer_stop(struct rk_timer *timer)
{
	list_remove(&timer->node);
}

// Takes one timer of that kind that is due out of its list; NULL when none is.
struct rk_timer *timers_expired(struct rk_timers *timers, enum rk_timer_kind kind);
// Milliseconds until the earliest deadline, 0 when one is due, -1 when there is none.
int64_t timers_wait_ms(const struct rk_timers *timers);
