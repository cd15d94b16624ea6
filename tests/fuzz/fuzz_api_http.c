// fuzz_api_http.c: bytes on the control API's socket, to the real server.
// It answers each connection with HTTP or with its end, and goes on to serve; nothing leaks.

#include "base/log.h"
#include "engine/api.h"
#include "tests/fuzz/lib/fuzz.h"
#include "tests/fuzz/lib/ports.h"
#include "tests/fuzz/lib/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_LIMIT_MS 20000

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static struct rk_api *api;

static void stop(void)
{
	api_stop(api);
}

static void start(void)
{
	struct rk_error e;

	log_init("fuzz", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	snprintf(
		address.sun_path, sizeof(address.sun_path), "%s/api.sock", fuzz_server_directory());
	FUZZ_REQUIRE(api_start(&api, address.sun_path, fuzz_api_info(), fuzz_ports(), &e) == 0);
	atexit(stop);
}

// Receives to the end of the connection; true when the answer starts as HTTP.
static bool receive_all(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	char start_of_answer[8] = "";
	size_t used = 0;
	char bytes[4096];
	ssize_t got;

	do {
		FUZZ_REQUIRE(TEMP_FAILURE_RETRY(poll(&ready, 1, ANSWER_LIMIT_MS)) == 1);
		got = TEMP_FAILURE_RETRY(recv(fd, bytes, sizeof(bytes), 0));
		for (ssize_t i = 0; i < got && used < 7; i++)
			start_of_answer[used++] = bytes[i];
	} while (got > 0);
	FUZZ_REQUIRE(used == 0 || strncmp(start_of_answer, "HTTP/1.", 7) == 0);
	return used > 0;
}

static bool exchange(const void *data, size_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answered;

	FUZZ_REQUIRE(fd >= 0);
	FUZZ_REQUIRE(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	while (size > 0) {
		ssize_t sent = TEMP_FAILURE_RETRY(send(fd, data, size, MSG_NOSIGNAL));

		if (sent <= 0)
			break; // it has closed the connection: what comes next shows it
		data = (const char *)data + sent;
		size -= (size_t)sent;
	}
	shutdown(fd, SHUT_WR);
	answered = receive_all(fd);
	close(fd);
	return answered;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char good[] = "GET /v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	static unsigned count;

	if (!api)
		start();
	exchange(data, size);
	fuzz_ports_require(3);
	if (count++ % 64 == 0)
		FUZZ_REQUIRE(exchange(good, sizeof(good) - 1));
	return 0;
}
