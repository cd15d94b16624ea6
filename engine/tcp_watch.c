// tcp_watch.c: polls of a TCP flow's sockets, where a receive or send in flight does not tell
// enough.
//
// How it works: a socket is polled, at most once at a time, for three reasons: its peer has sent
// everything and may reset (a half-closed source), a send there found it full (LANE_BLOCKED), or a
// lane splices from or to it. A poll goes on until nobody needs it. `side` is the index of the lane
// that reads the socket; the other lane writes it.

#include "engine/tcp_internal.h"

#include <errno.h>
#include <poll.h>

// A source that has ended has nothing to be read: it is polled for the other reasons only.
void tcp_watch(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned side)
{
	bool reads = !(flow->lanes[side].flags & LANE_EOF);

	if (flow->watched & 1u << side)
		return;
	flow->watched |= (uint8_t)(1u << side);
	flow->in_flight++;
	ring_poll(worker->ring, flow->fds[side], reads ? POLLIN | POLLOUT : POLLOUT,
		tcp_lane_tag(flow, OP_TCP_WATCH_IN, side));
}

// Whether the source of a lane has ended and so has what goes there. The kernel reports such a
// socket as hung up, which is no reset: the lane may still hold bytes of it for a slow reader.
static bool both_ways_ended(const struct rk_tcp_flow *flow, unsigned side)
{
	return flow->lanes[!side].flags & LANE_DONE;
}

static bool is_needed(const struct rk_tcp_flow *flow, unsigned side)
{
	const struct rk_lane *reads = &flow->lanes[side], *writes = &flow->lanes[!side];

	if (reads->flags & LANE_SPLICED || writes->flags & (LANE_SPLICED | LANE_BLOCKED))
		return true;
	return reads->flags & LANE_EOF && !both_ways_ended(flow, side);
}

void tcp_unwatch(struct rk_worker *worker, struct rk_tcp_flow *flow)
{
	for (unsigned side = 0; side < LANE_COUNT; side++)
		if (flow->watched & ~flow->unwatched & 1u << side && !is_needed(flow, side)) {
			flow->unwatched |= (uint8_t)(1u << side);
			ring_cancel_one(worker->ring, flow->fds[side],
				tcp_lane_tag(flow, OP_TCP_WATCH_IN, side), tag_make(OP_NONE, 0, 0));
		}
}

// Notes that the poll ended. True: because we cancelled it.
static bool poll_ended(struct rk_tcp_flow *flow, unsigned side)
{
	bool cancelled = flow->unwatched & 1u << side;

	flow->watched &= (uint8_t) ~(1u << side);
	flow->unwatched &= (uint8_t) ~(1u << side);
	flow->in_flight--;
	return cancelled;
}

void tcp_half_closed_timeout(struct rk_worker *worker, struct rk_timer *timer)
{
	struct rk_tcp_flow *flow = RK_CONTAINER_OF(timer, struct rk_tcp_flow, timer);

	for (unsigned side = 0; side < LANE_COUNT; side++)
		if (flow->lanes[side].flags & LANE_EOF && !both_ways_ended(flow, side))
			tcp_watch(worker, flow, side);
}

// The socket is full no more, or broken, which the next try to send tells.
static void go_on_sending(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned index)
{
	struct rk_lane *lane = &flow->lanes[index];

	lane->flags &= (uint16_t)~LANE_BLOCKED;
	if (lane->flags & LANE_SPLICED && lane->bytes == 0)
		tcp_splice(worker, flow, index);
	else
		tcp_lane_send(worker, flow, index);
}

void tcp_watch_complete(struct rk_worker *worker, struct rk_tcp_flow *flow, unsigned side,
	const struct rk_completion *completion)
{
	short broken = both_ways_ended(flow, side) ? POLLERR : POLLERR | POLLHUP;
	const struct rk_lane *reads = &flow->lanes[side], *writes = &flow->lanes[!side];
	bool ended = !(completion->flags & RING_MORE);
	int result = completion->result;

	if (ended && poll_ended(flow, side) && result == -ECANCELED)
		result = 0;
	if (flow->state == TCP_CLOSING)
		return;
	// A lane that still reads sees a reset by itself, behind the bytes before it.
	if (result < 0 || (result & broken && reads->flags & LANE_EOF)) {
		tcp_source_failed(worker, flow, side, result < 0 ? -result : ECONNRESET);
		return;
	}
	if (ended && is_needed(flow, side))
		tcp_watch(worker, flow, side);
	if (result & (POLLIN | POLLRDHUP | POLLERR | POLLHUP) && !node_is_linked(&flow->ready))
		tcp_splice(worker, flow, side);
	if (flow->state == TCP_OPEN && writes->flags & LANE_BLOCKED &&
		result & (POLLOUT | POLLERR | POLLHUP))
		go_on_sending(worker, flow, !side);
}
