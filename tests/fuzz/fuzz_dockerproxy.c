// fuzz_dockerproxy.c: what a hostile server answers rootlesskit-docker-proxy.
// A port that it goes on with is complete, every failure has its words, no descriptor leaks.

#include "base/addr.h"
#include "engine/dockerproxy/publish.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/fuzz/lib/server.h"

#include <string.h>

static const struct proxy_flags flags = {
	.proto = "tcp", .host_ip = "127.0.0.1", .host_port_text = "8080", .host_port = 8080};

static void require_sound(const struct publish_port *port)
{
	struct rk_addr addr;

	FUZZ_REQUIRE(strcmp(port->proto, "tcp4") == 0);
	FUZZ_REQUIRE(port->port == 8080);
	FUZZ_REQUIRE(addr_parse(&addr, port->child_ip, strlen(port->child_ip), 0) == 0);
}

static void publish(struct ctl_client *client)
{
	struct publish_port port;
	struct rk_error e;
	int64_t id;
	int rc;

	fuzz_error_spoil(&e);
	rc = publish_plan(client, &flags, &port, &e);
	if (rc < 0)
		fuzz_error_require(&e, rc);
	if (rc != PUBLISH_PORT)
		return;
	require_sound(&port);
	fuzz_error_spoil(&e);
	id = publish_add(client, &port, &e);
	if (id < 0) {
		fuzz_error_require(&e, (int)id);
		return;
	}
	FUZZ_REQUIRE(id > 0 && id <= UINT32_MAX);
	fuzz_error_spoil(&e);
	rc = publish_remove(client, id, &e);
	if (rc < 0)
		fuzz_error_require(&e, rc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_server_path("api.sock");
	int fd = fuzz_next_fd();
	struct ctl_client *client;
	struct rk_error e;

	fuzz_server_answer(data, size);
	client = client_open(path, false, &e);
	FUZZ_REQUIRE(client);
	publish(client);
	client_close(client);
	fuzz_server_settle();
	FUZZ_REQUIRE(fuzz_next_fd() == fd);
	return 0;
}
