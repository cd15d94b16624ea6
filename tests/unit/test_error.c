// test_error.c: error records: filling, wrapping, limits.

#include "base/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct rk_error e;
static char line[1200];

Test(error, fills_and_returns_the_code)
{
	cr_assert_eq(error_set(&e, EINVAL, "port %d", 80), -EINVAL);
	cr_assert_eq(e.code, EINVAL);
	cr_assert_str_eq(e.text, "port 80");
	cr_assert_str_eq(e.hint, "");
	cr_assert_eq(error_errno(&e, ENOENT, "%s", "/x"), -ENOENT);
	cr_assert_str_eq(e.text, "/x: No such file or directory");
}

Test(error, wraps_and_hints)
{
	error_set(&e, EBUSY, "inner");
	cr_assert_eq(error_hint(&e, "do %s", "this"), -EBUSY);
	cr_assert_eq(error_wrap(&e, "outer %d", 1), -EBUSY);
	cr_assert_str_eq(error_line(&e, line, sizeof(line)), "outer 1: inner (do this)");
	error_set(&e, EBUSY, "again");
	cr_assert_str_eq(error_line(&e, line, sizeof(line)), "again", "an old hint must be gone");
}

Test(error, takes_no_record)
{
	cr_assert_eq(error_set(NULL, EPERM, "x"), -EPERM);
	cr_assert_eq(error_errno(NULL, EPERM, "x"), -EPERM);
	cr_assert_eq(error_hint(NULL, "x"), -EINVAL);
	cr_assert_eq(error_wrap(NULL, "x"), -EINVAL);
}

Test(error, cuts_what_is_too_long)
{
	char large[2000];

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	error_errno(&e, EIO, "%s", large);
	cr_assert_eq(strlen(e.text), sizeof(e.text) - 1);
	error_hint(&e, "%s", large);
	cr_assert_eq(strlen(e.hint), sizeof(e.hint) - 1);
	error_wrap(&e, "%s", large);
	cr_assert_eq(strlen(e.text), sizeof(e.text) - 1);
	cr_assert_eq(strlen(error_line(&e, line, 10)), 9);
}
