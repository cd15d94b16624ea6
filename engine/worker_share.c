// worker_share.c: a worker's shares of the ports: room for their flows, their end, and what the
// control thread is told of their state.

#include "engine/listener.h"
#include "engine/worker_internal.h"

// --- shares

static void share_retire(struct rk_worker *worker, struct rk_share *share)
{
	share->next_retired = atomic_load_explicit(&worker->retired, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&worker->retired, &share->next_retired, share,
		memory_order_release, memory_order_relaxed))
		;
}

void worker_share_closed(struct rk_worker *worker, struct rk_share *share)
{
	struct rk_command *removal = share->removal;

	share->closed = true;
	list_remove(&share->node);
	if (share->flows == 0)
		share_retire(worker, share);
	if (removal)
		worker_answer(removal, 0);
}

static void resume_full_listeners(struct rk_worker *worker)
{
	struct rk_node *node;

	// A parked client whose flow ends at once leads here again.
	if (worker->resuming)
		return;
	worker->resuming = true;
	while (worker_has_room(worker) && (node = list_first(&worker->full_listeners))) {
		list_remove(node);
		listener_resume(worker, RK_CONTAINER_OF(node, struct rk_listener, waiting));
	}
	worker->resuming = false;
}

void worker_fit_flows(struct rk_worker *worker)
{
	uint32_t listeners = worker->open_listeners > WORKER_LISTENERS_FREE
				     ? worker->open_listeners - WORKER_LISTENERS_FREE
				     : 0;
	uint32_t flows = worker->options.descriptors > listeners
				 ? (worker->options.descriptors - listeners) / 2
				 : 0;

	if (flows < WORKER_FLOWS_MIN)
		flows = WORKER_FLOWS_MIN;
	worker->flow_limit = flows < worker->options.max_flows ? flows : worker->options.max_flows;
}

void worker_flow_freed(struct rk_worker *worker, struct rk_share *share)
{
	if (--share->flows == 0 && share->closed)
		share_retire(worker, share);
	resume_full_listeners(worker);
}

// --- what the control thread watches

void worker_state_changed(struct rk_worker *worker)
{
	if (!atomic_exchange_explicit(&worker->notice->pending, true, memory_order_acq_rel))
		worker_wake(worker, worker->notice->fd);
}

static void set_verdict(struct rk_worker *worker, _Atomic uint64_t *verdict, bool success)
{
	uint64_t before = atomic_load_explicit(verdict, memory_order_relaxed);
	bool was_bad = before && !(before & 1u);

	verdict_set(verdict, worker->timers.now_ms, success);
	// Of another worker's clients this one knows nothing: every failure may be news.
	if (!success || was_bad)
		worker_state_changed(worker);
}

void worker_reached(struct rk_worker *worker, struct rk_share *share, bool success)
{
	set_verdict(worker, &share->counters.reached, success);
}

void worker_shown(struct rk_worker *worker, struct rk_share *share, bool success)
{
	set_verdict(worker, &share->counters.shown, success);
}
