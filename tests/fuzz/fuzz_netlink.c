// fuzz_netlink.c: the kernel's answer to a netlink request.
// Anything that is no acknowledgement is an error; the kernel's words are terminated.

#include "base/netlink_ack.h"
#include "tests/fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[NETLINK_TEXT_MAX];
	void *answer;

	if (size == 0 || size > FUZZ_GUARDED_MAX)
		return 0;
	// From malloc(): it is aligned, and the end is guarded, too.
	answer = malloc(size);
	FUZZ_REQUIRE(answer);
	memcpy(answer, data, size);
	memset(text, '~', sizeof(text));
	FUZZ_REQUIRE(netlink_parse_ack(answer, size, text) <= 0);
	FUZZ_REQUIRE(memchr(text, '\0', sizeof(text)));
	free(answer);
	return 0;
}
