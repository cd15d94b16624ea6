// fuzz_gvproxy.c: what gvproxy answers to the requests for ports.
// Every failure has its words, on one line; no descriptor leaks.

#include "drivers/gvproxy_api.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/fuzz/lib/server.h"

static void require_result(const struct rk_error *e, int rc)
{
	FUZZ_REQUIRE(rc <= 0);
	if (rc < 0) {
		fuzz_error_require(e, rc);
		fuzz_require_printable(e->text, "");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_server_path("gvproxy.sock");
	int fd = fuzz_next_fd();
	struct gvproxy_api *api;
	struct rk_error e;

	fuzz_server_answer(data, size);
	api = gvproxy_api_open(path, &e);
	FUZZ_REQUIRE(api);
	fuzz_error_spoil(&e);
	require_result(&e, gvproxy_api_expose(api, "tcp", "127.0.0.1:1", "10.0.2.1:2", &e));
	fuzz_error_spoil(&e);
	require_result(&e, gvproxy_api_unexpose(api, "tcp", "127.0.0.1:1", &e));
	gvproxy_api_close(api);
	fuzz_server_settle();
	FUZZ_REQUIRE(fuzz_next_fd() == fd);
	return 0;
}
