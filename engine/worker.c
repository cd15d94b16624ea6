// worker.c: the loop of a worker thread, its mailbox and the table of who handles what.

#include "engine/worker.h"

#include "base/fd.h"
#include "engine/listener.h"
#include "engine/tcp.h"
#include "engine/udp.h"
#include "engine/worker_report.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define RING_ENTRIES         4096u
#define HALF_CLOSED_WATCH_MS 1000
#define LISTENER_PAUSE_MS    50
#define TRIM_AFTER_MS        1000
#define POOL_RETRY_MS        100
#define POLL_RETRY_MS        100

// --- shares

static void share_retire(struct rk_worker *worker, struct rk_share *share)
{
	share->next_retired = atomic_load_explicit(&worker->retired, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&worker->retired, &share->next_retired, share,
		memory_order_release, memory_order_relaxed))
		;
}

static void command_answer(struct rk_command *command, int result)
{
	command->result = result;
	sem_post(&command->done);
}

void worker_share_closed(struct rk_worker *worker, struct rk_share *share)
{
	struct rk_command *removal = share->removal;

	share->closed = true;
	list_remove(&share->node);
	if (share->flows == 0)
		share_retire(worker, share);
	if (removal)
		command_answer(removal, 0);
}

static void resume_full_listeners(struct rk_worker *worker)
{
	struct rk_node *node;

	while ((node = list_first(&worker->full_listeners))) {
		list_remove(node);
		listener_resume(worker, RK_CONTAINER_OF(node, struct rk_listener, waiting));
	}
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
	if (!list_is_empty(&worker->full_listeners) && worker_has_room(worker))
		resume_full_listeners(worker);
}

// --- what the control thread watches

void worker_state_changed(struct rk_worker *worker)
{
	const uint64_t one = 1;

	// An eventfd below its maximum takes the write at once.
	if (!atomic_exchange_explicit(&worker->notice->pending, true, memory_order_acq_rel) &&
		write(worker->notice->fd, &one, sizeof(one)) < 0)
		worker->stale_completions++;
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

// --- commands of the control thread

static void share_stop(struct rk_worker *worker, struct rk_share *share, struct rk_command *removal)
{
	unsigned count = share->listener_count;

	share->removal = removal;
	if (share->forward.socktype == SOCK_DGRAM)
		udp_close_flows(worker, share);
	// A range may have more ports than workers, and fewer: a share without listeners.
	if (count == 0)
		worker_share_closed(worker, share);
	// The last one that closes may retire the share.
	for (unsigned i = 0; i < count; i++)
		listener_stop(worker, &share->listeners[i]);
}

static void want_sockets(struct rk_worker *worker, const struct rk_forward *forward)
{
	for (unsigned i = 0; i < forward->target_count; i++)
		pool_want(&worker->pool, &worker->timers,
			pool_kind(forward->socktype, forward->targets[i].sa.sa_family),
			worker->options.pool_size);
	scout_want(&worker->pool, &worker->timers, forward);
}

static void command_add(struct rk_worker *worker, struct rk_command *command)
{
	struct rk_share *share = command->share;
	int result = 0;

	want_sockets(worker, &share->forward);
	list_append(&worker->shares, &share->node);
	for (unsigned i = 0; i < share->listener_count && result == 0; i++)
		result = listener_start(worker, &share->listeners[i]);
	command_answer(command, result);
}

static struct rk_share *find_share(struct rk_worker *worker, uint32_t id)
{
	struct rk_node *node = worker->shares.head.next;

	for (; node != &worker->shares.head; node = node->next) {
		struct rk_share *share = RK_CONTAINER_OF(node, struct rk_share, node);

		if (share->forward.id == id)
			return share;
	}
	return NULL;
}

static void command_remove(struct rk_worker *worker, struct rk_command *command)
{
	struct rk_share *share = find_share(worker, command->id);

	if (share)
		share_stop(worker, share, command);
	else
		command_answer(command, -ENOENT);
}

// Between two events of this worker, so no client meets half of the change. Flows that have not
// reached their target yet see the new generation and begin anew (see route.h).
static void command_retarget(struct rk_worker *worker, struct rk_command *command)
{
	struct rk_share *share = find_share(worker, command->id);

	if (share) {
		share->forward = *command->forward;
		share->targets_generation++;
		memset(share->preferred_targets, 0, sizeof(share->preferred_targets));
		want_sockets(worker, &share->forward);
	}
	command_answer(command, share ? 0 : -ENOENT);
}

// The former channel is closed through the ring, behind the cancel of its poll.
static void change_channel(struct rk_worker *worker, int channel)
{
	int former = pool_set_channel(&worker->pool, &worker->timers, channel);

	worker->helper_generation++;
	timer_stop(&worker->helper_poll);
	if (former < 0)
		return;
	ring_cancel(worker->ring, former, tag_make(OP_NONE, 0, 0));
	ring_close_fd(worker->ring, former, tag_make(OP_NONE, 0, 0));
}

static void poll_mailbox(struct rk_worker *worker)
{
	ring_poll(worker->ring, worker->mailbox[0], POLLIN, tag_make(OP_MAILBOX, 0, 0));
}

static void poll_helper(struct rk_worker *worker)
{
	ring_poll(worker->ring, worker->pool.channel, POLLIN,
		tag_make(OP_HELPER, worker->helper_generation, 0));
}

static void command_helper(struct rk_worker *worker, struct rk_command *command)
{
	change_channel(worker, command->channel);
	worker->helper_channels++;
	poll_helper(worker);
	command_answer(command, 0);
}

// The control thread ends what cannot go on, and says so.
static void worker_break(struct rk_worker *worker, int error)
{
	uint64_t one = 1;

	atomic_store_explicit(&worker->broken, error, memory_order_release);
	if (write(worker->helper_lost_fd, &one, sizeof(one)) < 0)
		worker->stale_completions++; // cannot happen: an eventfd below its maximum
}

static void mailbox_read(struct rk_worker *worker)
{
	struct rk_command *command;
	ssize_t got;

	while ((got = read(worker->mailbox[0], &command, sizeof(command))) == sizeof(command)) {
		switch (command->type) {
		case COMMAND_ADD:
			command_add(worker, command);
			break;
		case COMMAND_RETARGET:
			command_retarget(worker, command);
			break;
		case COMMAND_REMOVE:
			command_remove(worker, command);
			break;
		case COMMAND_HELPER:
			command_helper(worker, command);
			break;
		case COMMAND_STATS:
			worker_report_stats(worker, command->stats);
			command_answer(command, 0);
			break;
		case COMMAND_FLOWS:
			worker_report_flows(worker, command->flows);
			command_answer(command, 0);
			break;
		case COMMAND_STOP:
			worker->stopping = true;
			command_answer(command, 0);
			break;
		}
	}
	if (got == 0) // the control thread could not send its last command
		worker->stopping = true;
	else if (got < 0 && errno != EAGAIN)
		worker_break(worker, errno);
}

// --- the helper

static void pool_waiters(struct rk_worker *worker)
{
	tcp_pool_filled(worker, SOCKET_TCP4);
	tcp_pool_filled(worker, SOCKET_TCP6);
	udp_pool_filled(worker, SOCKET_UDP4);
	udp_pool_filled(worker, SOCKET_UDP6);
}

static void helper_lost(struct rk_worker *worker)
{
	uint64_t one = 1;

	change_channel(worker, -1);
	worker->helper_losses++;
	if (write(worker->helper_lost_fd, &one, sizeof(one)) < 0)
		worker->stale_completions++; // cannot happen: an eventfd below its maximum
}

// Everything that is there. False when the helper is gone.
static bool helper_drain(struct rk_worker *worker)
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

static void helper_read(struct rk_worker *worker, const struct rk_completion *completion)
{
	if (tag_generation(completion->tag) != worker->helper_generation)
		return;
	if (!helper_drain(worker) || completion->flags & RING_MORE)
		return;
	if (completion->result < 0)
		timer_start(&worker->timers, &worker->helper_poll, TIMER_POLL);
	else
		poll_helper(worker);
}

// --- the loop

static void mailbox_complete(struct rk_worker *worker, const struct rk_completion *completion)
{
	// A late one while the worker drains: nobody asks any more, and the mailbox may block by
	// now.
	if (worker->stopping)
		return;
	mailbox_read(worker);
	if (completion->flags & RING_MORE)
		return;
	if (completion->result < 0)
		timer_start(&worker->timers, &worker->mailbox_poll, TIMER_POLL);
	else
		poll_mailbox(worker);
}

static void poll_again(struct rk_worker *worker, const struct rk_timer *timer)
{
	if (timer == &worker->mailbox_poll)
		poll_mailbox(worker);
	else
		poll_helper(worker);
}

static void ignore(struct rk_worker *worker, const struct rk_completion *completion)
{
	(void)worker;
	(void)completion;
}

static void (*const handlers[OP_COUNT])(struct rk_worker *, const struct rk_completion *) = {
	[OP_NONE] = ignore,
	[OP_MAILBOX] = mailbox_complete,
	[OP_HELPER] = helper_read,
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
		helper_drain(worker);
	}
	while ((timer = timers_expired(timers, TIMER_POLL)))
		poll_again(worker, timer);
}

// How long to sleep: until the earliest deadline, or a little when there was work just now.
static int64_t next_wait_ms(const struct rk_worker *worker)
{
	int64_t wait = tcp_buffers_wanted(worker) ? 0 : timers_wait_ms(&worker->timers);

	return worker->worked && (wait < 0 || wait > TRIM_AFTER_MS) ? TRIM_AFTER_MS : wait;
}

// After work, a sleep without any completion: the buffers' memory is not needed now.
static void rest(struct rk_worker *worker)
{
	if (worker->worked && worker->clock_stale)
		ring_trim(worker->ring);
	worker->worked = !worker->clock_stale;
}

int worker_turn(struct rk_worker *worker)
{
	int result;

	worker->clock_stale = true;
	result = ring_wait(worker->ring, next_wait_ms(worker), dispatch, worker);
	if (result < 0)
		return result;
	rest(worker);
	run_timers(worker);
	tcp_buffers_free(worker);
	udp_buffers_free(worker);
	return 0;
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
		if (ring_wait(worker->ring, POOL_RETRY_MS, dispatch, worker) < 0)
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
		[TIMER_HALF_CLOSED] = HALF_CLOSED_WATCH_MS,
		[TIMER_PAUSE] = LISTENER_PAUSE_MS,
		[TIMER_UDP_IDLE] = worker->options.udp_idle_timeout_ms,
		[TIMER_POOL] = POOL_RETRY_MS,
		[TIMER_POLL] = POLL_RETRY_MS,
	};
	int result;

	timers_init(&worker->timers, delays_ms);
	list_init(&worker->shares);
	list_init(&worker->starved);
	list_init(&worker->full_listeners);
	pool_init(&worker->pool, worker->options.pool_size);
	scout_init(&worker->scout);
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
		poll_mailbox(worker);
	return result;
}

void worker_close(struct rk_worker *worker)
{
	ring_close(worker->ring);
	scout_close(&worker->scout);
	pool_close(&worker->pool);
	udp_table_close(worker);
	slab_close(&worker->tcp_flows);
	slab_close(&worker->udp_flows);
	free(worker->listeners);
}

// A worker whose ring broke still answers the control thread.
static void mailbox_refuse(struct rk_worker *worker)
{
	struct rk_command *command;

	worker_state_changed(worker);
	fd_set_nonblocking(worker->mailbox[0], false);
	while (!worker->stopping &&
		read(worker->mailbox[0], &command, sizeof(command)) == sizeof(command)) {
		worker->stopping = command->type == COMMAND_STOP;
		command_answer(command, -worker->broken);
	}
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
			mailbox_refuse(worker);
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

int worker_command(struct rk_worker *worker, struct rk_command *command)
{
	int result;

	sem_init(&command->done, 0, 0);
	result = fd_write_all(worker->mailbox[1], &command, sizeof(command));
	while (result == 0 && sem_wait(&command->done) < 0)
		;
	sem_destroy(&command->done);
	return result == 0 ? command->result : result;
}
