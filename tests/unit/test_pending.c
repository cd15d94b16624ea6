// test_pending.c: the bound on clients of a port that wait for their target: where it stops the
// listener, what lets it go on, and that it costs nobody a connection.

#include "engine/port_state.h"
#include "tests/unit/worker_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/socket.h>

static void open_port(struct rig *rig, uint32_t max_pending, unsigned sockets)
{
	rig_open(rig, SOCK_STREAM, 1);
	rig->share->max_pending = max_pending;
	for (unsigned i = 0; i < sockets; i++)
		rig_add_socket(rig, SOCKET_TCP4);
}

// One after the other, each as soon as the listener accepts again.
static void add_clients(struct rig *rig, unsigned count)
{
	while (count-- > 0) {
		cr_assert_not_null(fake_find(OP_ACCEPT));
		rig_add_client(rig);
		rig_turns(rig, 2);
	}
}

static void answer_connect(struct rig *rig, int result)
{
	fake_answer(OP_TCP_CONNECT, result, 0);
	rig_turns(rig, 1);
}

static uint32_t pending(const struct rig *rig)
{
	return rig->share->listeners[0].pending;
}

static enum rk_port_reason reason(struct rig *rig)
{
	struct rk_port_stats stats = {.state = PORT_LISTENING};
	struct rk_port_view view = {0};

	port_view_add(&view, rig->share, false);
	port_view_conclude(&view, &stats);
	return stats.state == PORT_PAUSED ? stats.reason : REASON_NONE;
}

Test(pending, stops_the_listener_at_the_bound_until_one_is_connected)
{
	struct rig rig;

	open_port(&rig, 4, 6);
	cr_expect_not(fake_find(OP_ACCEPT)->once);
	add_clients(&rig, 2);
	cr_expect(fake_find(OP_ACCEPT)->once, "half way it accepts one by one");
	cr_expect_eq(reason(&rig), REASON_NONE);
	add_clients(&rig, 2);
	cr_expect_null(fake_find(OP_ACCEPT));
	cr_expect_eq(pending(&rig), 4);
	cr_expect_eq(reason(&rig), REASON_PENDING);
	cr_expect_eq(rig_count(&rig, COUNT_PENDING_WAITS), 1);
	answer_connect(&rig, 0);
	cr_assert_not_null(fake_find(OP_ACCEPT));
	cr_expect(fake_find(OP_ACCEPT)->once);
	cr_expect_eq(reason(&rig), REASON_NONE);
	add_clients(&rig, 1);
	cr_expect_null(fake_find(OP_ACCEPT));
	cr_expect_eq(rig_count(&rig, COUNT_PENDING_WAITS), 2);
	for (unsigned i = 0; i < 4; i++)
		answer_connect(&rig, 0);
	add_clients(&rig, 1);
	cr_expect_not(fake_find(OP_ACCEPT)->once, "far from the bound it takes all that come");
	cr_expect_eq(rig_flows(&rig), 6);
	cr_expect_eq(rig_count(&rig, COUNT_FAILED), 0);
	rig_close(&rig, "bound");
}

// The kernel accepted a burst before it heard that the listener stops.
Test(pending, serves_whom_the_kernel_has_accepted_beyond_the_bound)
{
	struct rig rig;

	open_port(&rig, 4, 7);
	for (unsigned i = 0; i < 7; i++)
		rig_add_client(&rig);
	rig_turns(&rig, 2);
	cr_expect_eq(pending(&rig), 7);
	cr_expect_eq(rig_count(&rig, COUNT_PENDING_WAITS), 1);
	for (unsigned i = 0; i < 3; i++)
		answer_connect(&rig, 0);
	cr_expect_null(fake_find(OP_ACCEPT), "%u are pending", pending(&rig));
	answer_connect(&rig, 0);
	cr_expect_not_null(fake_find(OP_ACCEPT));
	for (unsigned i = 0; i < 3; i++)
		answer_connect(&rig, 0);
	cr_expect_eq(rig_flows(&rig), 7);
	cr_expect_eq(rig_count(&rig, COUNT_FAILED) + rig_count(&rig, COUNT_REFUSED), 0);
	rig_close(&rig, "burst");
}

// Every way in which a client ends to be pending.
Test(pending, goes_on_when_a_client_is_given_up)
{
	enum { REFUSED, TIMED_OUT, WITHOUT_SOCKET, STARVED, WAYS };

	for (unsigned way = 0; way < WAYS; way++) {
		struct rig rig;

		open_port(&rig, 1, way == WITHOUT_SOCKET || way == STARVED ? 0 : 1);
		add_clients(&rig, 1);
		cr_expect_null(fake_find(OP_ACCEPT), "way %u", way);
		if (way == REFUSED)
			answer_connect(&rig, -ECONNREFUSED);
		else if (way == STARVED)
			tcp_pool_starved(&rig.worker, SOCKET_TCP4, EMFILE);
		else
			rig_expire(&rig, TIMER_CONNECT);
		rig_turns(&rig, 2);
		cr_expect_not_null(fake_find(OP_ACCEPT), "way %u", way);
		cr_expect_eq(pending(&rig), 0, "way %u", way);
		rig_close(&rig, "given up");
	}
}

// A worker with few flows keeps half of them for other ports.
Test(pending, is_never_more_than_half_of_the_flows)
{
	struct rig rig;

	open_port(&rig, 1000, 3);
	rig.worker.flow_limit = 6;
	add_clients(&rig, 3);
	cr_expect_null(fake_find(OP_ACCEPT));
	cr_expect_eq(reason(&rig), REASON_PENDING);
	rig_close(&rig, "half of the flows");
}

// Out of flows as well: it goes on when both are over, whichever ends first.
Test(pending, and_no_free_flow_are_two_reasons)
{
	for (unsigned refused = 0; refused < 2; refused++) {
		struct rig rig;

		open_port(&rig, 1, 1);
		rig.worker.flow_limit = 1;
		add_clients(&rig, 1);
		cr_expect_eq(rig_count(&rig, COUNT_ROOM_WAITS), 1);
		cr_expect_eq(rig_count(&rig, COUNT_PENDING_WAITS), 1);
		answer_connect(&rig, refused ? -ECONNREFUSED : 0);
		cr_expect_eq(fake_find(OP_ACCEPT) != NULL, refused);
		cr_expect_eq(reason(&rig), refused ? REASON_NONE : REASON_FLOWS);
		if (!refused)
			fake_answer(OP_TCP_RECEIVE_IN, -ECONNRESET, 0);
		rig_turns(&rig, 3);
		cr_expect_not_null(fake_find(OP_ACCEPT));
		rig_close(&rig, "two reasons");
	}
}

Test(pending, is_not_bounded_by_0)
{
	struct rig rig;

	open_port(&rig, 0, 0);
	add_clients(&rig, 20);
	cr_expect_not(fake_find(OP_ACCEPT)->once);
	cr_expect_eq(pending(&rig), 20);
	cr_expect_eq(rig_count(&rig, COUNT_PENDING_WAITS), 0);
	rig_close(&rig, "no bound");
}

Test(pending, does_not_outlive_its_port)
{
	struct rig rig;

	open_port(&rig, 1, 1);
	add_clients(&rig, 1);
	rig_remove_port(&rig);
	rig_turns(&rig, 1);
	cr_expect_eq(rig.removal.result, 0);
	answer_connect(&rig, 0);
	cr_expect_null(fake_find(OP_ACCEPT));
	cr_expect_eq(rig_flows(&rig), 1);
	rig_close(&rig, "removed");
}

Test(pending, is_no_matter_of_udp)
{
	struct rig rig;

	rig_open(&rig, SOCK_DGRAM, 1);
	rig.share->max_pending = 1;
	for (uint16_t client = 0; client < 3; client++) {
		rig_add_datagram(client);
		rig.clients++;
	}
	rig_turns(&rig, 1);
	cr_expect_eq(rig_flows(&rig), 3);
	cr_expect_not_null(fake_find(OP_UDP_LISTENER));
	cr_expect_eq(pending(&rig), 0);
	rig_close(&rig, "udp");
}
