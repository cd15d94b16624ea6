// listener.c: a worker's side of a listening socket: accept, pause, resume, stop.

#include "engine/listener.h"

#include "engine/tcp.h"
#include "engine/udp.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

// With room for fewer flows than this, clients are accepted one by one: a multishot accept takes
// all that come while the worker is busy, and what has no room would have to be reset. So many may
// wait in the backlog of a listener (SOMAXCONN of Linux since 5.4).
#define ACCEPT_BURST 4096
// They take all again when there is room for so many more, so that looking at every listener is
// paid for by so many flows.
#define ACCEPT_BURST_MARGIN 512

static uint64_t listener_tag(const struct rk_listener *listener, uint8_t operation)
{
	return tag_make(operation, listener->share->forward.id, listener->slot);
}

static uint8_t own_operation(const struct rk_listener *listener)
{
	return listener->share->forward.socktype == SOCK_DGRAM ? OP_UDP_LISTENER : OP_ACCEPT;
}

static uint32_t pending_count(const struct rk_listener *listener)
{
	return atomic_load_explicit(&listener->pending, memory_order_relaxed);
}

// How many clients of the listener may be pending.
static uint32_t pending_limit(const struct rk_worker *worker, const struct rk_listener *listener)
{
	uint32_t limit = listener->share->max_pending;
	uint32_t half = (worker->flow_limit + 1) / 2;

	if (limit == 0)
		return UINT32_MAX;
	return limit < half ? limit : half;
}

static bool accepts_singly(const struct rk_worker *worker, const struct rk_listener *listener)
{
	return worker->accept_singly || worker->room_is_low || worker_room(worker) < ACCEPT_BURST ||
	       pending_count(listener) >= pending_limit(worker, listener) / 2;
}

// Whether it waits for something after which it is armed again.
static bool is_waiting(const struct rk_listener *listener)
{
	return listener->held || node_is_linked(&listener->waiting);
}

static void listener_arm(struct rk_worker *worker, struct rk_listener *listener)
{
	if (listener->armed || listener->stopping || is_waiting(listener))
		return;
	atomic_store_explicit(&listener->error, 0, memory_order_relaxed);
	listener->armed = true;
	if (listener->share->forward.socktype == SOCK_DGRAM) {
		udp_receive(worker, listener, listener_tag(listener, own_operation(listener)));
		return;
	}
	listener->multishot = !accepts_singly(worker, listener);
	ring_accept(worker->ring, listener->fd, !listener->multishot,
		listener_tag(listener, own_operation(listener)));
}

// Ends the accept or receive in flight; its last completion is still to come.
static void cancel_own(struct rk_worker *worker, const struct rk_listener *listener)
{
	if (listener->armed)
		ring_cancel_one(worker->ring, listener->fd,
			listener_tag(listener, own_operation(listener)), tag_make(OP_NONE, 0, 0));
}

// Ends a multishot accept for which there may soon be no room; its end arms a single one.
static void listener_slow_down(struct rk_worker *worker, struct rk_listener *listener)
{
	if (!listener->multishot || !accepts_singly(worker, listener))
		return;
	listener->multishot = false;
	cancel_own(worker, listener);
}

int listener_start(struct rk_worker *worker, struct rk_listener *listener)
{
	uint32_t slot = worker->first_free_listener;

	while (slot < worker->listener_slots && worker->listeners[slot])
		slot++;
	if (slot == WORKER_LISTENERS_MAX)
		return -ENOSPC;
	if (slot == worker->listener_slots)
		worker->listener_slots++;
	worker->listeners[slot] = listener;
	worker->first_free_listener = slot + 1;
	worker->open_listeners++;
	worker_fit_flows(worker);
	listener->slot = slot;
	listener_arm(worker, listener);
	return 0;
}

void listener_pause(struct rk_worker *worker, struct rk_listener *listener, int error)
{
	struct rk_share *share = listener->share;

	error_record_write(&share->error, ERROR_ACCEPT, error, NULL, worker->timers.now_ms);
	atomic_store_explicit(&listener->error, error, memory_order_relaxed);
	count_one(&share->counters, COUNT_PAUSES);
	worker_state_changed(worker);
	timer_start(&worker->timers, &listener->pause, TIMER_PAUSE);
}

static void slow_down_all(struct rk_worker *worker)
{
	for (uint32_t i = 0; i < worker->listener_slots; i++)
		if (worker->listeners[i])
			listener_slow_down(worker, worker->listeners[i]);
}

void listener_accept_singly(struct rk_worker *worker)
{
	if (worker->accept_singly)
		return;
	worker->accept_singly = true;
	slow_down_all(worker);
}

void listener_watch_room(struct rk_worker *worker)
{
	uint32_t room = worker_room(worker);

	if (worker->room_is_low) {
		worker->room_is_low = room < ACCEPT_BURST + ACCEPT_BURST_MARGIN;
	} else if (room < ACCEPT_BURST) {
		worker->room_is_low = true;
		slow_down_all(worker);
	}
}

bool listener_park(struct rk_listener *listener, int fd)
{
	if (listener->stopping || listener->parked)
		return false;
	listener->parked_fd = fd;
	listener->parked = true;
	return true;
}

// Both below stop accepting, and the kernel's backlog holds the next clients. So near their bound
// nothing is left to cancel: a single accept has just completed, and listener_slow_down() has ended
// a multishot one.

// All flow slots are taken.
static void listener_fill(struct rk_worker *worker, struct rk_listener *listener)
{
	if (node_is_linked(&listener->waiting) || listener->stopping)
		return;
	list_append(&worker->full_listeners, &listener->waiting);
	atomic_store_explicit(&listener->full, true, memory_order_relaxed);
	count_one(&listener->share->counters, COUNT_ROOM_WAITS);
	worker_state_changed(worker);
}

// As many clients are pending as may be.
static void listener_hold(struct rk_worker *worker, struct rk_listener *listener)
{
	if (listener->held || pending_count(listener) < pending_limit(worker, listener))
		return;
	atomic_store_explicit(&listener->held, true, memory_order_relaxed);
	count_one(&listener->share->counters, COUNT_PENDING_WAITS);
	worker_state_changed(worker);
}

// Another client was accepted: is there room for the next?
static void look_for_room(struct rk_worker *worker, struct rk_listener *listener)
{
	listener_slow_down(worker, listener);
	if (!worker_has_room(worker))
		listener_fill(worker, listener);
	listener_hold(worker, listener);
}

void listener_resume(struct rk_worker *worker, struct rk_listener *listener)
{
	atomic_store_explicit(&listener->full, false, memory_order_relaxed);
	atomic_store_explicit(&listener->starved, false, memory_order_relaxed);
	if (listener->parked) {
		listener->parked = false;
		tcp_open(worker, listener, listener->parked_fd);
		look_for_room(worker, listener);
	}
	listener_arm(worker, listener);
}

void listener_pending_began(struct rk_listener *listener)
{
	atomic_store_explicit(
		&listener->pending, pending_count(listener) + 1, memory_order_relaxed);
}

void listener_pending_ended(struct rk_worker *worker, struct rk_listener *listener)
{
	uint32_t left = pending_count(listener) - 1;

	atomic_store_explicit(&listener->pending, left, memory_order_relaxed);
	if (!listener->held || left >= pending_limit(worker, listener))
		return;
	atomic_store_explicit(&listener->held, false, memory_order_relaxed);
	listener_arm(worker, listener);
}

void listener_accepted(struct rk_worker *worker, const struct rk_completion *completion)
{
	struct rk_listener *listener = listener_of(worker, completion->tag);

	if (!listener) {
		worker->stale_completions++;
		if (completion->result >= 0)
			close(completion->result);
		return;
	}
	if (!(completion->flags & RING_MORE))
		listener->armed = false;
	if (completion->result >= 0)
		tcp_open(worker, listener, completion->result);
	if (listener->stopping) {
		listener_drained(worker, listener);
		return;
	}
	look_for_room(worker, listener);
	if (listener->armed || is_waiting(listener))
		return;
	if (completion->result >= 0 || completion->result == -ECONNABORTED ||
		completion->result == -ECANCELED)
		listener_arm(worker, listener);
	else
		listener_pause(worker, listener, -completion->result);
}

void listener_drained(struct rk_worker *worker, struct rk_listener *listener)
{
	struct rk_share *share = listener->share;

	if (listener->armed || listener->sends > 0)
		return;
	close(listener->fd);
	listener->fd = -1;
	// One that found the table full was never in it.
	if (worker->listeners[listener->slot] == listener) {
		worker->listeners[listener->slot] = NULL;
		if (listener->slot < worker->first_free_listener)
			worker->first_free_listener = listener->slot;
		worker->open_listeners--;
		worker_fit_flows(worker);
	}
	if (--share->open_listeners == 0)
		worker_share_closed(worker, share);
}

void listener_stop(struct rk_worker *worker, struct rk_listener *listener)
{
	listener->stopping = true;
	timer_stop(&listener->pause);
	list_remove(&listener->waiting);
	if (listener->parked)
		tcp_refuse(worker, listener->share, listener->parked_fd);
	listener->parked = false;
	if (listener->sends > 0)
		ring_cancel(worker->ring, listener->fd, tag_make(OP_NONE, 0, 0));
	else
		cancel_own(worker, listener);
	listener_drained(worker, listener);
}
