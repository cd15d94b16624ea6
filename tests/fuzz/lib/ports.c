// ports.c: a table of ports whose driver publishes nothing, so that requests can do no harm.

#include "tests/fuzz/lib/ports.h"
#include "tests/fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int add(struct rk_port_backend *backend, const struct rk_port_spec *spec,
	const struct rk_forward *forward, struct rk_error *e)
{
	(void)backend;
	(void)spec;
	(void)e;
	FUZZ_REQUIRE(forward->listener_count >= 1 && forward->target_count >= 1);
	FUZZ_REQUIRE(forward->listener_count <= RK_FORWARD_LISTENERS_MAX);
	FUZZ_REQUIRE(forward->target_count <= RK_FORWARD_TARGETS_MAX);
	return 0;
}

static int drop(struct rk_port_backend *backend, uint32_t id, struct rk_error *e)
{
	(void)backend;
	(void)id;
	(void)e;
	return 0;
}

static const char *const protos[] = {"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", NULL};
static const struct rk_port_driver driver = {
	.name = "fuzz", .protos = protos, .add = add, .remove = drop};
static const struct rk_network_info network = {
	.driver = "fuzz", .ip = "10.0.2.100", .dns = {"10.0.2.3"}};
static const struct rk_source_info source = {
	.level = {SOURCE_FULL, SOURCE_FULL, SOURCE_NONE, SOURCE_NONE},
	.ip = "10.0.2.100",
	.ip6 = "fd00::100"};
static struct rk_port_backend backend = {.driver = &driver, .network = &network, .watch_fd = -1};

struct rk_ports *fuzz_ports(void)
{
	static const struct rk_source_policy policy = {.source = &source};
	static struct rk_ports *ports;

	if (!ports) {
		ports = ports_create(NULL);
		FUZZ_REQUIRE(ports);
		ports_use_backend(ports, &backend);
		ports_use_source_policy(ports, &policy);
	}
	return ports;
}

const struct rk_api_info *fuzz_api_info(void)
{
	static struct rk_network_info own;
	static const struct rk_api_info info = {.state_dir = "/run/fuzz",
		.network = &own,
		.port_driver = "fuzz",
		.protos = protos,
		.io_name = "epoll",
		.workers = 1};

	own = network;
	own.child_pid = getpid();
	return &info;
}

void fuzz_spec_require(const struct rk_port_spec *spec)
{
	char text[RK_PORT_TEXT_MAX];
	struct rk_port_spec again;
	struct rk_error e;

	port_spec_format(spec, text, sizeof(text));
	FUZZ_REQUIRE(port_spec_parse(&again, text, strlen(text), &e) == 0);
	FUZZ_REQUIRE(strcmp(again.parent_ip, spec->parent_ip) == 0);
	FUZZ_REQUIRE(strcmp(again.child_ip, spec->child_ip) == 0);
	FUZZ_REQUIRE(again.parent_port == spec->parent_port);
	FUZZ_REQUIRE(again.parent_port_end == spec->parent_port_end);
	FUZZ_REQUIRE(again.child_port == spec->child_port);
	FUZZ_REQUIRE(again.proto == spec->proto);
}

size_t fuzz_ports_require(size_t keep)
{
	struct rk_port *list = NULL;
	struct rk_error e;
	ssize_t count = ports_list(fuzz_ports(), &list, &e);

	FUZZ_REQUIRE(count >= 0);
	for (ssize_t i = 0; i < count; i++) {
		fuzz_spec_require(&list[i].spec);
		FUZZ_REQUIRE(list[i].id > 0);
		FUZZ_REQUIRE(i == 0 || list[i].id > list[i - 1].id);
		if ((size_t)i >= keep)
			FUZZ_REQUIRE(ports_remove(fuzz_ports(), list[i].id, &e) == 0);
	}
	free(list);
	return (size_t)count;
}
