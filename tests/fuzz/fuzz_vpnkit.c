// fuzz_vpnkit.c: what a server says in VPNKit's handshake, cut off anywhere.
// A link has an address that an interface can have; a failure has its words on one line.

#include "base/fd.h"
#include "drivers/vpnkit_handshake.h"
#include "tests/fuzz/lib/fuzz.h"

#include <string.h>
#include <sys/socket.h>

#define TIMEOUT_MS 20000 // never waited for: the other side has ended

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_vpnkit_link link;
	struct rk_error e;
	int ends[2];
	int rc;

	if (size > RK_VPNKIT_INIT_BYTES + RK_VPNKIT_ANSWER_BYTES + 64)
		return 0;
	FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	FUZZ_REQUIRE(send(ends[0], data, size, MSG_NOSIGNAL) == (ssize_t)size);
	shutdown(ends[0], SHUT_WR);
	fuzz_error_spoil(&e);
	rc = vpnkit_handshake(&link, ends[1], TIMEOUT_MS, NULL, &e);
	if (rc < 0) {
		fuzz_error_require(&e, rc);
		fuzz_require_printable(e.text, "");
	} else {
		FUZZ_REQUIRE(!(link.mac[0] & 1));
		FUZZ_REQUIRE(memcmp(link.mac, "\0\0\0\0\0\0", ETHER_ADDR_LEN) != 0);
	}
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	return 0;
}
