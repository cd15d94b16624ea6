// test_flow_random.c: thousands of random sequences on the fake ring: clients come, operations
// complete in any order with any result they may have, time passes, the port is removed. Whatever
// happened, nothing stays behind; a failure names its seed.

#include "tests/unit/worker_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SEQUENCES       500 // each for TCP and UDP
#define STEPS           60
#define STEPS_SPLICING  400
#define CLIENTS         6
#define SOCKETS         8

static uint64_t state;
static unsigned clients, sockets;
static unsigned splicing; // sequences
static uint64_t spliced;  // bytes

static uint32_t random_below(uint32_t bound)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % bound;
}

static int random_error(void)
{
	// Most often those that a flow or listener survives.
	static const int errors[] = {ECONNREFUSED, ECONNREFUSED, ECONNREFUSED, ECONNREFUSED,
		ENOBUFS, ENOBUFS, ENOBUFS, ENOBUFS, EAGAIN, EAGAIN, EAGAIN, ECANCELED, ECANCELED,
		ETIMEDOUT, ECONNRESET, EPIPE, ENOMEM, EMFILE, ECONNABORTED, EINVAL, EHOSTUNREACH};

	return -errors[random_below(COUNT_OF(errors))];
}

// Those that lead a flow to another target or to a queue.
static int random_datagram_error(void)
{
	if (random_below(4) == 0)
		return random_error();
	return random_below(2) ? -ECONNREFUSED : -ENOBUFS;
}

static uint32_t random_more(void)
{
	return random_below(3) ? RING_MORE : 0;
}

// --- one completion, as the kernel might have it

static void answer_accept(struct rig *rig, unsigned index)
{
	if (clients == CLIENTS || random_below(4) == 0) {
		fake_answer_at(index, random_error(), 0);
	} else {
		clients++;
		rig_add_client(rig);
	}
}

static void answer_bytes(unsigned index)
{
	if (random_below(4) > 0)
		fake_answer_bytes(index, 1 + random_below(100000), random_more());
	else
		fake_answer_at(index, random_below(2) ? 0 : random_error(), 0);
}

// A failed datagram harms no flow: let many fail.
static void answer_send(unsigned index, bool datagram)
{
	size_t length = fake_at(index)->length;

	if (random_below(datagram ? 2 : 4) == 0)
		fake_answer_at(index, datagram ? random_datagram_error() : random_error(), 0);
	else if (datagram || random_below(2) == 0)
		fake_answer_at(index, (int)length, 0);
	else
		fake_answer_at(index, (int)(1 + random_below((uint32_t)length)), 0);
}

static void answer_watch(unsigned index)
{
	static const int results[] = {POLLOUT, POLLIN, POLLIN | POLLOUT,
		POLLIN | POLLOUT | POLLRDHUP, POLLOUT | POLLHUP, POLLERR, -ENOMEM};
	int result = results[random_below(COUNT_OF(results))];

	fake_answer_at(index, result, result < 0 ? 0 : random_more());
}

static void answer_datagram(unsigned index, bool from_client)
{
	struct rk_addr source;

	addr_parse(&source, "127.0.0.1", 9, (uint16_t)(10000 + random_below(CLIENTS)));
	if (random_below(4) > 0)
		fake_answer_datagram(
			index, from_client ? &source : NULL, 1 + random_below(2000), random_more());
	else if (!from_client && random_below(2))
		fake_answer_at(index, 0, RING_MORE);
	else
		fake_answer_at(index, random_datagram_error(), 0);
}

static void answer_one(struct rig *rig, unsigned index)
{
	switch ((enum rk_operation)tag_operation(fake_at(index)->tag)) {
	case OP_ACCEPT:
		answer_accept(rig, index);
		break;
	case OP_TCP_CONNECT:
		fake_answer_at(index, random_below(3) ? 0 : random_error(), 0);
		break;
	case OP_TCP_RECEIVE_IN:
	case OP_TCP_RECEIVE_OUT:
		answer_bytes(index);
		break;
	case OP_TCP_SEND_IN:
	case OP_TCP_SEND_OUT:
		answer_send(index, false);
		break;
	case OP_UDP_SEND:
	case OP_UDP_SEND_EMPTY:
		answer_send(index, true);
		break;
	case OP_TCP_WATCH_IN:
	case OP_TCP_WATCH_OUT:
		answer_watch(index);
		break;
	case OP_UDP_LISTENER:
		answer_datagram(index, true);
		break;
	case OP_UDP_RECEIVE:
		answer_datagram(index, false);
		break;
	default: // the mailbox stays
		break;
	}
}

// --- a sequence

static void add_socket(struct rig *rig)
{
	static const enum rk_socket_kind kinds[] = {SOCKET_TCP4, SOCKET_UDP4};
	bool udp = rig->share->forward.socktype == SOCK_DGRAM;

	if (sockets == SOCKETS)
		return;
	sockets++;
	rig_add_socket(rig, kinds[udp]);
	if (udp)
		udp_pool_filled(&rig->worker, SOCKET_UDP4);
	else
		tcp_pool_filled(&rig->worker, SOCKET_TCP4);
}

static void change_targets(struct rig *rig)
{
	struct rk_forward forward = rig->share->forward;
	struct rk_command command = {
		.type = COMMAND_RETARGET, .id = forward.id, .forward = &forward};

	addr_set_port(&forward.targets[0], (uint16_t)(1 + random_below(1000)));
	rig_command(rig, &command);
	rig_turns(rig, 1);
	// A port that is being removed is known until its listener is closed.
	cr_expect(command.result == 0 || (rig->removed && command.result == -ENOENT));
}

// For flows that splice, which happens for real.
static void write_or_read(struct rig *rig)
{
	static char bytes[100000];
	int peer;

	if (rig->peer_count == 0)
		return;
	peer = rig->peers[random_below(rig->peer_count)];
	if (random_below(3) == 0)
		(void)!recv(peer, bytes, 1 + random_below(sizeof(bytes)), MSG_DONTWAIT);
	else if (random_below(10) == 0)
		shutdown(peer, SHUT_WR);
	else
		(void)!send(
			peer, bytes, 1 + random_below(sizeof(bytes)), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void take_step(struct rig *rig)
{
	switch (random_below(rig->worker.bulk.pipe_most > 0 ? 15 : 12)) {
	case 12:
	case 13:
	case 14:
		write_or_read(rig);
		break;
	case 0:
		add_socket(rig);
		break;
	case 1:
		rig_expire(rig, (enum rk_timer_kind)random_below(TIMER_KIND_COUNT));
		break;
	case 2:
		rig_turns(rig, 1);
		break;
	case 3:
		if (random_below(4) == 0)
			change_targets(rig);
		break;
	default:
		if (fake_count() > 0)
			answer_one(rig, random_below(fake_count()));
		break;
	}
}

static unsigned count_pending(const struct rig *rig)
{
	const struct rk_slab *slab = &rig->worker.tcp_flows;
	unsigned count = 0;

	for (uint32_t i = 0; i < slab->touched; i++) {
		const struct rk_slot *slot = slab_at(slab, i);

		count += slot->generation & 1u &&
			 ((const struct rk_tcp_flow *)slot)->state < TCP_OPEN;
	}
	return count;
}

// A listener that does not accept has a reason that will end.
static void expect_listener(const struct rig *rig, const char *about)
{
	const struct rk_listener *listener = &rig->share->listeners[0];
	uint32_t bound = rig->share->max_pending;
	uint32_t half = (rig->worker.flow_limit + 1) / 2;

	if (bound > half)
		bound = half;
	cr_expect_eq(listener->pending, count_pending(rig), "%s: pending clients", about);
	cr_expect(!listener->held || listener->stopping || listener->pending >= bound,
		"%s: held with %u of %u", about, listener->pending, bound);
	cr_expect(listener->armed || listener->stopping || listener->held ||
			  node_is_linked(&listener->waiting) ||
			  node_is_linked(&listener->pause.node),
		"%s: the listener is dead", about);
}

// The clients come and go; in the middle the port may be removed under them.
static void run_sequence(struct rig *rig, const char *about)
{
	unsigned steps = rig->worker.bulk.pipe_most > 0 ? STEPS_SPLICING : STEPS;
	unsigned removed_at = random_below(2 * steps);

	for (unsigned step = 0; step < steps; step++) {
		if (step == removed_at)
			rig_remove_port(rig);
		take_step(rig);
		cr_expect_eq(rig_count(rig, COUNT_OPEN), rig_flows(rig), "%s: open flows", about);
		expect_listener(rig, about);
	}
	rig_turns(rig, 1);
}

// Everything is cancelled, and completes in any order with any result.
static void end_in_any_order(struct rig *rig)
{
	if (!rig->removed)
		rig_remove_port(rig);
	rig_turns(rig, 1);
	tcp_reset_all(&rig->worker);
	udp_close_flows(&rig->worker, NULL);
	for (unsigned left = 400; left > 0 && fake_count() > 1; left--) {
		unsigned index = random_below(fake_count());

		if (random_below(3) || tag_operation(fake_at(index)->tag) == OP_MAILBOX)
			answer_one(rig, index);
		else
			fake_answer_at(index, -ECANCELED, 0);
		if (random_below(3) == 0)
			rig_turns(rig, 1);
	}
}

// Two pipes for a dozen directions, which want one as soon as they have received a little.
static void splice_early(struct rig *rig, unsigned seed)
{
	bulk_close(&rig->worker.bulk);
	bulk_open(&rig->worker.bulk, BULK_MODE_SPLICE, 2);
	rig->worker.bulk.after = seed % 2 ? 1 : 50000;
	splicing++;
}

static void run(int socktype, unsigned seed)
{
	struct rig rig;
	char about[40];

	snprintf(
		about, sizeof(about), "%s, seed %u", socktype == SOCK_STREAM ? "tcp" : "udp", seed);
	state = 0x9e3779b97f4a7c15u * (seed + 1);
	clients = sockets = 0;
	rig_open(&rig, socktype, 1 + seed % 2);
	rig.share->max_pending = seed % 4;
	if (seed % 5 == 0)
		rig.worker.flow_limit = 1 + seed % 2;
	if (socktype == SOCK_STREAM && seed % 3 == 0)
		splice_early(&rig, seed);
	fake_hold_cancelled = true;
	run_sequence(&rig, about);
	end_in_any_order(&rig);
	// How many flows the datagrams made is the data plane's to decide.
	if (socktype == SOCK_DGRAM)
		rig.clients = rig_count(&rig, COUNT_TOTAL);
	spliced += rig.worker.bulk.moved[BULK_SPLICE];
	rig_close(&rig, about);
}

Test(flow_random, tcp_leaves_nothing_behind)
{
	for (unsigned seed = 0; seed < SEQUENCES; seed++)
		run(SOCK_STREAM, seed);
	cr_log_info("%u sequences spliced %llu bytes", splicing, (unsigned long long)spliced);
	cr_expect_gt(spliced, 100000);
}

Test(flow_random, udp_leaves_nothing_behind)
{
	for (unsigned seed = 0; seed < SEQUENCES; seed++)
		run(SOCK_DGRAM, seed);
}
