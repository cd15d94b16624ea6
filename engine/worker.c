// worker.c: the loop of a worker thread, and the table of who handles what.

#include "base/fd.h"
#include "engine/listener.h"
#include "engine/tcp.h"
#include "engine/udp.h"
#include "engine/worker_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define RING_ENTRIES         4096u
#define HALF_CLOSED_WATCH_MS 1000
#define LISTENER_PAUSE_MS    50
#define TRIM_AFTER_MS        1000
#define POOL_RETRY_MS        100
#define DRAIN_LOOK_MS        100
#define POLL_RETRY_MS        100

// --- the loop

static void poll_again(struct rk_worker *worker, const struct rk_timer *timer)
{
	if (timer == &worker->mailbox_poll)
		worker_poll_mailbox(worker);
	else
		worker_poll_helper(worker);
}

static void ignore(struct rk_worker *worker, const struct rk_completion *completion)
{
	(void)worker;
	(void)completion;
}

static void (*const handlers[OP_COUNT])(struct rk_worker *, const struct rk_completion *) = {
	[OP_NONE] = ignore,
	[OP_MAILBOX] = worker_mailbox_complete,
	[OP_HELPER] = worker_helper_complete,
	[OP_ACCEPT] = listener_accepted,
	[OP_TCP_CONNECT] = tcp_complete,
	[OP_TCP_RECEIVE_IN] = tcp_complete,
	[OP_TCP_RECEIVE_OUT] = tcp_complete,
	[OP_TCP_SEND_IN] = tcp_complete,
	[OP_TCP_SEND_OUT] = tcp_complete,
	[OP_TCP_WATCH_IN] = tcp_complete,
	[OP_TCP_WATCH_OUT] = tcp_complete,
	[OP_UDP_LISTENER] = udp_listener_complete,
	[OP_UDP_RECEIVE] = udp_receive_complete,
	[OP_UDP_SEND] = udp_send_complete,
	[OP_UDP_SEND_EMPTY] = udp_send_empty_complete,
};

static void dispatch(void *context, const struct rk_completion *completion)
{
	struct rk_worker *worker = context;

	if (worker->clock_stale) {
		timers_update(&worker->timers);
		worker->clock_stale = false;
	}
	handlers[tag_operation(completion->tag)](worker, completion);
}

static void run_timers(struct rk_worker *worker)
{
	struct rk_timers *timers = &worker->timers;
	struct rk_timer *timer;

	if (worker->clock_stale)
		timers_update(timers);
	while ((timer = timers_expired(timers, TIMER_UNTRACKED)))
		tcp_untracked_timeout(worker, timer);
	while ((timer = timers_expired(timers, TIMER_CONNECT)))
		tcp_connect_timeout(worker, timer);
	while ((timer = timers_expired(timers, TIMER_HALF_CLOSED)))
		tcp_half_closed_timeout(worker, timer);
	while ((timer = timers_expired(timers, TIMER_PAUSE)))
		listener_resume(worker, RK_CONTAINER_OF(timer, struct rk_listener, pause));
	while ((timer = timers_expired(timers, TIMER_UDP_IDLE)))
		udp_idle_timeout(worker, timer);
	while (timers_expired(timers, TIMER_POOL)) {
		pool_refill(&worker->pool, timers);
		worker_drain_helper(worker);
	}
	while ((timer = timers_expired(timers, TIMER_POLL)))
		poll_again(worker, timer);
}

// Whether the next turn has something to do that no completion announces.
static bool has_more(const struct rk_worker *worker)
{
	return tcp_buffers_wanted(worker) || tcp_splice_wanted(worker) ||
	       udp_buffers_wanted(worker);
}

// How long to sleep: until the earliest deadline, or a little when there was work just now.
static int64_t next_wait_ms(const struct rk_worker *worker)
{
	int64_t wait = has_more(worker) ? 0 : timers_wait_ms(&worker->timers);

	return worker->worked && (wait < 0 || wait > TRIM_AFTER_MS) ? TRIM_AFTER_MS : wait;
}

// After work, a sleep without any completion: the buffers' memory is not needed now.
static void rest(struct rk_worker *worker)
{
	bool more = has_more(worker);

	if (worker->worked && worker->clock_stale && !more)
		ring_trim(worker->ring);
	worker->worked = !worker->clock_stale || more;
}

int worker_turn(struct rk_worker *worker)
{
	int result;

	tcp_splice_ready(worker);
	worker->clock_stale = true;
	result = ring_wait(worker->ring, next_wait_ms(worker), dispatch, worker);
	if (result < 0)
		return result;
	rest(worker);
	run_timers(worker);
	listener_watch_room(worker);
	tcp_turn_end(worker);
	bulk_turn_end(&worker->bulk, worker->timers.now_ms);
	tcp_buffers_free(worker);
	udp_buffers_free(worker);
	return 0;
}

void worker_wake(struct rk_worker *worker, int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		worker->stale_completions++; // cannot happen: an eventfd below its maximum
}

void worker_break(struct rk_worker *worker, int error)
{
	atomic_store_explicit(&worker->broken, error, memory_order_release);
	worker_wake(worker, worker->helper_lost_fd);
}

static void worker_loop(struct rk_worker *worker)
{
	while (!worker->stopping && !worker->broken) {
		int result = worker_turn(worker);

		if (result < 0)
			worker_break(worker, -result);
	}
}

void worker_drain(struct rk_worker *worker)
{
	tcp_reset_all(worker);
	udp_close_flows(worker, NULL);
	while (worker->tcp_flows.used + worker->udp_flows.used > 0)
		if (ring_wait(worker->ring, DRAIN_LOOK_MS, dispatch, worker) < 0)
			break;
	ring_wait(worker->ring, 0, dispatch, worker);
}

int worker_open(struct rk_worker *worker)
{
	const struct rk_ring_options ring_options = {
		.io = worker->options.io,
		.entries = RING_ENTRIES,
		.buffer_count = {STREAM_BUFFER_COUNT, DATAGRAM_BUFFER_COUNT},
		.buffer_size = {STREAM_BUFFER_SIZE, DATAGRAM_BUFFER_SIZE},
		.buffer_ready = {STREAM_BUFFER_READY, DATAGRAM_BUFFER_READY},
	};
	const uint64_t delays_ms[TIMER_KIND_COUNT] = {
		[TIMER_CONNECT] = worker->options.connect_timeout_ms,
		[TIMER_UNTRACKED] = UNTRACKED_PATIENCE_MS,
		[TIMER_HALF_CLOSED] = HALF_CLOSED_WATCH_MS,
		[TIMER_PAUSE] = LISTENER_PAUSE_MS,
		[TIMER_UDP_IDLE] = worker->options.udp_idle_timeout_ms,
		[TIMER_POOL] = POOL_RETRY_MS,
		[TIMER_POLL] = POLL_RETRY_MS,
	};
	int result;

	timers_init(&worker->timers, delays_ms);
	list_init(&worker->shares);
	list_init(&worker->ready);
	list_init(&worker->starved);
	list_init(&worker->full_listeners);
	pool_init(&worker->pool, worker->options.pool_size);
	scout_init(&worker->scout);
	bulk_open(&worker->bulk, worker->options.bulk, worker->options.pipes);
	worker_fit_flows(worker);
	worker->listeners = calloc(WORKER_LISTENERS_MAX, sizeof(struct rk_listener *));
	result = worker->listeners ? 0 : -ENOMEM;
	if (result == 0)
		result = slab_open(
			&worker->tcp_flows, sizeof(struct rk_tcp_flow), worker->options.max_flows);
	if (result == 0)
		result = slab_open(
			&worker->udp_flows, sizeof(struct rk_udp_flow), worker->options.max_flows);
	if (result == 0)
		result = udp_table_open(worker);
	if (result == 0 && !worker->ring)
		result = ring_open(&worker->ring, &ring_options);
	if (result == 0)
		worker_poll_mailbox(worker);
	return result;
}

void worker_close(struct rk_worker *worker)
{
	ring_close(worker->ring);
	bulk_close(&worker->bulk);
	scout_close(&worker->scout);
	pool_close(&worker->pool);
	udp_table_close(worker);
	slab_close(&worker->tcp_flows);
	slab_close(&worker->udp_flows);
	free(worker->listeners);
}

void *worker_run(void *argument)
{
	struct rk_worker *worker = argument;
	char name[16];

	snprintf(name, sizeof(name), "rk-worker-%u", worker->number);
	prctl(PR_SET_NAME, name);
	worker->start_result = worker_open(worker);
	sem_post(&worker->started);
	if (worker->start_result == 0) {
		worker_loop(worker);
		if (!worker->stopping)
			worker_refuse_commands(worker);
		worker_drain(worker);
	}
	worker_close(worker);
	return NULL;
}

// --- the control thread's side

int worker_init(struct rk_worker *worker)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, worker->mailbox) < 0)
		return -errno;
	sem_init(&worker->started, 0, 0);
	return fd_set_nonblocking(worker->mailbox[0], true);
}

void worker_free(struct rk_worker *worker)
{
	fd_close(&worker->mailbox[0]);
	fd_close(&worker->mailbox[1]);
	sem_destroy(&worker->started);
}
