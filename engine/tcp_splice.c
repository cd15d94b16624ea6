// tcp_splice.c: what happens to a byte of a TCP flow that sends in bulk, where splicing costs less
// than copying (bulk.h): it goes from socket to socket through a pipe.
//
// How it works: a lane whose receives brought bulk.after bytes without a small one among them takes
// a pipe of the worker. What it has copied goes out first; from then on a poll of each socket tells
// when there is something to pull or room to push, and splice(2) does both at once, without
// waiting. It goes on in the worker's next turn when it has moved its share of this one. A lane
// that has little to say again, or nothing for a while when somebody else wants its pipe, goes back
// to copying. Polls come through the ring, the calls do not: io_uring gives every splice to a
// kernel thread (Linux 6.18), which costs more than it moves.

#include "base/fd.h"
#include "engine/tcp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#define SMALL_MOST  8u // wake-ups in a row that brought little
#define SPLICE_MOST ((size_t)1024 * 1024)
#define IDLE_MS     1000u

static void count_moved(
	struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, size_t bytes)
{
	if (bytes == 0)
		return;
	tcp_count_sent(worker, flow, index, bytes);
	bulk_moved(&worker->bulk, BULK_SPLICE, bytes);
	tcp_turn_add(&worker->turn, bytes);
}

// --- beginning and end

// A direction that lends its pipe but has not used it for a while.
static struct rk_tcp_flow *find_idle(struct rk_worker *worker, unsigned *index)
{
	for (unsigned i = 0; i < worker->bulk.pipe_count; i++) {
		struct rk_tcp_flow *flow = worker->pipe_users[i].flow;
		unsigned lane = worker->pipe_users[i].lane;

		if (flow && lane_is_empty(&flow->lanes[lane]) &&
			worker->timers.now_ms - flow->active_ms >= IDLE_MS) {
			*index = lane;
			return flow;
		}
	}
	return NULL;
}

static int take_pipe(struct rk_worker *worker)
{
	int pipe = bulk_take_pipe(&worker->bulk);
	struct rk_tcp_flow *idle;
	unsigned index;

	if (pipe >= 0)
		return pipe;
	idle = find_idle(worker, &index);
	if (!idle)
		return -1;
	tcp_splice_end(worker, idle, index);
	return bulk_take_pipe(&worker->bulk);
}

bool tcp_splice_begin(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	struct rk_lane *lane = &flow->lanes[index];
	int pipe;

	if (lane->bulk < worker->bulk.after || !bulk_splices(&worker->bulk))
		return false;
	lane->bulk = 0;
	pipe = take_pipe(worker);
	if (pipe < 0)
		return false;
	// splice(2) itself has no flag for the sockets. A flow that goes on to copy keeps blocking
	// ones.
	if (fd_set_nonblocking(flow->fds[LANE_IN], true) < 0 ||
		fd_set_nonblocking(flow->fds[LANE_OUT], true) < 0) {
		bulk_give_pipe(&worker->bulk, pipe, 0);
		return false;
	}
	// It needs no buffer any more: tcp_buffers_free() would let it receive beside the pipe.
	lane->flags &= (uint16_t)~LANE_STARVED;
	lane->flags |= LANE_SPLICED;
	lane->pipe = (uint8_t)pipe;
	lane->small = 0;
	worker->pipe_users[pipe] = (struct rk_pipe_user){flow, index};
	tcp_watch(worker, flow, LANE_IN);
	tcp_watch(worker, flow, LANE_OUT);
	tcp_splice(worker, flow, index);
	return true;
}

void tcp_splice_release(struct rk_worker *worker, struct rk_lane *lane)
{
	if (!(lane->flags & LANE_SPLICED))
		return;
	lane->flags &= (uint16_t)~LANE_SPLICED;
	worker->pipe_users[lane->pipe] = (struct rk_pipe_user){0};
	bulk_give_pipe(&worker->bulk, lane->pipe, lane->piped);
	lane->piped = 0;
}

void tcp_splice_end(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	tcp_splice_release(worker, &flow->lanes[index]);
	tcp_unwatch(worker, flow);
	tcp_lane_receive(worker, flow, index);
}

// --- moving

// What splice(2) says where the kernel, or a filter of ours, does not let sockets be spliced.
static bool is_refusal(int error)
{
	return error == EINVAL || error == ENOSYS || error == EPERM || error == EACCES;
}

// Both return bytes, 0 at the end of the source, or -errno.
static ssize_t pull(
	struct rk_worker *worker, const struct rk_tcp_flow *flow, unsigned index, size_t most)
{
	const struct rk_pipe *pipe = &worker->bulk.pipes[flow->lanes[index].pipe];
	ssize_t length = splice(flow->fds[index], NULL, pipe->fds[1], NULL, most,
		SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	return length < 0 ? -errno : length;
}

static ssize_t push(struct rk_worker *worker, const struct rk_tcp_flow *flow, unsigned index)
{
	const struct rk_lane *lane = &flow->lanes[index];
	ssize_t length = splice(worker->bulk.pipes[lane->pipe].fds[0], NULL, flow->fds[!index],
		NULL, lane->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	return length < 0 ? -errno : length;
}

struct moved {
	size_t bytes; // that went out
	bool pushing; // what the last call did
	ssize_t last; // ... and said; > 0: there may be more to move
};

// Moves about `most` bytes.
static struct moved move(
	struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index, size_t most)
{
	struct rk_lane *lane = &flow->lanes[index];
	struct moved moved = {.last = 1};

	while (moved.bytes < most && moved.last > 0) {
		moved.pushing = lane->piped > 0;
		moved.last =
			moved.pushing ? push(worker, flow, index) : pull(worker, flow, index, most);
		if (moved.last <= 0)
			break;
		if (moved.pushing) {
			lane->piped -= (uint32_t)moved.last;
			moved.bytes += (size_t)moved.last;
		} else {
			lane->piped = (uint32_t)moved.last;
		}
	}
	return moved;
}

// A lane that waits for its source: does it still say much?
static bool should_end(struct rk_worker *worker, struct rk_lane *lane, size_t moved)
{
	if (moved > 0)
		lane->small = moved < RECEIVE_TALK ? (uint8_t)(lane->small + 1) : 0;
	return lane->small >= SMALL_MOST || !bulk_splices(&worker->bulk);
}

static void go_on_later(struct rk_worker *worker, struct rk_tcp_flow *flow)
{
	if (!node_is_linked(&flow->ready))
		list_append(&worker->ready, &flow->ready);
}

// At a byte of urgent data splice(2) stops for good: it finds nothing (EAGAIN) or, when the source
// has ended, the end (0), whatever comes behind. A receive leaves that byte out and goes on.
static bool stopped_at_urgent_byte(
	const struct rk_tcp_flow *flow, unsigned index, const struct moved *moved)
{
	return !moved->pushing && (moved->last == 0 || moved->last == -EAGAIN) &&
	       sockatmark(flow->fds[index]) == 1;
}

// Nothing more can be pulled, or pushed, for now.
static void wait_for_sockets(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct moved *moved)
{
	struct rk_lane *lane = &flow->lanes[index];

	if (moved->pushing)
		lane->flags |= LANE_BLOCKED;
	else if (should_end(worker, lane, moved->bytes))
		tcp_splice_end(worker, flow, index);
}

static void stopped(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index,
	const struct moved *moved)
{
	int error = (int)-moved->last;

	if (is_refusal(error))
		bulk_refused(&worker->bulk);
	if (stopped_at_urgent_byte(flow, index, moved)) {
		tcp_splice_end(worker, flow, index);
	} else if (error == EAGAIN) {
		wait_for_sockets(worker, flow, index, moved);
	} else if (error == EINTR) {
		go_on_later(worker, flow);
	} else if (moved->pushing) {
		tcp_send_failed(worker, flow, index, error);
	} else if (is_refusal(error) || error == ENOMEM) {
		tcp_splice_end(worker, flow, index);
	} else {
		tcp_splice_release(worker, &flow->lanes[index]);
		tcp_lane_ended(worker, flow, index, error);
		if (flow->state == TCP_OPEN)
			tcp_unwatch(worker, flow);
	}
}

void tcp_splice(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	struct rk_lane *lane = &flow->lanes[index];
	size_t most = tcp_turn_part(&worker->turn);
	struct moved moved;

	// What was copied goes first; its send looks in here when it is through.
	if (!(lane->flags & LANE_SPLICED) || lane->flags & LANE_BLOCKED || lane->bytes > 0)
		return;
	moved = move(worker, flow, index, most < SPLICE_MOST ? most : SPLICE_MOST);
	count_moved(worker, flow, index, moved.bytes);
	if (moved.last <= 0)
		stopped(worker, flow, index, &moved);
	else if (lane->piped == 0 && !bulk_splices(&worker->bulk))
		tcp_splice_end(worker, flow, index);
	else
		go_on_later(worker, flow);
}

// --- lanes that moved their share of a turn

void tcp_splice_ready(struct rk_worker *worker)
{
	struct rk_list now;
	struct rk_node *node;

	list_take_all(&now, &worker->ready);
	while ((node = list_first(&now))) {
		struct rk_tcp_flow *flow = RK_CONTAINER_OF(node, struct rk_tcp_flow, ready);

		list_remove(node);
		for (unsigned i = 0; i < LANE_COUNT && flow->state == TCP_OPEN; i++)
			tcp_splice(worker, flow, i);
		tcp_settle_flow(worker, flow);
	}
}

bool tcp_splice_wanted(const struct rk_worker *worker)
{
	return !list_is_empty(&worker->ready);
}
