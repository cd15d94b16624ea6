// fuzz_lxc.c: what lxc-user-nic prints, and its list of users.
// Every failure gets a code and one line of words.

#include "drivers/lxc_explain.h"
#include "tests/fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lxc_request request = {"lxc-user-nic", "user", "lxcbr0", "eth0"};
	char *text = strndup((const char *)data, size);
	struct rk_error e;
	int rc;

	FUZZ_REQUIRE(text);
	fuzz_error_spoil(&e);
	rc = lxc_explain(&request, text, lxc_is_allowed(&request, text), &e);
	fuzz_error_require(&e, rc);
	fuzz_require_printable(e.text, "");
	free(text);
	return 0;
}
