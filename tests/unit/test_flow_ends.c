// test_flow_ends.c: how flows and listeners end or go on, step by step, on the fake ring: FIN and
// RST, short sends, bogus descriptors, stale completions, a ring that breaks.

#include "engine/proxy_header.h"
#include "tests/unit/worker_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define STEPS_MAX       6

// --- FIN and RST

enum { IN = OP_TCP_RECEIVE_IN, OUT = OP_TCP_RECEIVE_OUT }; // from the client, from the child

// Steps: an operation and its result (of a receive: bytes). Then what client and child have seen:
// 'F'in, 'R'eset, or '-' nothing.
static const struct {
	struct {
		uint8_t operation;
		int result;
	} steps[STEPS_MAX];
	char client, child;
} ends[] = {
	{{{IN, 0}}, '-', 'F'},
	{{{OUT, 0}}, 'F', '-'},
	{{{IN, 0}, {OUT, 0}}, 'F', 'F'},
	{{{OUT, 0}, {IN, 0}}, 'F', 'F'},
	{{{IN, -ECONNRESET}}, 'R', 'R'},
	{{{OUT, -ECONNRESET}}, 'R', 'R'},
	{{{IN, 0}, {OUT, -ECONNRESET}}, 'R', 'R'},
	{{{OUT, 0}, {IN, -ECONNRESET}}, 'R', 'R'},
	// An end is passed on behind the last byte, whichever end it is.
	{{{IN, 100}, {IN, 0}}, '-', '-'},
	{{{IN, 100}, {IN, 0}, {OP_TCP_SEND_IN, 60}}, '-', '-'},
	{{{IN, 100}, {IN, 0}, {OP_TCP_SEND_IN, 60}, {OP_TCP_SEND_IN, 40}}, '-', 'F'},
	{{{OUT, 100}, {OUT, -ECONNRESET}}, '-', '-'},
	{{{OUT, 100}, {OUT, -ECONNRESET}, {OP_TCP_SEND_OUT, 100}}, 'R', 'R'},
	{{{OUT, 100}, {IN, 0}, {OUT, 0}}, '-', 'F'},
	{{{OUT, 100}, {IN, 0}, {OUT, 0}, {OP_TCP_SEND_OUT, 100}}, 'F', 'F'},
	// A half-closed end is watched.
	{{{IN, 0}, {OP_TCP_WATCH_IN, POLLOUT}}, '-', 'F'},
	{{{IN, 0}, {OP_TCP_WATCH_IN, POLLOUT | POLLHUP}}, 'R', 'R'},
	{{{OUT, 0}, {OP_TCP_WATCH_OUT, POLLERR}}, 'R', 'R'},
	// To a full one bytes go when it is writable.
	{{{IN, 0}, {OUT, 100}, {OP_TCP_SEND_OUT, -EAGAIN}, {OP_TCP_WATCH_IN, POLLOUT},
		 {OP_TCP_SEND_OUT, 100}, {OUT, 0}},
		'F', 'F'},
	{{{OUT, 0}, {IN, 100}, {OP_TCP_SEND_IN, -EAGAIN}, {OP_TCP_WATCH_OUT, POLLOUT},
		 {OP_TCP_SEND_IN, -EPIPE}},
		'R', 'R'},
};

static char what_saw(int peer)
{
	int error = 0;
	socklen_t length = sizeof(error);
	char byte;

	getsockopt(peer, SOL_SOCKET, SO_ERROR, &error, &length);
	if (error)
		return error == ECONNRESET || error == EPIPE ? 'R' : '?';
	return recv(peer, &byte, 1, MSG_DONTWAIT) == 0 ? 'F' : '-';
}

static void take_step(struct rig *rig, enum rk_operation operation, int result)
{
	bool receive = operation == OP_TCP_RECEIVE_IN || operation == OP_TCP_RECEIVE_OUT;
	bool watch = operation == OP_TCP_WATCH_IN || operation == OP_TCP_WATCH_OUT;

	if (watch) {
		rig_expire(rig, TIMER_HALF_CLOSED);
		rig_turns(rig, 1);
	}
	if (receive && result > 0)
		fake_answer_bytes(fake_index_of(operation), (uint32_t)result, RING_MORE);
	else
		fake_answer(operation, result, watch ? RING_MORE : 0);
	rig_turns(rig, 1);
}

Test(flow_ends, passes_on_fin_and_reset_behind_the_last_byte)
{
	for (unsigned i = 0; i < COUNT_OF(ends); i++) {
		struct rig rig;
		char about[20];
		bool over;

		snprintf(about, sizeof(about), "row %u", i);
		rig_open(&rig, SOCK_STREAM, 1);
		rig_open_tcp_flow(&rig);
		for (unsigned step = 0; step < STEPS_MAX && ends[i].steps[step].operation; step++)
			take_step(&rig, ends[i].steps[step].operation, ends[i].steps[step].result);
		rig_turns(&rig, 2);
		over = ends[i].client != '-' && ends[i].child != '-';
		cr_expect_eq(rig_flows(&rig), !over, "%s: %u flows", about, rig_flows(&rig));
		cr_expect_eq(what_saw(rig.peers[1]), ends[i].client, "%s: client", about);
		cr_expect_eq(what_saw(rig.peers[0]), ends[i].child, "%s: child", about);
		rig_close(&rig, about);
	}
}

Test(flow_ends, short_sends_lose_nothing)
{
	const uint32_t total = 3 * STREAM_BUFFER_SIZE + 77;
	struct rig rig;
	uint32_t sent = 0;

	rig_open(&rig, SOCK_STREAM, 1);
	rig_open_tcp_flow(&rig);
	fake_answer_bytes(fake_index_of(OP_TCP_RECEIVE_IN), total, RING_MORE);
	for (uint32_t part = 1; sent < total; part = part * 3 + 1) {
		rig_turns(&rig, 1);
		cr_expect_eq(fake_find(OP_TCP_SEND_IN)->length, total - sent);
		if (part > total - sent)
			part = total - sent;
		fake_answer(OP_TCP_SEND_IN, (int)part, 0);
		sent += part;
	}
	rig_turns(&rig, 1);
	cr_expect_null(fake_find(OP_TCP_SEND_IN));
	cr_expect_eq(rig_count(&rig, COUNT_BYTES_IN), total);
	cr_expect_eq(rig.worker.stream_buffers_held, 0);
	cr_expect_eq(fake_buffers_held(RING_POOL_STREAM), 0);
	rig_close(&rig, "short sends");
}

// --- targets and sockets

Test(flow_ends, tries_the_next_target_and_remembers_it)
{
	struct rig rig;

	rig_open(&rig, SOCK_STREAM, 2);
	rig_add_socket(&rig, SOCKET_TCP4);
	rig_add_socket(&rig, SOCKET_TCP4);
	rig_add_client(&rig);
	rig_turns(&rig, 1);
	fake_answer(OP_TCP_CONNECT, -ECONNREFUSED, 0);
	rig_turns(&rig, 1);
	cr_expect_eq(rig_count(&rig, COUNT_RETRIES), 1);
	fake_answer(OP_TCP_CONNECT, 0, 0);
	rig_turns(&rig, 1);
	cr_expect_eq(rig.share->preferred_targets[ROUTE_LOCAL][0], 1);
	cr_expect_eq(rig_count(&rig, COUNT_REFUSED) + rig_count(&rig, COUNT_FAILED), 0);
	rig_close(&rig, "next target");
}

Test(flow_ends, names_its_client_in_the_proxy_header)
{
	struct rig rig;
	struct rk_addr client;
	socklen_t size = sizeof(client);
	char expected[PROXY_HEADER_MAX], header[PROXY_HEADER_MAX] = "";

	rig_open(&rig, SOCK_STREAM, 1);
	rig.share->forward.proxy_protocol = PROXY_PROTOCOL_V1;
	rig_open_tcp_flow(&rig);
	getsockname(rig.peers[1], &client.sa, &size);
	snprintf(expected, sizeof(expected), "PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\n",
		addr_port(&client), addr_port(&rig.share->listeners[0].addr));
	cr_expect_gt(recv(rig.peers[0], header, sizeof(header) - 1, MSG_DONTWAIT), 0);
	cr_expect_str_eq(header, expected);
	rig_close(&rig, "proxy header");
}

// It had gone before it could be asked who it is.
Test(flow_ends, names_no_unknown_client_in_the_proxy_header)
{
	struct rig rig;
	char byte;

	rig_open(&rig, SOCK_STREAM, 1);
	rig.share->forward.proxy_protocol = PROXY_PROTOCOL_V2;
	rig_add_socket(&rig, SOCKET_TCP4);
	rig_add_client(&rig);
	close(rig.peers[--rig.peer_count]); // with a reset
	rig_turns(&rig, 1);
	fake_answer(OP_TCP_CONNECT, 0, 0);
	rig_turns(&rig, 2);
	cr_expect_eq(rig_flows(&rig), 0);
	cr_expect_eq(rig_count(&rig, COUNT_FAILED), 1);
	cr_expect_eq(recv(rig.peers[0], &byte, 1, MSG_DONTWAIT), -1);
	cr_expect_eq(errno, ECONNRESET);
	rig_close(&rig, "proxy header of nobody");
}

// A flow that waits for a socket, or for its connection, ends when the time is over.
Test(flow_ends, gives_up_after_the_connect_timeout)
{
	for (unsigned sockets = 0; sockets < 2; sockets++) {
		struct rig rig;

		rig_open(&rig, SOCK_STREAM, 1);
		if (sockets)
			rig_add_socket(&rig, SOCKET_TCP4);
		rig_add_client(&rig);
		rig_turns(&rig, 1);
		cr_expect_eq(rig_count(&rig, COUNT_SOCKET_WAITS), 1 - sockets);
		rig_expire(&rig, TIMER_CONNECT);
		rig_turns(&rig, 3);
		cr_expect_eq(rig_flows(&rig), 0);
		cr_expect_eq(rig_count(&rig, COUNT_FAILED), 1);
		cr_expect_eq(rig_count(&rig, COUNT_TIMED_OUT), 1);
		rig_close(&rig, "connect timeout");
	}
}

// The time that it waited for a socket, or that one target took, is not given back.
Test(flow_ends, has_one_connect_timeout_for_all_that_it_tries)
{
	for (unsigned sockets = 0; sockets < 2; sockets++) {
		struct rig rig;

		rig_open(&rig, SOCK_STREAM, 2);
		for (unsigned i = 0; i < 2 * sockets; i++)
			rig_add_socket(&rig, SOCKET_TCP4);
		rig_add_client(&rig);
		rig_turns(&rig, 1);
		rig_expire(&rig, TIMER_CONNECT);
		if (sockets) {
			fake_answer(OP_TCP_CONNECT, -EHOSTUNREACH, 0);
		} else {
			rig_add_socket(&rig, SOCKET_TCP4);
			tcp_pool_filled(&rig.worker, SOCKET_TCP4);
		}
		rig_turns(&rig, 3);
		cr_expect_eq(rig_flows(&rig), 0);
		cr_expect_eq(rig_count(&rig, COUNT_TIMED_OUT), 1);
		rig_close(&rig, "one timeout");
	}
}

// Both in one turn: the flow's receive found no buffer, and the child refused what was sent.
Test(flow_ends, udp_refusal_of_a_flow_that_waits_for_a_buffer)
{
	for (unsigned targets = 1; targets <= 2; targets++) {
		for (unsigned sockets = 1; sockets <= 2; sockets++) {
			struct rig rig;

			rig_open(&rig, SOCK_DGRAM, targets);
			for (unsigned i = 0; i < sockets; i++)
				rig_add_socket(&rig, SOCKET_UDP4);
			rig_add_datagram(1);
			rig.clients++;
			rig_turns(&rig, 1);
			fake_answer(OP_UDP_RECEIVE, -ENOBUFS, 0);
			fake_answer(OP_UDP_SEND, -ECONNREFUSED, 0);
			rig_turns(&rig, 2);
			cr_expect_eq(rig_flows(&rig), targets - 1);
			cr_expect_eq(rig_count(&rig, COUNT_REFUSED), 1);
			rig_close(&rig, "refused without a buffer");
		}
	}
}

// --- listeners

// Where the accept that delivered a bogus number is noticed: its child refuses, its child never
// answers, no socket comes, no flow is free, or its first receive fails.
enum noticed { BY_REFUSAL, BY_TIMEOUT, WITHOUT_SOCKET, WITHOUT_ROOM, BY_RECEIVE, NOTICED_COUNT };

static void accept_bogus(struct rig *rig, int bogus, enum noticed noticed)
{
	if (noticed == WITHOUT_ROOM)
		rig->worker.flow_limit = 0;
	else if (noticed != WITHOUT_SOCKET)
		rig_add_socket(rig, SOCKET_TCP4);
	rig_accept(rig, bogus);
	rig_turns(rig, 1);
	if (fake_find(OP_TCP_CONNECT) && noticed == BY_REFUSAL)
		fake_answer(OP_TCP_CONNECT, -ECONNREFUSED, 0);
	else if (fake_find(OP_TCP_CONNECT) && noticed == BY_RECEIVE)
		fake_answer(OP_TCP_CONNECT, 0, 0);
	rig_turns(rig, 1);
	if (fake_find(OP_TCP_RECEIVE_IN))
		fake_answer(OP_TCP_RECEIVE_IN, -ENOTSOCK, 0);
	rig_expire(rig, TIMER_CONNECT);
	rig_turns(rig, 3);
	cr_expect_eq(rig_flows(rig), 0);
}

Test(flow_ends, a_bogus_descriptor_is_not_closed_and_ends_multishot_accept)
{
	for (unsigned noticed = 0; noticed < NOTICED_COUNT; noticed++) {
		for (unsigned opened = 0; opened < 2; opened++) {
			int bogus = opened ? eventfd(0, EFD_CLOEXEC) : 1000;
			struct rig rig;
			char about[40];

			snprintf(about, sizeof(about), "bogus %s, noticed %u",
				opened ? "eventfd" : "number", noticed);
			rig_open(&rig, SOCK_STREAM, 1);
			cr_expect_not(fake_find(OP_ACCEPT)->once);
			accept_bogus(&rig, bogus, (enum noticed)noticed);
			if (opened)
				cr_expect_geq(fcntl(bogus, F_GETFD), 0, "%s: closed", about);
			cr_expect(rig.worker.accept_singly, "%s: not noticed", about);
			if (noticed != WITHOUT_ROOM)
				cr_expect(fake_find(OP_ACCEPT)->once, "%s: multishot", about);
			rig_close(&rig, about);
			if (opened)
				close(bogus);
		}
	}
}

// --- what comes too late

// Thousands of clients leave at once: no flow has the kernel search among the operations of all.
Test(flow_ends, a_flow_that_ends_cancels_its_own_operations_alone)
{
	struct rig rig;

	rig_open(&rig, SOCK_STREAM, 1);
	rig_open_tcp_flow(&rig);
	fake_answer_bytes(fake_index_of(OP_TCP_RECEIVE_IN), 1000, RING_MORE);
	fake_answer(OP_TCP_RECEIVE_OUT, 0, 0);
	rig_turns(&rig, 1);
	rig_expire(&rig, TIMER_HALF_CLOSED);
	rig_turns(&rig, 1);
	rig_add_socket(&rig, SOCKET_TCP4);
	rig_add_client(&rig);
	rig_turns(&rig, 1);
	// One of each kind.
	cr_assert(fake_find(OP_TCP_RECEIVE_IN) && fake_find(OP_TCP_SEND_IN));
	cr_assert(fake_find(OP_TCP_WATCH_OUT) && fake_find(OP_TCP_CONNECT));
	tcp_reset_all(&rig.worker);
	rig_turns(&rig, 1);
	cr_expect_eq(rig_flows(&rig), 0);
	cr_expect_eq(fake_searches(), 0);
	rig_close(&rig, "many");
}

Test(flow_ends, drops_and_counts_completions_of_a_former_life)
{
	const uint32_t former = 2; // even: free
	struct rig rig;
	unsigned count = 0;

	rig_open(&rig, SOCK_STREAM, 1);
	rig_open_tcp_flow(&rig);
	for (unsigned operation = OP_TCP_CONNECT; operation <= OP_TCP_WATCH_OUT;
		operation++, count++)
		fake_complete(tag_make((uint8_t)operation, former, 0), -ECANCELED);
	fake_complete(tag_make(OP_UDP_RECEIVE, former, 0), -ECANCELED);
	fake_complete(tag_make(OP_UDP_SEND_EMPTY, former, 0), 0);
	fake_complete(tag_make(OP_UDP_LISTENER, 12345, 0), -ECANCELED);
	fake_complete(tag_make(OP_ACCEPT, 12345, 0), dup(rig.peers[0])); // of a port long gone
	rig_turns(&rig, 1);
	cr_expect_eq(rig.worker.stale_completions, count + 4);
	cr_expect_eq(rig_flows(&rig), 1);
	rig.worker.stale_completions = 0;
	rig_close(&rig, "stale");
}

Test(flow_ends, a_broken_ring_ends_the_turn_and_the_drain)
{
	struct rig rig;

	rig_open(&rig, SOCK_STREAM, 1);
	rig_open_tcp_flow(&rig);
	fake_wait_error = -EIO;
	cr_expect_eq(worker_turn(&rig.worker), -EIO);
	worker_drain(&rig.worker);
	fake_wait_error = 0;
	rig_close(&rig, "broken");
}
