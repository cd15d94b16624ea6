// test_ring.c: the ring interface: opening, waiting, accept, connect, poll, cancel, close; every
// test runs on io_uring and on epoll.

#include "tests/unit/ring_support.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// --- opening and waiting

RING_TEST(names_its_implementation)
{
	ring_test_open(mode);
	cr_assert_str_eq(ring_name(test_ring), *mode == IO_EPOLL ? "epoll" : "io_uring");
	ring_close(test_ring);
}

static int64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

RING_TEST(waits_until_the_time_is_over)
{
	int64_t start = now_ms();

	ring_test_open(mode);
	ring_test_wait(60);
	cr_expect_geq(now_ms() - start, 59);
	cr_expect_eq(ring_test_seen(), 0);
	ring_close(test_ring);
}

static void forbid_io_uring(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(ring_fallback, runs_on_epoll_where_io_uring_is_forbidden)
{
	struct rk_ring_options options = ring_test_options(IO_AUTO);
	int64_t start = now_ms();

	forbid_io_uring();
	cr_assert_eq(ring_open(&test_ring, &options), 0);
	cr_expect_lt(now_ms() - start, 5000); // it does not wait for a better time
	cr_expect_str_eq(ring_name(test_ring), "epoll");
	ring_close(test_ring);
	options.io = IO_URING;
	cr_expect_eq(ring_open(&test_ring, &options), -EPERM);
}

// --- accept and connect

RING_TEST(accepts_many_and_connects)
{
	struct rk_addr addr;
	int listener = ring_test_open_listener(&addr);

	ring_test_open(mode);
	ring_accept(test_ring, listener, false, TAG_READ);
	for (int i = 0; i < 3; i++) {
		int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct rk_completion accepted, connected;

		ring_connect(test_ring, client, &addr, TAG_WRITE);
		connected = ring_test_next(TAG_WRITE);
		cr_assert_eq(connected.result, 0, "%s", strerror(-connected.result));
		accepted = ring_test_next(TAG_READ);
		cr_assert_geq(accepted.result, 0);
		cr_expect(accepted.flags & RING_MORE);
		cr_expect(fcntl(accepted.result, F_GETFD) & FD_CLOEXEC);
		close(accepted.result);
		close(client);
	}
	ring_cancel(test_ring, listener, TAG_CANCEL);
	cr_expect_eq(ring_test_next(TAG_READ).result, -ECANCELED);
	ring_test_next(TAG_CANCEL);
	ring_close(test_ring);
	close(listener);
}

RING_TEST(accepts_one_when_asked_for_one)
{
	struct rk_addr addr;
	int listener = ring_test_open_listener(&addr);
	int clients[2] = {ring_test_open_client(&addr), ring_test_open_client(&addr)};

	ring_test_open(mode);
	for (int i = 0; i < 2; i++) {
		struct rk_completion accepted;

		ring_accept(test_ring, listener, true, TAG_READ);
		accepted = ring_test_next(TAG_READ);
		cr_assert_geq(accepted.result, 0);
		cr_expect_not(accepted.flags & RING_MORE);
		ring_test_expect_none(TAG_READ);
		close(accepted.result);
		close(clients[i]);
	}
	ring_close(test_ring);
	close(listener);
}

RING_TEST(reports_a_refused_connect)
{
	struct rk_addr addr;
	int refusing = ring_test_open_bound(SOCK_STREAM, &addr);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ring_test_open(mode);
	ring_connect(test_ring, client, &addr, TAG_WRITE);
	cr_expect_eq(ring_test_next(TAG_WRITE).result, -ECONNREFUSED);
	ring_close(test_ring);
	close(client);
	close(refusing);
}

// --- poll, cancel, close

RING_TEST(polls_again_and_again)
{
	char byte;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ring_test_open(mode);
	ring_poll(test_ring, pair[0], POLLIN, TAG_POLL);
	ring_test_expect_none(TAG_POLL);
	for (int i = 0; i < 3; i++) {
		struct rk_completion completion;

		cr_assert_eq(write(pair[1], "x", 1), 1);
		completion = ring_test_next(TAG_POLL);
		cr_expect(completion.result & POLLIN);
		cr_assert(completion.flags & RING_MORE);
		cr_assert_eq(read(pair[0], &byte, 1), 1);
	}
	close(pair[1]);
	cr_expect(ring_test_next(TAG_POLL).result & POLLHUP);
	ring_close(test_ring);
}

RING_TEST(polls_what_holds_already)
{
	int pair[2];

	ring_test_open_tcp_pair(pair);
	ring_test_open(mode);
	ring_receive(test_ring, pair[0], LIMIT, TAG_READ);
	ring_test_wait(20);
	ring_poll(test_ring, pair[0], POLLOUT, TAG_POLL);
	cr_expect(ring_test_next(TAG_POLL).result & POLLOUT);
	ring_close(test_ring);
}

RING_TEST(cancels_all_that_is_pending)
{
	static unsigned char data[8 << 20];
	const struct iovec iov = {data, sizeof(data)};
	int pair[2];

	ring_test_open_tcp_pair(pair);
	ring_test_open(mode);
	ring_receive(test_ring, pair[0], LIMIT, TAG_READ);
	ring_poll(test_ring, pair[0], POLLIN, TAG_POLL);
	ring_send(test_ring, pair[0], &iov, 1, SEND_ALL, TAG_WRITE);
	ring_test_expect_none(TAG_WRITE);
	ring_cancel(test_ring, pair[0], TAG_CANCEL);
	cr_expect_eq(ring_test_next(TAG_READ).result, -ECANCELED);
	cr_expect_eq(ring_test_next(TAG_POLL).result, -ECANCELED);
	cr_expect_lt(ring_test_next(TAG_WRITE).result, (int)sizeof(data));
	ring_test_next(TAG_CANCEL);
	ring_test_write_pattern(pair[1], 10, 0);
	ring_test_expect_none(TAG_READ);
	ring_test_expect_none(TAG_POLL);
	ring_close(test_ring);
}

RING_TEST(closes_and_uses_the_number_again)
{
	for (int round = 0; round < 3; round++) {
		struct rk_completion completion;
		int pair[2];
		char byte;

		if (round == 0)
			ring_test_open(mode);
		ring_test_open_pair(pair);
		ring_test_write_pattern(pair[0], 10, 0);
		completion = ring_test_next_received(pair[1], LIMIT);
		cr_expect_eq(ring_test_consume(&completion, 0), 10);
		if (!test_receiving)
			ring_receive(test_ring, pair[1], LIMIT, TAG_READ);
		ring_cancel(test_ring, pair[1], TAG_CANCEL);
		cr_expect_eq(ring_test_next(TAG_READ).result, -ECANCELED);
		test_receiving = false;
		ring_close_fd(test_ring, pair[1], TAG_CLOSE);
		cr_expect_eq(ring_test_next(TAG_CLOSE).result, 0);
		cr_expect_eq(read(pair[0], &byte, 1), 0);
		close(pair[0]);
	}
	ring_close(test_ring);
}

RING_TEST(cancels_one_operation_and_leaves_the_others)
{
	int pair[2];

	ring_test_open(mode);
	ring_test_open_pair(pair);
	ring_receive(test_ring, pair[1], LIMIT, TAG_READ);
	ring_poll(test_ring, pair[1], POLLIN, TAG_POLL);
	ring_test_expect_none(TAG_POLL);
	ring_cancel_one(test_ring, pair[1], TAG_WRITE, TAG_CANCEL);
	cr_expect_eq(ring_test_next(TAG_CANCEL).result, -ENOENT);
	ring_cancel_one(test_ring, pair[1], TAG_READ, TAG_CANCEL);
	cr_expect_eq(ring_test_next(TAG_READ).result, -ECANCELED);
	ring_test_next(TAG_CANCEL);
	ring_test_write_pattern(pair[0], 10, 0);
	cr_expect_gt(ring_test_next(TAG_POLL).result, 0, "the poll goes on");
	ring_close(test_ring);
	close(pair[0]);
	close(pair[1]);
}

// The two polls of a flow's sockets that become ready in the same turn: the first ends both.
struct polls {
	int fds[2];
	bool cancelled, ended[2], late;
};

static void end_polls(void *context, const struct rk_completion *completion)
{
	struct polls *polls = context;
	unsigned which = (unsigned)completion->tag - TAG_POLL;

	if (which > 1)
		return;
	polls->late |= polls->ended[which];
	polls->ended[which] |= !(completion->flags & RING_MORE);
	for (unsigned i = 0; i < 2 && !polls->cancelled; i++)
		ring_cancel_one(test_ring, polls->fds[i], TAG_POLL + i, 0);
	polls->cancelled = true;
}

RING_TEST(a_poll_that_is_cancelled_in_the_turn_of_its_event_says_nothing_behind_its_end)
{
	int pairs[2][2];
	struct polls polls = {0};

	ring_test_open(mode);
	for (unsigned i = 0; i < 2; i++) {
		ring_test_open_pair(pairs[i]);
		polls.fds[i] = pairs[i][1];
		ring_receive(test_ring, pairs[i][1], LIMIT, TAG_READ);
		ring_poll(test_ring, pairs[i][1], POLLIN, TAG_POLL + i);
	}
	ring_test_expect_none(TAG_POLL);
	for (unsigned i = 0; i < 2; i++)
		ring_test_write_pattern(pairs[i][0], 10, 0);
	for (unsigned turn = 0; turn < 5; turn++)
		cr_assert_eq(ring_wait(test_ring, 20, end_polls, &polls), 0);
	cr_expect(polls.ended[0] && polls.ended[1]);
	cr_expect_not(polls.late, "a completion behind the last one");
	ring_close(test_ring);
}

// Listeners and channels are closed by their owner once nothing is pending on them.
RING_TEST(forgets_a_descriptor_that_its_owner_closes)
{
	struct rk_completion completion;
	int first[2], second[2];

	ring_test_open(mode);
	ring_test_open_pair(first);
	ring_poll(test_ring, first[1], POLLIN, TAG_POLL);
	ring_test_expect_none(TAG_POLL);
	ring_cancel(test_ring, first[1], TAG_CANCEL);
	cr_expect_eq(ring_test_next(TAG_POLL).result, -ECANCELED);
	close(first[0]);
	close(first[1]);
	ring_test_open_pair(second);
	cr_assert_eq(second[1], first[1]);
	ring_receive(test_ring, second[1], LIMIT, TAG_READ);
	ring_test_write_pattern(second[0], 10, 0);
	completion = ring_test_next(TAG_READ);
	cr_expect_eq(ring_test_consume(&completion, 0), 10);
	ring_close(test_ring);
}

// A table of descriptors is as large as the limit was.
RING_TEST(closes_a_descriptor_that_came_with_a_higher_limit)
{
	struct rlimit limit;
	int fd;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 1024;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ring_test_open(mode);
	limit.rlim_cur = limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 1025);
	cr_assert_geq(fd, 1025, "a hard limit of 1024 files is too low for this test");
	ring_close_fd(test_ring, fd, TAG_CLOSE);
	cr_expect_eq(ring_test_next(TAG_CLOSE).result, 0);
	cr_expect_eq(fcntl(fd, F_GETFD), -1);
	ring_close(test_ring);
}
