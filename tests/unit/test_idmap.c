// test_idmap.c: subordinate id ranges as files give them, and the id maps made from them.

#include "nsctl/idmap.h"
#include "nsctl/subid.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct subid_list list;
static struct idmap map;

static void parse(const char *text, const char *user, uint32_t uid)
{
	subid_parse(&list, text, strlen(text), user, uid);
}

static void expect_range(size_t index, uint32_t start, uint32_t count)
{
	cr_assert_lt(index, list.count);
	cr_expect_eq(list.ranges[index].start, start);
	cr_expect_eq(list.ranges[index].count, count);
}

static void expect_extent(size_t index, uint32_t inside, uint32_t outside, uint32_t count)
{
	cr_assert_lt(index, map.count);
	cr_expect_eq(map.extents[index].inside, inside);
	cr_expect_eq(map.extents[index].outside, outside);
	cr_expect_eq(map.extents[index].count, count);
}

Test(subid, takes_every_range_of_the_user_in_order)
{
	parse("other:1:2\nalice:100000:65536\nbob:5:5\nalice:300000:10\n", "alice", 1000);
	cr_assert_eq(list.count, 2);
	expect_range(0, 100000, 65536);
	expect_range(1, 300000, 10);
}

Test(subid, takes_what_getsubids_prints)
{
	const char *text = "0: alice 100000 65536\n1: alice 300000 10\nError fetching ranges\n"
			   "2: alice 5\n3: alice 4294967295 1\n4: alice 7 1";

	subid_parse_program(&list, text, strlen(text));
	cr_assert_eq(list.count, 3);
	expect_range(0, 100000, 65536);
	expect_range(1, 300000, 10);
	expect_range(2, 7, 1);
}

Test(subid, knows_the_user_by_number_too)
{
	parse("1000:100000:1\nalice:200000:2\n", "alice", 1000);
	cr_assert_eq(list.count, 2);
	expect_range(0, 100000, 1);
	expect_range(1, 200000, 2);
}

Test(subid, needs_no_newline_and_no_nul_at_the_end)
{
	// What follows the given length would make the count longer.
	subid_parse(&list, "alice:100000:65536", strlen("alice:100000:65"), "alice", 1000);
	cr_assert_eq(list.count, 1);
	expect_range(0, 100000, 65);
}

Test(subid, a_user_without_a_name_matches_no_empty_field)
{
	parse(":100000:65536\n\n::\n", "", 1000);
	cr_expect_eq(list.count, 0);
}

Test(subid, a_name_that_begins_alike_is_another_user)
{
	parse("alic:1:1\nalicea:1:1\n10000:1:1\n", "alice", 1000);
	cr_expect_eq(list.count, 0);
}

Test(subid, passes_over_lines_that_are_no_range)
{
	static const char *const lines[] = {"alice", "alice:", "alice:1", "alice:1:", "alice::1",
		"alice:-1:1", "alice:1:0", "alice:+1:1", "alice:1:x", "alice: 1:1", "alice:1:1:1",
		"alice:1:1 ", "alice:0x10:1", "alice:4294967296:1", "alice:1:4294967296",
		"alice:18446744073709551617:1", "alice:4294967295:1", "alice:100000:4294967295"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		parse(lines[i], "alice", 1000);
		cr_expect_eq(list.count, 0, "\"%s\" was taken as a range", lines[i]);
	}
}

Test(subid, takes_ranges_up_to_the_last_id)
{
	parse("alice:4294967294:1\n", "alice", 1000);
	cr_assert_eq(list.count, 1);
	expect_range(0, 4294967294u, 1);
}

Test(subid, takes_no_more_ranges_than_a_map_holds)
{
	char text[20 * (SUBID_RANGES_MAX + 10)];
	size_t used = 0;

	for (int i = 0; i < SUBID_RANGES_MAX + 10; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "alice:%d:1\n", i);
	subid_parse(&list, text, used, "alice", 1000);
	cr_assert_eq(list.count, SUBID_RANGES_MAX);
	idmap_from_ranges(&map, 1000, &list);
	cr_expect_eq(map.count, IDMAP_EXTENTS_MAX);
}

Test(subid, a_file_that_is_missing_has_no_ranges)
{
	list.count = 1;
	cr_assert_eq(subid_read_file(&list, "/nonexistent/subuid", "alice", 1000), 0);
	cr_expect_eq(list.count, 0);
}

Test(idmap, puts_the_caller_first_and_the_ranges_behind_without_gaps)
{
	parse("alice:100000:65536\nalice:300000:10\n", "alice", 1000);
	idmap_from_ranges(&map, 1000, &list);
	cr_assert_eq(map.count, 3);
	expect_extent(0, 0, 1000, 1);
	expect_extent(1, 1, 100000, 65536);
	expect_extent(2, 65537, 300000, 10);
}

Test(idmap, cuts_ranges_at_the_last_id)
{
	list = (struct subid_list){.ranges = {{0, UINT32_MAX - 2}, {5, 100}, {7, 7}}, .count = 3};
	idmap_from_ranges(&map, 1000, &list);
	cr_assert_eq(map.count, 3);
	expect_extent(1, 1, 0, UINT32_MAX - 2);
	expect_extent(2, UINT32_MAX - 1, 5, 1);
}

Test(idmap, identity_keeps_every_id_that_exists_here)
{
	static const char text[] = "         0       1000          1\n"
				   "         1     100000      65536\n";

	cr_assert_eq(idmap_from_identity(&map, text, strlen(text)), 0);
	cr_assert_eq(map.count, 2);
	expect_extent(0, 0, 0, 1);
	expect_extent(1, 1, 1, 65536);
}

Test(idmap, identity_of_something_else_is_refused)
{
	static const char *const texts[] = {"", "0\n", "x y z\n", "0 0\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_expect_lt(idmap_from_identity(&map, texts[i], strlen(texts[i])), 0);
}
