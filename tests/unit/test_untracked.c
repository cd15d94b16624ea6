// test_untracked.c: which connections go untracked, for how long, and what their failure changes.
// Without the namespace's packet filter an inquiry is an ordinary connect: refused, as if by the
// filter, where nobody listens.

#include "base/fd.h"
#include "engine/route.h"
#include "engine/untracked.h"
#include "tests/unit/ring_support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MARK         0x50000000u
#define INQUIRY_MARK 0x38000000u

static struct rk_worker worker;
static struct rk_share share;
static struct rk_addr client, target;
static int listener;

static void add_socket(void)
{
	worker.pool.kinds[SOCKET_TCP4].fds[worker.pool.kinds[SOCKET_TCP4].count++] =
		socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

// A target that refuses.
static void open_worker(void)
{
	const uint64_t delays_ms[TIMER_KIND_COUNT] = {0};

	if (geteuid() != 0)
		cr_skip_test("marking a socket needs root");
	timers_init(&worker.timers, delays_ms);
	pool_init(&worker.pool, 8);
	share.forward.untracked_mark = MARK;
	share.forward.inquiry_mark = INQUIRY_MARK;
	cr_assert_eq(addr_parse(&client, "127.0.0.2", 9, 4711), 0);
	listener = ring_test_open_listener(&target);
	fd_close(&listener);
	add_socket();
}

static void close_worker(void)
{
	fd_close(&listener);
	pool_close(&worker.pool);
}

// What a connection would do by the route that is given, and by its socket's mark.
static bool goes(struct rk_route route)
{
	RK_CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint32_t mark = 0;
	socklen_t length = sizeof(mark);
	bool untracked = untracked_begin(&worker, &route, &share, fd, &target, &client);

	cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &length), 0);
	cr_expect_eq(mark, untracked ? MARK : 0);
	cr_expect_eq(route.untracked, untracked);
	return untracked;
}

static const struct rk_route own = {.list = ROUTE_OWN};

static unsigned sockets_left(void)
{
	return worker.pool.kinds[SOCKET_TCP4].count;
}

Test(untracked, asks_once_and_trusts_the_answer_for_a_while, .init = open_worker,
	.fini = close_worker)
{
	add_socket();
	cr_expect(goes(own));
	untracked_answered(&own, &share);
	cr_expect(goes(own));
	cr_expect(goes(own));
	cr_expect_eq(sockets_left(), 1);
	worker.timers.now_ms += UNTRACKED_TRUST_MS;
	cr_expect(goes(own));
	cr_expect_eq(sockets_left(), 0);
}

Test(untracked, holds_for_what_was_asked_about_only, .init = open_worker, .fini = close_worker)
{
	cr_expect(goes(own));
	untracked_answered(&own, &share);
	cr_expect_not(goes((struct rk_route){.list = ROUTE_REMOTE}));
	cr_expect_not(goes((struct rk_route){.list = ROUTE_OWN, .target = 1}));
	cr_expect_not(goes((struct rk_route){.list = ROUTE_OWN, .port_offset = 1}));
	cr_expect(goes(own));
	cr_expect_eq(sockets_left(), 0);
}

Test(untracked, asks_again_when_the_targets_are_others, .init = open_worker, .fini = close_worker)
{
	add_socket();
	cr_expect(goes(own));
	share.targets_generation++;
	cr_expect(goes((struct rk_route){.list = ROUTE_OWN, .target = 1, .generation = 1}));
	cr_expect_eq(sockets_left(), 0);
}

// Anything but a refusal: the inquiry was dropped, or answered by somebody.
Test(untracked, tracks_where_the_inquiry_is_not_refused, .init = open_worker, .fini = close_worker)
{
	listener = ring_test_open_listener(&target);
	cr_expect_not(goes(own));
	fd_close(&listener);
	cr_expect_not(goes(own));
	add_socket();
	worker.timers.now_ms += UNTRACKED_TRUST_MS;
	cr_expect(goes(own));
}

Test(untracked, takes_no_socket_that_is_not_there, .init = open_worker, .fini = close_worker)
{
	pool_close(&worker.pool);
	cr_expect_not(goes(own));
	cr_expect_eq(worker.pool.kinds[SOCKET_TCP4].empty, 0);
}

Test(untracked, is_off_where_the_namespace_has_no_mark_for_it, .init = open_worker,
	.fini = close_worker)
{
	share.forward.untracked_mark = 0;
	cr_expect_not(goes(own));
	cr_expect_eq(sockets_left(), 1);
}

Test(untracked, a_refusal_holds_as_long_as_the_answer_did, .init = open_worker,
	.fini = close_worker)
{
	add_socket();
	cr_expect(goes(own));
	untracked_failed(&worker, &own, &share, ECONNREFUSED);
	cr_expect_not(goes(own));
	worker.timers.now_ms += UNTRACKED_TRUST_MS;
	cr_expect(goes(own));
}

Test(untracked, silence_holds_longer, .init = open_worker, .fini = close_worker)
{
	add_socket();
	cr_expect(goes(own));
	untracked_failed(&worker, &own, &share, ETIMEDOUT);
	worker.timers.now_ms += UNTRACKED_SHUN_MS - 1;
	cr_expect_not(goes(own));
	worker.timers.now_ms++;
	cr_expect(goes(own));
}

Test(untracked, one_tries_before_others_follow, .init = open_worker, .fini = close_worker)
{
	cr_expect(goes(own));
	cr_expect_not(goes(own));
	untracked_answered(&own, &share);
	cr_expect(goes(own));
	cr_expect(goes(own));
}

// A trial that takes longer than the answer holds is still the only one; one of whom nothing is
// heard (its client has left) is not waited for.
Test(untracked, a_trial_has_its_time, .init = open_worker, .fini = close_worker)
{
	add_socket();
	add_socket();
	cr_expect(goes(own));
	worker.timers.now_ms += UNTRACKED_PATIENCE_MS - 1;
	cr_expect_not(goes(own));
	cr_expect_eq(sockets_left(), 1);
	worker.timers.now_ms++;
	cr_expect(goes(own));
}

Test(untracked, what_is_heard_of_former_targets_is_not_about_these, .init = open_worker,
	.fini = close_worker)
{
	const struct rk_route other = {.list = ROUTE_OWN, .generation = 1};

	add_socket();
	cr_expect(goes(own));
	share.targets_generation++;
	cr_expect(goes(other));
	untracked_answered(&own, &share);
	cr_expect_not(goes(other));
	untracked_failed(&worker, &own, &share, ETIMEDOUT);
	worker.timers.now_ms += UNTRACKED_PATIENCE_MS;
	add_socket();
	cr_expect(goes(other));
}

Test(untracked, what_was_proven_stays_so_until_silence, .init = open_worker, .fini = close_worker)
{
	add_socket();
	add_socket();
	cr_expect(goes(own));
	untracked_answered(&own, &share);
	untracked_failed(&worker, &own, &share, ECONNREFUSED);
	worker.timers.now_ms += UNTRACKED_TRUST_MS;
	cr_expect(goes(own));
	cr_expect(goes(own));
	untracked_failed(&worker, &own, &share, ECANCELED);
	worker.timers.now_ms += UNTRACKED_SHUN_MS;
	cr_expect(goes(own));
	cr_expect_not(goes(own));
}

// Both families of clients are known apart.
Test(untracked, what_is_known_of_one_family_is_not_of_the_other, .init = open_worker,
	.fini = close_worker)
{
	cr_expect(goes(own));
	untracked_failed(&worker, &own, &share, ETIMEDOUT);
	add_socket();
	cr_expect(goes((struct rk_route){.list = ROUTE_OWN, .family = 1}));
}
