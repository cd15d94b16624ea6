// test_wait.c: waiting until a time, for as long as it is wanted.

#include "base/clock.h"
#include "base/wait.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <unistd.h>

#define LONG_MS 60000

static int ends[2];

static void open_pipe(void)
{
	cr_assert_eq(pipe(ends), 0);
}

static void close_pipe(void)
{
	close(ends[0]);
	close(ends[1]);
}

TestSuite(wait, .init = open_pipe, .fini = close_pipe, .timeout = 30);

static bool from_the_third_time(void *context)
{
	return ++*(unsigned *)context >= 3;
}

Test(wait, ends_when_there_is_something)
{
	cr_assert_eq(wait_fd(wait_within(LONG_MS, NULL), ends[1], POLLOUT), 0);
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_assert_eq(wait_fd(wait_within(LONG_MS, NULL), ends[0], POLLIN), 0);
}

Test(wait, ends_in_time)
{
	int64_t started_ms = clock_now_ms();

	cr_assert_eq(wait_fd(wait_within(120, NULL), ends[0], POLLIN), -ETIMEDOUT);
	cr_assert_geq(clock_now_ms() - started_ms, 120);
}

Test(wait, a_time_that_is_over_counts_even_if_there_is_something)
{
	cr_assert_eq(wait_fd(wait_within(0, NULL), ends[1], POLLOUT), -ETIMEDOUT);
}

Test(wait, is_given_up_in_the_middle)
{
	unsigned asked = 0;
	struct rk_cancel cancel = {from_the_third_time, &asked};

	cr_assert_eq(wait_fd(wait_within(LONG_MS, &cancel), ends[0], POLLIN), -ECANCELED);
	cr_assert_eq(asked, 3u);
}

Test(wait, what_was_given_up_before_is_not_begun)
{
	unsigned asked = 2;
	struct rk_cancel cancel = {from_the_third_time, &asked};

	cr_assert_eq(wait_fd(wait_within(LONG_MS, &cancel), ends[1], POLLOUT), -ECANCELED);
}

Test(wait, tells_which_of_several_is_ready)
{
	struct pollfd fds[] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}};

	cr_assert_eq(wait_poll(wait_within(LONG_MS, NULL), fds, 2), 0);
	cr_assert_eq(fds[0].revents, 0);
	cr_assert_eq(fds[1].revents, POLLOUT);
}

Test(wait, a_part_ends_with_the_whole)
{
	unsigned asked = 0;
	struct rk_cancel cancel = {from_the_third_time, &asked};
	struct rk_wait whole = wait_within(LONG_MS, &cancel);
	struct rk_wait part = wait_at_most(whole, 2 * LONG_MS);

	cr_assert_eq(part.deadline_ms, whole.deadline_ms);
	part = wait_at_most(whole, 50);
	cr_assert_lt(part.deadline_ms, whole.deadline_ms);
	cr_assert_eq(part.cancel.context, &asked);
}

Test(wait, nobody_gives_up_what_has_no_question)
{
	cr_assert_not(cancel_is_asked(NULL));
	cr_assert_not(cancel_is_asked(&(struct rk_cancel){0}));
}
