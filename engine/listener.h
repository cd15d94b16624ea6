// listener.h: a worker's side of a listening socket: accept, pause, resume, stop.
//
// A listener never dies because an accept failed: out of descriptors or memory it pauses and tries
// again by itself; out of flow slots it waits until a flow has ended, with the clients in the
// kernel's backlog. Each listener has an accept in flight when others take the last slots: the
// client that it may still deliver is parked, and served before all that come later.
//
// A client is pending from its accept until its target answered or the flow gave up. A target that
// never answers would collect clients until no flow is left for other ports; so a listener with as
// many pending clients as it may have (share->max_pending, and half of the worker's flows at most)
// waits, too, until some of them are not pending any more. Clients that the kernel accepted before
// it heard of that are served all the same. So that there are few of those, a listener that is half
// way there accepts one by one.
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
// Once a turn: when there is little room for flows, listeners accept one by one, so that clients of
// idle ones wait in the backlog, too.
void listener_watch_room(struct rk_worker *worker);
// No flow is free: keeps the client `fd`, until there is one. False: it is still the caller's.
bool listener_park(struct rk_listener *listener, int fd);
// The pause after EMFILE is over, or there is room for a flow, or a buffer for a datagram.
void listener_resume(struct rk_worker *worker, struct rk_listener *listener);
// The receive or accept ended with `error`, an errno: try again soon.
void listener_pause(struct rk_worker *worker, struct rk_listener *listener, int error);
// A client of the listener is pending from now on.
void listener_pending_began(struct rk_listener *listener);
// ... or not any more: connected, or given up.
void listener_pending_ended(struct rk_worker *worker, struct rk_listener *listener);
// No operation is in flight any more.
void listener_drained(struct rk_worker *worker, struct rk_listener *listener);

static inline struct rk_listener *listener_of(const struct rk_worker *worker, uint64_t tag)
{
	uint32_t slot = tag_slot(tag);

	struct rk_listener *listener =
		slot < worker->listener_slots ? worker->listeners[slot] : NULL;

	if (!listener || (listener->share->forward.id & TAG_GENERATION_MASK) != tag_generation(tag))
		return NULL;
	return listener;
}
