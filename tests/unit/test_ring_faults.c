// test_ring_faults.c: every operation of the data plane fails with every error that the kernel may
// have for it: what happens to its flow or listener, what is counted, and that nothing stays
// behind.

#include "tests/unit/worker_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// A reply to a client is an OP_UDP_SEND as a datagram to the child is.
#define UDP_REPLY OP_COUNT
#define NONE      PORT_COUNTERS

enum outcome {
	ENDS,       // the flow ends, its client is reset
	LEAVES,     // ... and the number of its client's descriptor is left alone
	GOES_ON,    // the flow lives
	ASKS_AGAIN, // the flow or listener lives, the operation is in flight again
	PAUSES,     // the listener, or who polls, asks again after its pause
	WATCHES,    // the flow lives and waits for its full destination to take more
};

// What follows when an operation fails with an error; error 0 stands for all that have no row.
static const struct row {
	enum rk_operation operation;
	int error;
	enum outcome outcome;
	enum rk_port_counter counters[2]; // that go up by one; no other of `watched` does
} rows[] = {
	{OP_MAILBOX, 0, PAUSES, {NONE, NONE}},
	{OP_HELPER, 0, PAUSES, {NONE, NONE}},
	{OP_ACCEPT, ECONNABORTED, ASKS_AGAIN, {NONE, NONE}},
	{OP_ACCEPT, ECANCELED, ASKS_AGAIN, {NONE, NONE}},
	{OP_ACCEPT, 0, PAUSES, {COUNT_PAUSES, NONE}},
	{OP_TCP_CONNECT, ECONNREFUSED, ENDS, {COUNT_REFUSED, NONE}},
	{OP_TCP_CONNECT, ETIMEDOUT, ENDS, {COUNT_FAILED, COUNT_TIMED_OUT}},
	{OP_TCP_CONNECT, 0, ENDS, {COUNT_FAILED, NONE}},
	{OP_TCP_RECEIVE_IN, ENOBUFS, ASKS_AGAIN, {COUNT_BUFFER_WAITS, NONE}},
	{OP_TCP_RECEIVE_IN, ECONNRESET, ENDS, {COUNT_RESET_BY_CLIENT, NONE}},
	{OP_TCP_RECEIVE_IN, EPIPE, ENDS, {COUNT_RESET_BY_CLIENT, NONE}},
	{OP_TCP_RECEIVE_IN, EBADF, LEAVES, {NONE, NONE}},
	{OP_TCP_RECEIVE_IN, ENOTSOCK, LEAVES, {NONE, NONE}},
	{OP_TCP_RECEIVE_IN, 0, ENDS, {NONE, NONE}},
	{OP_TCP_RECEIVE_OUT, ENOBUFS, ASKS_AGAIN, {COUNT_BUFFER_WAITS, NONE}},
	{OP_TCP_RECEIVE_OUT, ECONNRESET, ENDS, {COUNT_RESET_BY_CHILD, NONE}},
	{OP_TCP_RECEIVE_OUT, EPIPE, ENDS, {COUNT_RESET_BY_CHILD, NONE}},
	{OP_TCP_RECEIVE_OUT, 0, ENDS, {NONE, NONE}},
	{OP_TCP_SEND_IN, EAGAIN, WATCHES, {NONE, NONE}},
	{OP_TCP_SEND_IN, ECONNRESET, ENDS, {COUNT_RESET_BY_CHILD, NONE}},
	{OP_TCP_SEND_IN, EPIPE, ENDS, {COUNT_RESET_BY_CHILD, NONE}},
	{OP_TCP_SEND_IN, 0, ENDS, {NONE, NONE}},
	{OP_TCP_SEND_OUT, EAGAIN, WATCHES, {NONE, NONE}},
	{OP_TCP_SEND_OUT, ECONNRESET, ENDS, {COUNT_RESET_BY_CLIENT, NONE}},
	{OP_TCP_SEND_OUT, EPIPE, ENDS, {COUNT_RESET_BY_CLIENT, NONE}},
	{OP_TCP_SEND_OUT, 0, ENDS, {NONE, NONE}},
	{OP_TCP_WATCH_IN, ECONNRESET, ENDS, {COUNT_RESET_BY_CLIENT, NONE}},
	{OP_TCP_WATCH_IN, EPIPE, ENDS, {COUNT_RESET_BY_CLIENT, NONE}},
	{OP_TCP_WATCH_IN, 0, ENDS, {NONE, NONE}},
	{OP_TCP_WATCH_OUT, ECONNRESET, ENDS, {COUNT_RESET_BY_CHILD, NONE}},
	{OP_TCP_WATCH_OUT, EPIPE, ENDS, {COUNT_RESET_BY_CHILD, NONE}},
	{OP_TCP_WATCH_OUT, 0, ENDS, {NONE, NONE}},
	{OP_UDP_LISTENER, ENOBUFS, ASKS_AGAIN, {COUNT_BUFFER_WAITS, NONE}},
	{OP_UDP_LISTENER, 0, PAUSES, {COUNT_PAUSES, NONE}},
	{OP_UDP_RECEIVE, ENOBUFS, ASKS_AGAIN, {COUNT_BUFFER_WAITS, NONE}},
	{OP_UDP_RECEIVE, ECONNREFUSED, ENDS, {COUNT_REFUSED, NONE}},
	{OP_UDP_RECEIVE, 0, ENDS, {COUNT_FAILED, NONE}},
	{OP_UDP_SEND, 0, GOES_ON, {COUNT_DROPPED_SEND, NONE}},
	{OP_UDP_SEND_EMPTY, 0, GOES_ON, {COUNT_DROPPED_SEND, NONE}},
	{UDP_REPLY, 0, GOES_ON, {COUNT_DROPPED_SEND, NONE}},
};

static const int errors[] = {ECONNREFUSED, ETIMEDOUT, ECONNRESET, EPIPE, ENOBUFS, ENOMEM, EMFILE,
	ENFILE, ECONNABORTED, ECANCELED, EINTR, EAGAIN, EBADF, EINVAL, EHOSTUNREACH, ENOTSOCK};

static const enum rk_port_counter watched[] = {COUNT_REFUSED, COUNT_FAILED, COUNT_TIMED_OUT,
	COUNT_RESET_BY_CLIENT, COUNT_RESET_BY_CHILD, COUNT_RETRIES, COUNT_SOCKET_WAITS,
	COUNT_BUFFER_WAITS, COUNT_PAUSES, COUNT_ROOM_WAITS, COUNT_PENDING_WAITS, COUNT_DROPPED_ROOM,
	COUNT_DROPPED_SOCKET, COUNT_DROPPED_BUFFER, COUNT_DROPPED_TARGET, COUNT_DROPPED_SEND,
	COUNT_DROPPED_INVALID};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct row *row_of(enum rk_operation operation, int error)
{
	const struct row *row = rows;

	while (row->operation != operation || (row->error != error && row->error != 0))
		cr_assert_lt(++row, rows + COUNT_OF(rows), "operation %u has no row", operation);
	return row;
}

// --- the way to each operation

static void open_udp_flow(struct rig *rig)
{
	rig_add_socket(rig, SOCKET_UDP4);
	rig_add_datagram(1);
	rig->clients++;
	rig_turns(rig, 1);
}

static void half_close(struct rig *rig, enum rk_operation receive)
{
	fake_answer(receive, 0, 0);
	rig_turns(rig, 1);
	rig_expire(rig, TIMER_HALF_CLOSED);
}

// Ends with the operation in flight.
static void reach(struct rig *rig, enum rk_operation operation)
{
	if (operation >= OP_TCP_RECEIVE_IN && operation <= OP_TCP_WATCH_OUT)
		rig_open_tcp_flow(rig);
	else if (operation > OP_UDP_LISTENER)
		open_udp_flow(rig);
	switch ((unsigned)operation) {
	case OP_HELPER:
		rig_add_helper(rig);
		break;
	case OP_TCP_CONNECT:
		rig_add_socket(rig, SOCKET_TCP4);
		rig_add_client(rig);
		break;
	case OP_TCP_SEND_IN:
		fake_answer_bytes(fake_index_of(OP_TCP_RECEIVE_IN), 100000, RING_MORE);
		break;
	case OP_TCP_SEND_OUT:
		fake_answer_bytes(fake_index_of(OP_TCP_RECEIVE_OUT), 100000, RING_MORE);
		break;
	case OP_TCP_WATCH_IN:
		half_close(rig, OP_TCP_RECEIVE_IN);
		break;
	case OP_TCP_WATCH_OUT:
		half_close(rig, OP_TCP_RECEIVE_OUT);
		break;
	case OP_UDP_RECEIVE:
		fake_answer(OP_UDP_SEND, 100, 0);
		break;
	case OP_UDP_SEND_EMPTY:
		fake_answer(OP_UDP_RECEIVE, 0, RING_MORE);
		break;
	case UDP_REPLY:
		fake_answer(OP_UDP_SEND, 100, 0);
		fake_answer_datagram(fake_index_of(OP_UDP_RECEIVE), NULL, 50, RING_MORE);
		break;
	}
	rig_turns(rig, 1);
}

// --- what follows

static void expect_counted(const struct rig *rig, const struct row *row, const char *about)
{
	for (unsigned i = 0; i < COUNT_OF(watched); i++) {
		bool due = watched[i] == row->counters[0] || watched[i] == row->counters[1];

		cr_expect_eq(rig_count(rig, watched[i]), due, "%s: counter %u is %lu", about,
			watched[i], rig_count(rig, watched[i]));
	}
}

// After a FIN the kernel says EPIPE.
static void expect_reset(const struct rig *rig, const char *about)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (rig->share->forward.socktype != SOCK_STREAM)
		return;
	getsockopt(rig->peers[1], SOL_SOCKET, SO_ERROR, &error, &length);
	cr_expect(error == ECONNRESET || error == EPIPE, "%s: the client saw no reset", about);
}

static void expect_outcome(struct rig *rig, enum rk_operation operation, int accepted,
	enum outcome outcome, const char *about)
{
	bool ended = outcome == ENDS || outcome == LEAVES;

	if (operation > OP_ACCEPT && operation != OP_UDP_LISTENER)
		cr_expect_eq(rig_flows(rig), !ended, "%s: %u flows", about, rig_flows(rig));
	if (outcome == ENDS)
		expect_reset(rig, about);
	if (outcome == LEAVES)
		cr_expect_eq(close(accepted), 0, "%s: was closed", about);
	if (outcome == ASKS_AGAIN)
		cr_expect_not_null(fake_find(operation), "%s: not asked again", about);
	if (outcome == WATCHES)
		cr_expect_not_null(
			fake_find(operation == OP_TCP_SEND_IN ? OP_TCP_WATCH_OUT : OP_TCP_WATCH_IN),
			"%s: not watched", about);
	if (outcome != PAUSES)
		return;
	cr_expect_null(fake_find(operation), "%s: no pause", about);
	rig_expire(rig, operation <= OP_HELPER ? TIMER_POLL : TIMER_PAUSE);
	rig_turns(rig, 1);
	cr_expect_not_null(fake_find(operation), "%s: dead after its pause", about);
}

static void fail(enum rk_operation operation, int error)
{
	const struct row *row = row_of(operation, error);
	enum rk_operation answered = operation == UDP_REPLY ? OP_UDP_SEND : operation;
	bool udp = operation >= OP_UDP_LISTENER;
	struct rig rig;
	char about[80];
	int accepted = -1;

	snprintf(about, sizeof(about), "operation %u, %s", operation, strerrorname_np(error));
	rig_open(&rig, udp ? SOCK_DGRAM : SOCK_STREAM, 1);
	reach(&rig, operation);
	if (operation == OP_TCP_RECEIVE_IN)
		accepted = fake_find(operation)->fd;
	fake_answer(answered, -error, 0);
	rig_turns(&rig, 3);
	expect_counted(&rig, row, about);
	expect_outcome(&rig, operation, accepted, row->outcome, about);
	rig_close(&rig, about);
}

Test(ring_faults, every_operation_survives_every_error)
{
	for (unsigned operation = OP_MAILBOX; operation <= UDP_REPLY; operation++)
		for (unsigned i = 0; i < COUNT_OF(errors); i++)
			fail((enum rk_operation)operation, errors[i]);
}

// The control thread is answered all the same, at the pace of the pauses.
Test(ring_faults, a_mailbox_that_cannot_be_polled_is_read_with_pauses)
{
	struct rk_worker_stats stats;
	struct rk_command command = {.type = COMMAND_STATS, .stats = &stats, .result = 1};
	const struct rk_command *message = &command;
	struct rig rig;

	rig_open(&rig, SOCK_STREAM, 1);
	for (unsigned i = 0; i < 20; i++) {
		command.result = 1;
		sem_init(&command.done, 0, 0);
		cr_assert_eq(
			write(rig.worker.mailbox[1], &message, sizeof(message)), sizeof(message));
		fake_answer(OP_MAILBOX, -ENOMEM, 0);
		rig_turns(&rig, 1);
		cr_expect_eq(command.result, 0, "round %u: not answered", i);
		cr_expect_null(fake_find(OP_MAILBOX), "round %u: no pause", i);
		rig_expire(&rig, TIMER_POLL);
		rig_turns(&rig, 1);
	}
	rig_close(&rig, "mailbox");
}

// Its poll goes with it: the pause must not ask for another one.
Test(ring_faults, a_helper_that_goes_while_its_poll_pauses_takes_the_pause_along)
{
	struct rig rig;

	rig_open(&rig, SOCK_STREAM, 1);
	rig_add_helper(&rig);
	fake_answer(OP_HELPER, -ENOMEM, 0);
	rig_turns(&rig, 1);
	rig_add_helper(&rig);
	rig_expire(&rig, TIMER_POLL);
	rig_turns(&rig, 1);
	cr_expect_not_null(fake_find(OP_HELPER));
	rig_close(&rig, "helper");
}
