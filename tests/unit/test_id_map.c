// test_id_map.c: lines of /proc/PID/uid_map, good, cut and wrong.

#include "base/id_map.h"
#include "engine/api_socket.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct rk_id_extent extent;

// Reads the only line of `text`.
static int read_line(const char *text)
{
	const char *at = text;
	int rc = id_map_next(&at, text + strlen(text), &extent);

	cr_assert_eq(*at, '\0');
	return rc;
}

Test(id_map, reads_the_kernels_lines)
{
	cr_assert_eq(read_line("         0       1000          1\n"), 1);
	cr_expect_eq(extent.inside, 0);
	cr_expect_eq(extent.outside, 1000);
	cr_expect_eq(extent.count, 1);
	cr_expect_eq(read_line("         0          0 4294967295\n"), 1);
	cr_expect_eq(extent.count, UINT32_MAX);
	cr_expect_eq(read_line(""), 0);
}

Test(id_map, refuses_anything_else)
{
	static const char *const lines[] = {"\n", "1\n", "1 2\n", "1 2 3 4\n", "1 2 3 \n",
		"-1 2 3\n", "1 2 +3\n", "x 2 3\n", "1 2 0\n", "1 0 4294967295\n",
		"0 1 4294967295\n", "4294967296 1 1\n", "1 2 18446744073709551617\n"};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect_eq(read_line(lines[i]), -EINVAL, "%s", lines[i]);
}

Test(id_map, gives_the_users_of_a_namespace)
{
	const char *text = "0 1000 1\n1 100000 65536\n";
	struct rk_api_peers peers = {0};

	api_peers_parse(&peers, text, strlen(text));
	cr_assert_eq(peers.range_count, 2);
	cr_expect_eq(peers.ranges[1].first, 100000);
	cr_expect_eq(peers.ranges[1].count, 65536);
	text = "0 1000 1\nnonsense\n1 0 100\n";
	api_peers_parse(&peers, text, strlen(text));
	cr_expect_eq(peers.range_count, 1);
}
