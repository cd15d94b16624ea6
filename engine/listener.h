// listener.h: a worker's side of a listening socket: accept, pause, resume, stop.
//
// A listener never dies because an accept failed: out of descriptors or memory it pauses and tries
// again by itself; out of flow slots it waits until a flow has ended, with the clients in the
// kernel's backlog.
#pragma once

#include "engine/worker.h"

// Worker: starts to accept or receive. 0, or -ENOSPC when the worker's table is full.
int listener_start(struct rk_worker *worker, struct rk_listener *listener);
// Worker: ends all operations and closes; worker_share_closed() follows when that is done.
void listener_stop(struct rk_worker *worker, struct rk_listener *listener);
void listener_accepted(struct rk_worker *worker, const struct rk_completion *completion);
// Multishot accept has delivered what is no socket of ours (liburing issue 1062): one by one from
// now on, on every listener of the worker.
void listener_accept_singly(struct rk_worker *worker);
// The pause after EMFILE is over.
void listener_resume(struct rk_worker *worker, struct rk_listener *listener);
// The receive or accept ended with `error`, an errno: try again soon.
void listener_pause(struct rk_worker *worker, struct rk_listener *listener, int error);
// No operation is in flight any more.
void listener_drained(struct rk_worker *worker, struct rk_listener *listener);

// Its accept or receive has ended.
static inline void listener_disarmed(struct rk_listener *listener)
{
	atomic_store_explicit(&listener->armed, false, memory_order_relaxed);
}

static inline struct rk_listener *listener_of(const struct rk_worker *worker, uint64_t tag)
{
	uint32_t slot = tag_slot(tag);

	struct rk_listener *listener =
		slot < worker->listener_slots ? worker->listeners[slot] : NULL;

	if (!listener || (listener->share->forward.id & TAG_GENERATION_MASK) != tag_generation(tag))
		return NULL;
	return listener;
}
