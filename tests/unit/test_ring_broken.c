// test_ring_broken.c: io_uring where the kernel refuses to take what was asked for. A filter of
// system calls does that, for the process of one test.

#include "tests/unit/ring_support.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 64 // of ring_test_options()

// From now on io_uring_enter() fails when it is to wait for that many completions: 1 is
// ring_wait(), 0 is the submission that makes room in a full queue.
static void fail_enter(unsigned wanted, unsigned error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_enter, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wanted, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void count_completion(void *context, const struct rk_completion *completion)
{
	(void)completion;
	++*(unsigned *)context;
}

Test(ring_broken, a_full_queue_that_cannot_be_submitted_breaks_the_ring, .timeout = 10)
{
	struct rk_addr addr;
	unsigned completions = 0;
	int pair[2];

	ring_test_open_pair(pair);
	cr_assert_eq(addr_parse(&addr, "127.0.0.1", 9, 9), 0);
	ring_test_open(&ring_test_modes[0]);
	fail_enter(0, EIO);
	for (unsigned i = 0; i < 4 * ENTRIES; i++) {
		ring_poll(test_ring, pair[0], POLLIN, TAG_POLL);
		ring_connect(test_ring, pair[0], &addr, TAG_WRITE); // with memory of its own
	}
	cr_expect_eq(ring_wait(test_ring, 0, count_completion, &completions), -EIO);
	cr_expect_eq(ring_wait(test_ring, 0, count_completion, &completions), -EIO);
	cr_expect_geq(completions, ENTRIES / 2, "what the queue held was lost");
	ring_close(test_ring);
}

// The memory of what the kernel has not seen is not given to the next operation.
Test(ring_broken, a_failed_submission_keeps_the_addresses_of_its_operations)
{
	struct rk_addr addrs[2], reached;
	socklen_t length = sizeof(reached);
	unsigned completions = 0;
	int clients[2];

	for (unsigned i = 0; i < 2; i++) {
		ring_test_open_listener(&addrs[i]);
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
	ring_test_open(&ring_test_modes[0]);
	fail_enter(1, EAGAIN);
	ring_connect(test_ring, clients[0], &addrs[0], TAG_READ);
	cr_expect_eq(ring_wait(test_ring, 0, count_completion, &completions), 0);
	ring_connect(test_ring, clients[1], &addrs[1], TAG_WRITE);
	// The full queue is submitted.
	for (unsigned i = 0; i < ENTRIES; i++)
		ring_cancel(test_ring, clients[0], TAG_CANCEL);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(getpeername(clients[i], &reached.sa, &length), 0);
		cr_expect_eq(addr_port(&reached), addr_port(&addrs[i]), "client %u", i);
	}
	ring_close(test_ring);
}
