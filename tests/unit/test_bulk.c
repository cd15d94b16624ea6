// test_bulk.c: the choice between copying and splicing, by what each was measured to cost, and the
// pipes that are lent for it.

#include "engine/bulk.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define MIB     ((uint64_t)1024 * 1024)
#define WINDOW  (32 * MIB)
#define SAMPLES 3

static uint64_t now_ms;

// Windows of traffic in the way that is in use; what a MiB costs in each.
static void windows(struct rk_bulk *bulk, unsigned count, uint64_t copy_ns, uint64_t splice_ns)
{
	while (count--) {
		uint64_t cost = bulk->way == BULK_COPY ? copy_ns : splice_ns;

		now_ms += 20;
		bulk_sample(bulk, bulk->way, cost * (WINDOW / MIB), WINDOW, now_ms);
	}
}

static void open_auto(struct rk_bulk *bulk)
{
	now_ms = 1000;
	bulk_open(bulk, BULK_MODE_AUTO, 2);
	cr_assert_eq(bulk->way, BULK_COPY);
}

// --- the choice

Test(bulk, both_ways_are_tried_and_the_cheaper_one_is_kept)
{
	static const struct {
		uint64_t copy, splice;
		enum rk_bulk_way kept;
	} cases[] = {
		{400000, 150000, BULK_SPLICE}, {200000, 600000, BULK_COPY},
		{100000, 95000, BULK_SPLICE}, // as good as the same: no reason to go back
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_bulk bulk;

		open_auto(&bulk);
		windows(&bulk, SAMPLES, cases[i].copy, cases[i].splice);
		cr_expect_eq(bulk.way, BULK_SPLICE, "%u: the other way is not tried", i);
		windows(&bulk, SAMPLES, cases[i].copy, cases[i].splice);
		cr_expect_eq(bulk.way, cases[i].kept, "%u: after the trial", i);
		windows(&bulk, 100, cases[i].copy, cases[i].splice);
		cr_expect_eq(bulk.way, cases[i].kept, "%u: later", i);
		bulk_close(&bulk);
	}
}

Test(bulk, the_other_way_is_tried_again_after_a_minute)
{
	struct rk_bulk bulk;

	open_auto(&bulk);
	windows(&bulk, 2 * SAMPLES + 1, 400000, 150000);
	cr_expect_eq(bulk.way, BULK_SPLICE);
	now_ms += 60000;
	windows(&bulk, 1, 400000, 150000);
	cr_expect_eq(bulk.way, BULK_COPY, "no second trial");
	windows(&bulk, SAMPLES, 400000, 150000);
	cr_expect_eq(bulk.way, BULK_SPLICE, "the trial changed the choice");
	now_ms += 60000;
	// The machine is another one now.
	windows(&bulk, 1 + SAMPLES, 100000, 150000);
	cr_expect_eq(bulk.way, BULK_COPY);
	windows(&bulk, 10, 100000, 150000);
	cr_expect_eq(bulk.way, BULK_COPY);
	bulk_close(&bulk);
}

// All pipes are taken, say, and most flows copy: their bytes say nothing about splicing.
Test(bulk, a_trial_that_cannot_be_measured_ends)
{
	struct rk_bulk bulk;

	open_auto(&bulk);
	windows(&bulk, SAMPLES, 400000, 150000);
	cr_assert_eq(bulk.way, BULK_SPLICE);
	for (unsigned i = 0; i < 400; i++) {
		bulk_moved(&bulk, BULK_COPY, WINDOW / 2);
		bulk_moved(&bulk, BULK_SPLICE, WINDOW / 2);
		bulk_turn_end(&bulk, now_ms += 20);
	}
	cr_expect_eq(bulk.way, BULK_COPY, "for ever in a trial");
	bulk_close(&bulk);
}

Test(bulk, windows_count_for_the_way_that_moved_nearly_all)
{
	struct rk_bulk bulk;

	open_auto(&bulk);
	for (unsigned i = 0; i < 2 * SAMPLES; i++) {
		bulk_moved(&bulk, BULK_COPY, WINDOW - MIB);
		bulk_moved(&bulk, BULK_SPLICE, MIB);
		bulk_turn_end(&bulk, now_ms += 20);
	}
	cr_expect_eq(bulk.costs[BULK_COPY].samples, SAMPLES);
	cr_expect_eq(bulk.costs[BULK_SPLICE].samples, 0);
	cr_expect_eq(bulk.moved[BULK_COPY], 2 * SAMPLES * (WINDOW - MIB));
	cr_expect_eq(bulk.moved[BULK_SPLICE], 2 * SAMPLES * MIB);
	bulk_close(&bulk);
}

// Slow traffic: its processor time is mostly somebody else's.
Test(bulk, a_window_that_takes_too_long_is_not_measured)
{
	struct rk_bulk bulk;

	open_auto(&bulk);
	for (unsigned i = 0; i < 100; i++) {
		bulk_moved(&bulk, BULK_COPY, WINDOW / 2);
		bulk_turn_end(&bulk, now_ms += 2000);
	}
	cr_expect_eq(bulk.costs[BULK_COPY].samples, 0);
	bulk_close(&bulk);
}

Test(bulk, what_was_chosen_by_hand_stays)
{
	struct rk_bulk bulk;

	bulk_open(&bulk, BULK_MODE_SPLICE, 2);
	windows(&bulk, 20, 100000, 600000);
	cr_expect_eq(bulk.way, BULK_SPLICE);
	bulk_close(&bulk);
	bulk_open(&bulk, BULK_MODE_COPY, bulk_pipes(BULK_MODE_COPY, 1, 10000));
	cr_expect_eq(bulk_take_pipe(&bulk), -1);
	windows(&bulk, 20, 600000, 100000);
	cr_expect_eq(bulk.way, BULK_COPY);
	bulk_close(&bulk);
}

Test(bulk, a_kernel_that_refuses_is_not_asked_again)
{
	struct rk_bulk bulk;

	open_auto(&bulk);
	windows(&bulk, SAMPLES, 400000, 150000);
	bulk_refused(&bulk);
	now_ms += 600000;
	windows(&bulk, 20, 400000, 150000);
	cr_expect_eq(bulk.way, BULK_COPY);
	bulk_close(&bulk);
}

// --- pipes

Test(bulk, pipes_are_shared_out_and_leave_descriptors_to_flows)
{
	cr_expect_eq(bulk_pipes(BULK_MODE_AUTO, 2, 10000), 16);
	cr_expect_eq(bulk_pipes(BULK_MODE_AUTO, 16, 10000), 4);
	cr_expect_eq(bulk_pipes(BULK_MODE_SPLICE, 2, 80), 2);
	cr_expect_eq(bulk_pipes(BULK_MODE_AUTO, 2, 20), 0);
}

Test(bulk, a_pipe_is_lent_once_and_comes_back_empty)
{
	struct rk_bulk bulk;
	static char bytes[100000];
	int first, second;

	bulk_open(&bulk, BULK_MODE_AUTO, 2);
	first = bulk_take_pipe(&bulk);
	second = bulk_take_pipe(&bulk);
	cr_assert(first >= 0 && second >= 0 && first != second);
	cr_expect_eq(bulk_take_pipe(&bulk), -1);
	cr_assert_eq(write(bulk.pipes[first].fds[1], bytes, sizeof(bytes)), sizeof(bytes));
	bulk_give_pipe(&bulk, first, sizeof(bytes));
	cr_expect_eq(bulk_take_pipe(&bulk), first);
	cr_expect_eq(read(bulk.pipes[first].fds[0], bytes, 1), -1);
	cr_expect_eq(errno, EAGAIN);
	bulk_close(&bulk);
}

Test(bulk, pipes_are_closed)
{
	struct rk_bulk bulk;
	int fd;

	bulk_open(&bulk, BULK_MODE_AUTO, 2);
	cr_assert_eq(bulk.pipe_count, 0, "opened before anybody wants it");
	fd = bulk.pipes[bulk_take_pipe(&bulk)].fds[1];
	cr_assert_geq(fcntl(fd, F_GETFD), 0);
	bulk_close(&bulk);
	cr_expect_eq(fcntl(fd, F_GETFD), -1);
}
