// worker_helper.c: a worker's end of the channel to the helper: it takes the sockets that come, and
// hands them to the flows that wait for one.

#include "engine/tcp.h"
#include "engine/udp.h"
#include "engine/worker_internal.h"

#include <errno.h>
#include <poll.h>

void worker_poll_helper(struct rk_worker *worker)
{
	ring_poll(worker->ring, worker->pool.channel, POLLIN,
		tag_make(OP_HELPER, worker->helper_generation, 0));
}

// The former channel is closed through the ring, behind the cancel of its poll.
void worker_change_helper(struct rk_worker *worker, int channel)
{
	int former = pool_set_channel(&worker->pool, &worker->timers, channel);

	worker->helper_generation++;
	timer_stop(&worker->helper_poll);
	if (former < 0)
		return;
	ring_cancel(worker->ring, former, tag_make(OP_NONE, 0, 0));
	ring_close_fd(worker->ring, former, tag_make(OP_NONE, 0, 0));
}

static void pool_waiters(struct rk_worker *worker)
{
	tcp_pool_filled(worker, SOCKET_TCP4);
	tcp_pool_filled(worker, SOCKET_TCP6);
	udp_pool_filled(worker, SOCKET_UDP4);
	udp_pool_filled(worker, SOCKET_UDP6);
}

static void helper_lost(struct rk_worker *worker)
{
	worker_change_helper(worker, -1);
	worker->helper_losses++;
	worker_wake(worker, worker->helper_lost_fd);
}

bool worker_drain_helper(struct rk_worker *worker)
{
	enum rk_pool_event event;
	bool lost = false;

	do {
		event = pool_receive(&worker->pool, &worker->timers);
		lost |= event == POOL_LOST_SOCKETS;
	} while (event == POOL_FILLED || event == POOL_LOST_SOCKETS);
	pool_waiters(worker);
	if (lost) {
		worker->lost_sockets++;
		tcp_pool_starved(worker, SOCKET_TCP4, EMFILE);
		tcp_pool_starved(worker, SOCKET_TCP6, EMFILE);
	}
	if (event == POOL_HELPER_GONE)
		helper_lost(worker);
	return event != POOL_HELPER_GONE;
}

void worker_helper_complete(struct rk_worker *worker, const struct rk_completion *completion)
{
	if (tag_generation(completion->tag) != worker->helper_generation)
		return;
	if (!worker_drain_helper(worker) || completion->flags & RING_MORE)
		return;
	if (completion->result < 0)
		timer_start(&worker->timers, &worker->helper_poll, TIMER_POLL);
	else
		worker_poll_helper(worker);
}
