// fuzz_rootlessctl.c: what a hostile server answers rootlessctl. The first byte chooses the
// command. Nothing but text reaches the terminal, every failure has its words, no descriptor leaks.

#include "engine/ctl/client.h"
#include "engine/ctl/show.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/fuzz/lib/server.h"

static int show_json(const cJSON *value, struct rk_error *e)
{
	(void)e;
	show_json_indented(value);
	return 0;
}

static const struct command {
	const char *method;
	const char *path;
	int (*show)(const cJSON *answer, struct rk_error *e);
} commands[] = {
	{"GET", "/v1/ports", show_ports},
	{"GET", "/v1/stats", show_stats},
	{"GET", "/v1/info", show_info},
	{"POST", "/v1/ports", show_port_id},
	{"GET", "/v1/ports", show_json_lines},
	{"GET", "/v1/info", show_json},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void run(const struct command *command)
{
	struct ctl_client *client;
	cJSON *answer = NULL;
	struct rk_error e;
	int rc;

	fuzz_error_spoil(&e);
	client = client_open(fuzz_server_path("api.sock"), false, &e);
	FUZZ_REQUIRE(client);
	rc = client_request(client, command->method, command->path, NULL, &answer, &e);
	if (rc == 0)
		rc = command->show(answer, &e);
	if (rc < 0)
		fuzz_error_require(&e, rc);
	cJSON_Delete(answer);
	client_close(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;

	if (size == 0)
		return 0;
	fuzz_output_open();
	fuzz_server_path("api.sock");
	fd = fuzz_next_fd();
	fuzz_server_answer(data + 1, size - 1);
	run(&commands[data[0] % COMMAND_COUNT]);
	fuzz_server_settle();
	fuzz_require_printable(fuzz_output_take(), "\n\x7f"); // JSON lets DEL stand
	FUZZ_REQUIRE(fuzz_next_fd() == fd);
	return 0;
}
