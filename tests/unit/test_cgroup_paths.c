// test_cgroup_paths.c: where our cgroup is, from what /proc says.

#include "nsctl/cgroup_paths.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#define CGROUP_MOUNT(root) "30 23 0:26 " root " /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"

static char own[64], root[64], target[64];

static int parse_own(const char *text)
{
	return cgroup_parse_own(text, strlen(text), own, sizeof(own));
}

static int parse_mount(const char *text)
{
	return cgroup_parse_mount(text, strlen(text), root, target, sizeof(root));
}

Test(cgroup_paths, finds_our_group_among_those_of_version_1)
{
	cr_assert_eq(parse_own("4:memory:/x\n1:name=systemd:/y\n0::/user.slice/a\n"), 0);
	cr_expect_str_eq(own, "/user.slice/a");
	cr_expect_eq(parse_own("0::/"), 0);
	cr_expect_str_eq(own, "/");
	cr_expect_eq(parse_own("10::/x\n0:a:/y\n0::z\n"), -ENOENT);
}

// Beyond our cgroup namespace, which the mount does not show: whatever has that name there is
// another group.
Test(cgroup_paths, refuses_a_group_that_we_cannot_see)
{
	cr_expect_eq(parse_own("0::/../other\n"), -ENOENT);
	cr_expect_eq(parse_own("0::/..\n"), -ENOENT);
	cr_expect_eq(parse_own("0::/a/../b\n"), -ENOENT);
	cr_expect_eq(parse_own("0::/..a/b..\n"), 0);
}

Test(cgroup_paths, finds_the_mount)
{
	cr_assert_eq(parse_mount("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n" CGROUP_MOUNT("/")), 0);
	cr_expect_str_eq(root, "");
	cr_expect_str_eq(target, "/sys/fs/cgroup");
	cr_assert_eq(parse_mount(CGROUP_MOUNT("/docker/x")), 0);
	cr_expect_str_eq(root, "/docker/x");
	cr_expect_eq(parse_mount("20 1 8:1 / / rw - cgroup cgroup rw\n"), -ENOENT);
	cr_expect_eq(parse_mount("- cgroup2 \n - cgroup2 \n"), -ENOENT);
}

Test(cgroup_paths, joins_what_is_below_the_mount_only)
{
	char path[PATH_MAX];

	cr_expect_eq(cgroup_join("/a/b", "", "/cg", path, sizeof(path)), 0);
	cr_expect_str_eq(path, "/cg/a/b");
	cr_expect_eq(cgroup_join("/a/b", "/a", "/cg", path, sizeof(path)), 0);
	cr_expect_str_eq(path, "/cg/b");
	cr_expect_eq(cgroup_join("/ab", "/a", "/cg", path, sizeof(path)), -ENOENT);
	cr_expect_eq(cgroup_join("/c", "/a", "/cg", path, sizeof(path)), -ENOENT);
	cr_expect_eq(cgroup_join("/a/b", "", "/cg", path, 4), -ENAMETOOLONG);
}
