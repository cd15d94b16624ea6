// test_udp_turns.c: listeners and flows that find no datagram buffer take turns, whoever has how
// much to receive.

#include "tests/unit/worker_rig.h"

#include <criterion/criterion.h>
#include <errno.h>

#define FLOWS  20u
#define TURNS  (4 * FLOWS)
#define NO_END 1000000u

// What the sockets hold; as much of it is received in one turn as the kernel has buffers.
struct sockets {
	unsigned clients;      // datagrams in the listener's
	unsigned child[FLOWS]; // in each flow's
	unsigned seen;         // datagrams of clients that were received
	unsigned heard[FLOWS]; // of children
};

static void open_flows(struct rig *rig, struct sockets *sockets)
{
	*sockets = (struct sockets){0};
	rig_open(rig, SOCK_DGRAM, 1);
	rig->worker.pool.size = FLOWS;
	for (uint16_t i = 0; i < FLOWS; i++) {
		rig_add_socket(rig, SOCKET_UDP4);
		rig_add_datagram(i);
		rig->clients++;
		rig_turns(rig, 1);
	}
	cr_assert_eq(rig_flows(rig), FLOWS);
}

static void send_all(void)
{
	for (unsigned i = 0; i < fake_count();) {
		if (tag_operation(fake_at(i)->tag) == OP_UDP_SEND)
			fake_answer_at(i, 1, 0);
		else
			i++;
	}
}

// The receive at `index` takes what there is of *datagrams. True: it found no buffer for the next,
// and has ended.
static bool receive(unsigned index, unsigned *datagrams, unsigned *received, unsigned *buffers)
{
	bool listener = tag_operation(fake_at(index)->tag) == OP_UDP_LISTENER;
	struct rk_addr source;

	cr_assert_eq(addr_parse(&source, "127.0.0.1", 9, 10000), 0);
	for (; *datagrams > 0 && *buffers > 0; (*datagrams)--, (*buffers)--, (*received)++)
		fake_answer_datagram(index, listener ? &source : NULL, 100, RING_MORE);
	if (*datagrams == 0)
		return false;
	fake_answer_at(index, -ENOBUFS, 0);
	return true;
}

// One turn of the kernel and of the worker: those who asked first receive first.
static void turn(struct rig *rig, struct sockets *sockets)
{
	unsigned buffers = DATAGRAM_BUFFER_READY;

	for (unsigned i = 0; i < fake_count();) {
		uint64_t tag = fake_at(i)->tag;
		uint32_t slot = tag_slot(tag);
		bool ended = false;

		if (tag_operation(tag) == OP_UDP_LISTENER)
			ended = receive(i, &sockets->clients, &sockets->seen, &buffers);
		else if (tag_operation(tag) == OP_UDP_RECEIVE)
			ended = receive(i, &sockets->child[slot], &sockets->heard[slot], &buffers);
		i += !ended;
	}
	send_all();
	rig_turns(rig, 1);
}

// How many flows have heard something.
static unsigned flows_that_heard(const struct sockets *sockets)
{
	unsigned count = 0;

	for (unsigned i = 0; i < FLOWS; i++)
		count += sockets->heard[i] > 0;
	return count;
}

static void finish(struct rig *rig, struct sockets *sockets, const char *about)
{
	sockets->clients = 0;
	for (unsigned i = 0; i < FLOWS; i++)
		sockets->child[i] = 0;
	for (unsigned i = 0; i < TURNS; i++)
		turn(rig, sockets);
	rig_close(rig, about);
}

Test(udp_turns, a_listener_without_end_holds_no_answer_up)
{
	struct sockets sockets;
	struct rig rig;

	open_flows(&rig, &sockets);
	sockets.clients = NO_END;
	turn(&rig, &sockets);
	for (unsigned i = 0; i < FLOWS; i++)
		sockets.child[i] = 1;
	for (unsigned i = 0; i < TURNS; i++)
		turn(&rig, &sockets);
	cr_expect_eq(flows_that_heard(&sockets), FLOWS, "%u", flows_that_heard(&sockets));
	finish(&rig, &sockets, "flood of clients");
}

Test(udp_turns, flows_without_end_hold_no_client_up_nor_each_other)
{
	struct sockets sockets;
	struct rig rig;

	open_flows(&rig, &sockets);
	for (unsigned i = 0; i < FLOWS; i++)
		sockets.child[i] = NO_END;
	sockets.clients = NO_END;
	for (unsigned i = 0; i < TURNS; i++)
		turn(&rig, &sockets);
	cr_expect_eq(flows_that_heard(&sockets), FLOWS, "%u", flows_that_heard(&sockets));
	cr_expect_geq(sockets.seen, TURNS / 2 * (DATAGRAM_BUFFER_READY - 1), "%u", sockets.seen);
	finish(&rig, &sockets, "flood from both sides");
}

// However many wait, a turn asks for few receives, and another turn follows at once.
Test(udp_turns, a_turn_has_a_bound_and_those_who_still_wait_get_another)
{
	struct sockets sockets;
	struct rig rig;
	unsigned receives;

	open_flows(&rig, &sockets);
	for (unsigned i = 0; i < FLOWS; i++)
		fake_answer(OP_UDP_RECEIVE, -ENOBUFS, 0);
	rig_turns(&rig, 1);
	for (unsigned left = FLOWS; left > 0;) {
		receives = 0;
		for (unsigned i = 0; i < fake_count(); i++)
			receives += tag_operation(fake_at(i)->tag) == OP_UDP_RECEIVE;
		cr_assert_leq(receives, FLOWS - left + DATAGRAM_BUFFER_READY);
		cr_assert_gt(receives, FLOWS - left);
		left = FLOWS - receives;
		cr_expect_eq(udp_buffers_wanted(&rig.worker), left > 0, "%u left", left);
		rig_turns(&rig, 1);
	}
	finish(&rig, &sockets, "all flows starved");
}

// Thousands become idle within a moment: each cancels its own receive, and no search is made.
Test(udp_turns, an_idle_flow_cancels_its_receive_alone)
{
	struct sockets sockets;
	struct rig rig;

	open_flows(&rig, &sockets);
	send_all();
	rig_turns(&rig, 1);
	rig_expire(&rig, TIMER_UDP_IDLE);
	rig_turns(&rig, 3);
	cr_expect_eq(rig_flows(&rig), 0);
	cr_expect_eq(fake_searches(), 0);
	rig_close(&rig, "idle flows");
}
