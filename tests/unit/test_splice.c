// test_splice.c: a flow that splices, step by step: how it begins, waits, ends and goes back to
// copying. The ring is a fake, the sockets and pipes are real.

#include "tests/unit/worker_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define FIRST 20000 // bytes that are copied before the flow counts as one in bulk

static unsigned char pattern[32 << 20];

static int server_of(const struct rig *rig)
{
	return rig->peers[0];
}

static int client_of(const struct rig *rig)
{
	return rig->peers[1];
}

// A flow whose direction to the server splices. The fake ring sends nothing to the server.
static void open_splicing(struct rig *rig)
{
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (unsigned char)(i * 7 + i / 251);
	rig_open(rig, SOCK_STREAM, 1);
	bulk_open(&rig->worker.bulk, BULK_MODE_SPLICE, 2);
	rig->worker.bulk.after = 1;
	rig_open_tcp_flow(rig);
	fake_answer_bytes(fake_index_of(OP_TCP_RECEIVE_IN), FIRST, 0);
	rig_turns(rig, 1);
	cr_assert_null(fake_find(OP_TCP_RECEIVE_IN), "it still receives");
	cr_assert_not_null(fake_find(OP_TCP_WATCH_IN));
	cr_assert_not_null(fake_find(OP_TCP_WATCH_OUT));
}

static void first_bytes_are_out(struct rig *rig)
{
	fake_answer(OP_TCP_SEND_IN, FIRST, 0);
	rig_turns(rig, 1);
}

// Says that the client's socket, or the server's, is ready for `events`.
static void ready(struct rig *rig, enum rk_operation watch, int events)
{
	fake_answer(watch, events, RING_MORE);
	rig_turns(rig, 1);
}

static size_t client_writes(const struct rig *rig, size_t at, size_t length)
{
	ssize_t sent = send(client_of(rig), pattern + at, length, MSG_DONTWAIT);

	cr_assert_gt(sent, 0);
	return (size_t)sent;
}

// What has arrived, which must continue the pattern at `at`.
static size_t server_reads(const struct rig *rig, size_t at)
{
	static unsigned char bytes[sizeof(pattern)];
	size_t total = 0;
	ssize_t length;

	while ((length = recv(server_of(rig), bytes + total, sizeof(bytes) - total, MSG_DONTWAIT)) >
		0)
		total += (size_t)length;
	cr_expect_eq(memcmp(bytes, pattern + at, total), 0, "bytes differ behind %zu", at);
	return total;
}

static unsigned pipes_lent(const struct rig *rig)
{
	return rig->worker.bulk.pipe_count - rig->worker.bulk.free_count;
}

Test(splice, what_was_copied_goes_first)
{
	struct rig rig;

	open_splicing(&rig);
	client_writes(&rig, 0, 5000);
	ready(&rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT);
	cr_expect_eq(server_reads(&rig, 0), 0, "it overtook what is being sent");
	first_bytes_are_out(&rig);
	cr_expect_eq(server_reads(&rig, 0), 5000);
	client_writes(&rig, 5000, 100000);
	ready(&rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT);
	cr_expect_eq(server_reads(&rig, 5000), 100000);
	cr_expect_eq(rig_count(&rig, COUNT_BYTES_IN), FIRST + 105000);
	rig_close(&rig, "copied first");
}

Test(splice, the_end_comes_behind_the_last_byte_and_gives_the_pipe_back)
{
	struct rig rig;
	char byte;

	open_splicing(&rig);
	first_bytes_are_out(&rig);
	client_writes(&rig, 0, 70000);
	shutdown(client_of(&rig), SHUT_WR);
	ready(&rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT | POLLRDHUP);
	cr_expect_eq(server_reads(&rig, 0), 70000);
	cr_expect_eq(recv(server_of(&rig), &byte, 1, MSG_DONTWAIT), 0, "no end of the stream");
	cr_expect_eq(pipes_lent(&rig), 0);
	rig_turns(&rig, 1);
	cr_expect_null(fake_find(OP_TCP_WATCH_OUT), "nobody waits for it any more");
	rig_close(&rig, "the end");
}

// Writes until the server's socket and the pipe are full; returns how much that was.
static size_t fill(struct rig *rig)
{
	size_t total = 0;
	ssize_t sent;

	do {
		sent = send(client_of(rig), pattern + total, 50000, MSG_DONTWAIT);
		total += sent > 0 ? (size_t)sent : 0;
		ready(rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT);
	} while (sent > 0 && total + 50000 < sizeof(pattern));
	return total;
}

Test(splice, a_full_destination_is_waited_for)
{
	struct rig rig;
	struct pollfd server;
	size_t total, read, moved;

	open_splicing(&rig);
	first_bytes_are_out(&rig);
	server = (struct pollfd){.fd = server_of(&rig), .events = POLLIN};
	total = fill(&rig);
	cr_assert_lt(rig_count(&rig, COUNT_BYTES_IN), FIRST + total, "it was never full");
	moved = rig_count(&rig, COUNT_BYTES_IN);
	read = server_reads(&rig, 0);
	ready(&rig, OP_TCP_WATCH_OUT, POLLOUT);
	cr_expect_gt(rig_count(&rig, COUNT_BYTES_IN), moved, "room alone does not wake it");
	for (unsigned i = 0; i < 10000 && read < total; i++) {
		ready(&rig, OP_TCP_WATCH_OUT, POLLOUT);
		ready(&rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT);
		poll(&server, 1, 1000);
		read += server_reads(&rig, read);
	}
	cr_expect_eq(read, total, "%zu of %zu", read, total);
	rig_close(&rig, "full");
}

Test(splice, a_flow_that_has_more_to_move_goes_on_by_itself_and_is_forgotten_when_reset)
{
	struct rig rig;
	size_t total;

	open_splicing(&rig);
	first_bytes_are_out(&rig);
	total = client_writes(&rig, 0, 400000);
	// Its part of a turn is small: others talk, and many are in bulk.
	rig.worker.turn = (struct rk_turn){.talk = 9, .bulk_before = 100};
	ready(&rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT);
	cr_expect(tcp_splice_wanted(&rig.worker));
	cr_expect_lt(rig_count(&rig, COUNT_BYTES_IN), FIRST + total);
	rig_turns(&rig, 10);
	cr_expect_eq(server_reads(&rig, 0), total);
	client_writes(&rig, total, 300000);
	rig.worker.turn = (struct rk_turn){.talk = 9, .bulk_before = 100};
	ready(&rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT);
	cr_expect(tcp_splice_wanted(&rig.worker));
	tcp_reset_all(&rig.worker);
	cr_expect_not(tcp_splice_wanted(&rig.worker));
	rig_close(&rig, "more to move");
}

Test(splice, a_flow_that_says_little_goes_back_to_copying)
{
	struct rig rig;
	size_t at = 0;

	open_splicing(&rig);
	first_bytes_are_out(&rig);
	for (unsigned i = 0; i < 8; i++, at += 10) {
		cr_expect_null(fake_find(OP_TCP_RECEIVE_IN), "after %u", i);
		client_writes(&rig, at, 10);
		ready(&rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT);
		cr_expect_eq(server_reads(&rig, at), 10);
	}
	cr_expect_eq(pipes_lent(&rig), 0);
	rig_turns(&rig, 1);
	cr_expect_not_null(fake_find(OP_TCP_RECEIVE_IN));
	cr_expect_null(fake_find(OP_TCP_WATCH_IN), "a poll is left");
	cr_expect_null(fake_find(OP_TCP_WATCH_OUT), "a poll is left");
	cr_expect_eq(rig_flows(&rig), 1);
	rig_close(&rig, "little");
}

// The poll that the first time began is being cancelled when the second time wants it.
Test(splice, a_flow_may_splice_again_before_its_polls_are_gone)
{
	struct rig rig;

	open_splicing(&rig);
	first_bytes_are_out(&rig);
	fake_hold_cancelled = true;
	for (unsigned i = 0; i < 8; i++) {
		client_writes(&rig, 10 * i, 10);
		ready(&rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT);
	}
	cr_assert_eq(server_reads(&rig, 0), 80);
	fake_answer_bytes(fake_index_of(OP_TCP_RECEIVE_IN), FIRST, 0);
	rig_turns(&rig, 1);
	cr_expect_eq(pipes_lent(&rig), 1);
	first_bytes_are_out(&rig);
	fake_answer(OP_TCP_WATCH_IN, -ECANCELED, 0);
	fake_answer(OP_TCP_WATCH_OUT, -ECANCELED, 0);
	rig_turns(&rig, 1);
	cr_assert_eq(rig_flows(&rig), 1);
	cr_assert_not_null(fake_find(OP_TCP_WATCH_IN), "nobody polls");
	client_writes(&rig, 80, 5000);
	ready(&rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT);
	cr_expect_eq(server_reads(&rig, 80), 5000);
	rig_close(&rig, "again");
}

// What it waited for is no longer needed: a receive beside the pipe would mix up the bytes.
Test(splice, a_flow_that_waits_for_a_buffer_when_it_begins_receives_none)
{
	struct rig rig;

	rig_open(&rig, SOCK_STREAM, 1);
	bulk_open(&rig.worker.bulk, BULK_MODE_SPLICE, 2);
	rig.worker.bulk.after = 2 * FIRST;
	rig_open_tcp_flow(&rig);
	for (unsigned i = 0; i < 2; i++)
		fake_answer_bytes(fake_index_of(OP_TCP_RECEIVE_IN), FIRST, RING_MORE);
	rig_turns(&rig, 1);
	fake_answer(OP_TCP_RECEIVE_IN, -ENOBUFS, 0);
	first_bytes_are_out(&rig);
	cr_assert_eq(pipes_lent(&rig), 1);
	rig_turns(&rig, 1);
	cr_expect_null(fake_find(OP_TCP_RECEIVE_IN), "it receives and splices");
	rig_close(&rig, "waits for a buffer");
}

Test(splice, a_flow_that_finds_no_pipe_goes_on_as_it_was)
{
	struct rig rig;

	rig_open(&rig, SOCK_STREAM, 1);
	rig.worker.bulk.after = 1;
	rig.worker.bulk.way = BULK_SPLICE;
	rig_open_tcp_flow(&rig);
	fake_answer_bytes(fake_index_of(OP_TCP_RECEIVE_IN), FIRST, 0);
	rig_turns(&rig, 1);
	cr_assert_not_null(fake_find(OP_TCP_RECEIVE_IN));
	cr_expect_not(fcntl(fake_find(OP_TCP_RECEIVE_IN)->fd, F_GETFL) & O_NONBLOCK);
	rig_close(&rig, "no pipe");
}

// splice(2) never gets past such a byte, which receives leave out.
Test(splice, a_byte_of_urgent_data_is_no_end)
{
	struct rig rig;

	for (unsigned with_end = 0; with_end < 2; with_end++) {
		open_splicing(&rig);
		first_bytes_are_out(&rig);
		client_writes(&rig, 0, 3000);
		cr_assert_eq(send(client_of(&rig), "!", 1, MSG_OOB), 1);
		client_writes(&rig, 3000, 3000);
		if (with_end)
			shutdown(client_of(&rig), SHUT_WR);
		ready(&rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT);
		cr_expect_eq(server_reads(&rig, 0), 3000);
		cr_expect_not_null(fake_find(OP_TCP_RECEIVE_IN), "it waits for ever");
		cr_expect_eq(pipes_lent(&rig), 0);
		rig_close(&rig, "urgent data");
	}
}

Test(splice, a_reset_comes_behind_the_bytes_before_it)
{
	struct rig rig;
	struct linger reset = {.l_onoff = 1};
	char byte;

	open_splicing(&rig);
	first_bytes_are_out(&rig);
	client_writes(&rig, 0, 3000);
	setsockopt(client_of(&rig), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(client_of(&rig));
	rig.peer_count = 1;
	ready(&rig, OP_TCP_WATCH_IN, POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP);
	cr_expect_eq(rig_count(&rig, COUNT_BYTES_IN), FIRST + 3000);
	cr_expect_eq(rig_count(&rig, COUNT_RESET_BY_CLIENT), 1);
	rig_turns(&rig, 3);
	cr_expect_eq(rig_flows(&rig), 0);
	while (recv(server_of(&rig), &byte, 1, MSG_DONTWAIT) > 0)
		;
	cr_expect_eq(errno, ECONNRESET);
	rig_close(&rig, "reset");
}
