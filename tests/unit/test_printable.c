// test_printable.c: what strangers say reaches people as one line.

#include "base/error.h"
#include "base/printable.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *clean(const char *text)
{
	static char copy[64];

	strcpy(copy, text);
	printable_clean(copy);
	return copy;
}

Test(printable, replaces_control_characters)
{
	cr_expect_str_eq(clean(""), "");
	cr_expect_str_eq(clean("plain ~"), "plain ~");
	cr_expect_str_eq(clean("a\nb\tc\rd"), "a b c?d");
	cr_expect_str_eq(clean("\x1b[31m\x7f\x01"), "?[31m??");
}

Test(printable, lets_utf8_stand_but_its_control_characters)
{
	cr_expect_str_eq(clean("caf\xc3\xa9 \xc2\xa0"), "caf\xc3\xa9 \xc2\xa0");
	cr_expect_str_eq(clean("\xc2\x9b"
			       "2J"),
		"??2J");
	cr_expect_str_eq(clean("\xc2"), "\xc2");
}

Test(printable, holds_for_errors)
{
	struct rk_error e;

	error_set(&e, 1, "%s", "said\nmore");
	error_hint(&e, "%s", "do\x1bthis");
	cr_expect_str_eq(e.text, "said more");
	cr_expect_str_eq(e.hint, "do?this");
	error_wrap(&e, "%s", "at\r");
	cr_expect_str_eq(e.text, "at?: said more");
}
