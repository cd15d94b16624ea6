// test_pool.c: how many sockets of a kind the pool keeps ready, and for whom.

#include "base/fd.h"
#include "base/msg.h"
#include "engine/pool.h"

#include <criterion/criterion.h>
#include <sys/socket.h>

#define SIZE 8

static struct rk_pool pool;
static struct rk_timers timers;
static int helper;

static void open_pool(void)
{
	const uint64_t delays_ms[TIMER_KIND_COUNT] = {0};
	int ends[2];

	timers_init(&timers, delays_ms);
	pool_init(&pool, SIZE);
	cr_assert_eq(msg_channel(ends), 0);
	cr_assert_eq(fd_set_nonblocking(ends[0], true), 0);
	cr_assert_eq(fd_set_nonblocking(ends[1], true), 0);
	helper = ends[1];
	cr_expect_eq(pool_set_channel(&pool, &timers, ends[0]), -1);
}

static void close_pool(void)
{
	pool_close(&pool);
	fd_close(&helper);
}

// How many sockets of that kind the pool has asked for since the last time; it gets them.
static unsigned deliver(enum rk_socket_kind kind)
{
	struct rk_msg_pool sockets = {.kind = kind};
	struct rk_message request;
	int fds[SIZE];

	while (msg_receive(helper, &request) == 1)
		if (request.pool.kind == kind)
			sockets.count += request.pool.count;
	cr_assert_leq(sockets.count, SIZE);
	for (unsigned i = 0; i < sockets.count; i++)
		fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(
		msg_send(helper, MSG_POOL_SOCKETS, &sockets, sizeof(sockets), fds, sockets.count),
		0);
	for (unsigned i = 0; i < sockets.count; i++)
		fd_close(&fds[i]);
	cr_assert_eq(pool_receive(&pool, &timers), POOL_FILLED);
	return sockets.count;
}

static void use(int fd)
{
	cr_expect_geq(fd, 0);
	fd_close(&fd);
}

Test(pool, keeps_as_many_as_were_wanted, .init = open_pool, .fini = close_pool)
{
	pool_want(&pool, &timers, SOCKET_UDP4, 2);
	cr_expect_eq(deliver(SOCKET_UDP4), 2);
	use(pool_take_wanted(&pool, &timers, SOCKET_UDP4));
	cr_expect_eq(deliver(SOCKET_UDP4), 1);
	pool_want(&pool, &timers, SOCKET_UDP4, 1000);
	cr_expect_eq(deliver(SOCKET_UDP4), SIZE - 2);
}

// Nobody said that flows of that kind would come: from the first on there is no lack of sockets.
Test(pool, keeps_all_that_it_can_for_flows, .init = open_pool, .fini = close_pool)
{
	pool_want(&pool, &timers, SOCKET_UDP4, 2);
	cr_expect_eq(deliver(SOCKET_UDP4), 2);
	use(pool_take(&pool, &timers, SOCKET_UDP4));
	cr_expect_eq(deliver(SOCKET_UDP4), SIZE - 1);
	cr_expect_eq(pool_take(&pool, &timers, SOCKET_TCP6), -1);
	cr_expect_eq(deliver(SOCKET_TCP6), SIZE);
}
