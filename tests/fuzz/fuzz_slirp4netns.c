// fuzz_slirp4netns.c: what slirp4netns answers on its API socket.
// A failure has its words on one line and leaves no port behind; no descriptor leaks.

#include "drivers/driver.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/fuzz/lib/server.h"

#include <string.h>

extern const struct rk_port_driver port_slirp4netns;

static const struct rk_network_info network = {.driver = "slirp4netns", .ip = "10.0.2.100"};
static const struct rk_port_spec spec = {
	.proto = PROTO_UDP, .parent_port = 47123, .child_port = 80};

static void add_and_remove(struct rk_port_backend *backend)
{
	struct rk_forward forward = {
		.id = 7, .socktype = SOCK_DGRAM, .listener_count = 1, .target_count = 1};
	const char *ip = "127.0.0.1";
	struct rk_error e;
	int rc;

	FUZZ_REQUIRE(addr_parse(&forward.listeners[0], ip, strlen(ip), spec.parent_port) == 0);
	fuzz_error_spoil(&e);
	rc = port_slirp4netns.add(backend, &spec, &forward, &e);
	if (rc < 0) {
		fuzz_error_require(&e, rc);
		fuzz_require_printable(e.text, "");
		FUZZ_REQUIRE(port_slirp4netns.remove(backend, 7, &e) < 0);
		return;
	}
	fuzz_error_spoil(&e);
	rc = port_slirp4netns.remove(backend, 7, &e);
	if (rc < 0)
		fuzz_error_require(&e, rc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_port_backend backend = {
		.driver = &port_slirp4netns, .network = &network, .watch_fd = -1};
	static struct rk_config config;
	struct rk_error e;
	int fd;

	fuzz_server_path("slirp4netns.sock");
	fd = fuzz_next_fd();
	backend.state_dir = fuzz_server_directory();
	backend.config = &config;
	fuzz_server_answer(data, size);
	FUZZ_REQUIRE(port_slirp4netns.start(&backend, &e) == 0);
	add_and_remove(&backend);
	port_slirp4netns.stop(&backend);
	fuzz_server_settle();
	FUZZ_REQUIRE(fuzz_next_fd() == fd);
	return 0;
}
