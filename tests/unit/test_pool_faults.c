// test_pool_faults.c: a helper that makes no sockets, or is gone, while a client waits for one.

#include "base/msg.h"
#include "tests/unit/worker_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// How many TCP sockets the worker has asked for since the last time.
static unsigned asked_for(int helper)
{
	struct rk_message message;
	unsigned count = 0;

	while (msg_receive(helper, &message) == 1)
		if (message.pool.kind == SOCKET_TCP4)
			count += message.pool.count;
	return count;
}

static void answer(int helper, int error, const int *fds, unsigned count)
{
	struct rk_msg_pool sockets = {.kind = SOCKET_TCP4, .count = count, .error = error};

	cr_assert_eq(msg_send(helper, MSG_POOL_SOCKETS, &sockets, sizeof(sockets), fds, count), 0);
	fake_answer(OP_HELPER, POLLIN, RING_MORE);
}

// Opens a worker with a helper and a client that waits for its socket.
static int open_waiting(struct rig *rig)
{
	int helper;

	rig_open(rig, SOCK_STREAM, 1);
	helper = rig_add_helper(rig);
	cr_expect_eq(asked_for(helper), 4); // pool_size
	rig_add_client(rig);
	rig_turns(rig, 1);
	cr_expect_eq(rig_count(rig, COUNT_SOCKET_WAITS), 1);
	return helper;
}

Test(pool_faults, a_client_that_waits_gets_the_first_socket)
{
	struct rig rig;
	int helper = open_waiting(&rig);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	answer(helper, 0, &fd, 1);
	close(fd);
	rig_turns(&rig, 1);
	cr_expect_not_null(fake_find(OP_TCP_CONNECT));
	rig_close(&rig, "first socket");
}

// The client ends with the helper's error; later the pool asks again and serves the next one.
Test(pool_faults, a_helper_out_of_descriptors_is_asked_again)
{
	struct rig rig;
	int helper = open_waiting(&rig);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	answer(helper, EMFILE, NULL, 0);
	rig_turns(&rig, 2);
	cr_expect_eq(rig_flows(&rig), 0);
	cr_expect_eq(rig_count(&rig, COUNT_FAILED), 1);
	cr_expect_eq(asked_for(helper), 4); // for the client, at once
	answer(helper, EMFILE, NULL, 0);
	rig_turns(&rig, 1);
	cr_expect_eq(asked_for(helper), 0);
	rig_expire(&rig, TIMER_POOL);
	rig_turns(&rig, 1);
	cr_expect_eq(asked_for(helper), 4);
	answer(helper, 0, &fd, 1);
	close(fd);
	rig_turns(&rig, 1);
	rig_add_client(&rig);
	rig_turns(&rig, 1);
	cr_expect_not_null(fake_find(OP_TCP_CONNECT));
	rig_close(&rig, "helper out of descriptors");
}

// The control thread is told; the client waits for the next helper.
Test(pool_faults, a_client_outlives_its_helper)
{
	struct rig rig;
	int helper = open_waiting(&rig);
	uint64_t told = 0;

	shutdown(helper, SHUT_RDWR);
	fake_answer(OP_HELPER, POLLIN | POLLHUP, RING_MORE);
	rig_turns(&rig, 2);
	cr_expect_eq(read(rig.worker.helper_lost_fd, &told, sizeof(told)), sizeof(told));
	cr_expect_eq(rig.worker.helper_losses, 1);
	cr_expect_null(fake_find(OP_HELPER));
	cr_expect_eq(rig_flows(&rig), 1);
	helper = rig_add_helper(&rig);
	cr_expect_eq(asked_for(helper), 4);
	rig_close(&rig, "helper gone");
}
