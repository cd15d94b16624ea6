// test_drivers_port.c: the port drivers against backends that answer as they should not, and the
// command line of pasta.

#include "base/fd.h"
#include "drivers/driver.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVER_WAIT_MS 20000

static struct rk_config config;
static struct rk_error e;
static char directory[64];

static void set_up(void)
{
	config_init(&config);
	strcpy(directory, "/tmp/rk-unit.XXXXXX");
	cr_assert(mkdtemp(directory));
}

static void tear_down(void)
{
	const char *argv[] = {"rm", "-rf", directory, NULL};
	char output[64];

	spawn_run(argv, output, sizeof(output), 5000, &e);
	config_free(&config);
}

TestSuite(drivers_port, .init = set_up, .fini = tear_down);

static int check_pair(const char *net, const char *port)
{
	cr_assert_eq(config_set(&config, "network", "driver", net, &e), 0);
	cr_assert_eq(config_set(&config, "port", "driver", port, &e), 0);
	return port_driver_find(port)->check(&config, net_driver_find(net), &e);
}

Test(drivers_port, demand_the_network_driver_that_they_need)
{
	cr_assert_eq(check_pair("slirp4netns", "slirp4netns"), 0);
	cr_assert_eq(check_pair("pasta", "slirp4netns"), -EINVAL);
	cr_assert(strstr(e.text, "requires slirp4netns network"));
	cr_assert_eq(check_pair("pasta", "implicit"), 0);
	cr_assert_eq(check_pair("slirp4netns", "implicit"), -EINVAL);
	cr_assert(strstr(e.text, "requires pasta network"));
	cr_assert_eq(check_pair("none", "socat"), 0, "%s", e.text);
	cr_assert_eq(check_pair("host", "socat"), -EINVAL);
	cr_assert(strstr(e.text, "requires non-host network"));
	cr_assert_eq(config_set(&config, "port", "publish", "127.0.0.1:8080:80/tcp", &e), 0);
	cr_assert_eq(check_pair("pasta", "implicit"), -EINVAL);
	cr_assert(strstr(e.text, "does not support publishing ports"));
}

// --- slirp4netns's API ------------------------------------------------------------------------

static int api_listener;

// Serves one request in a child: answers with `answer`, exits with 0 when the request is `wanted`.
static pid_t serve_once(const char *wanted, const char *answer)
{
	pid_t pid = fork();
	struct pollfd event = {api_listener, POLLIN, 0};
	char request[4096];
	ssize_t length;
	int client;

	if (pid != 0)
		return pid;
	if (poll(&event, 1, SERVER_WAIT_MS) != 1)
		_exit(2);
	client = accept(api_listener, NULL, NULL);
	length = read(client, request, sizeof(request) - 1);
	request[length > 0 ? length : 0] = '\0';
	if (write(client, answer, strlen(answer)) < 0)
		_exit(3);
	if (strcmp(request, wanted) != 0)
		dprintf(STDERR_FILENO, "request: %s\nwanted:  %s\n", request, wanted);
	_exit(strcmp(request, wanted) == 0 ? 0 : 1);
}

static void expect_served(pid_t pid)
{
	int status;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "the request was not the one that was wanted: %d", status);
}

static void api_listen(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/slirp4netns.sock", directory);
	api_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(api_listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(api_listener, 1), 0);
}

static struct rk_network_info network = {.driver = "slirp4netns", .ip = "10.0.2.100"};

static void start_slirp(struct rk_port_backend *backend)
{
	*backend = (struct rk_port_backend){.driver = port_driver_find("slirp4netns"),
		.config = &config,
		.state_dir = directory,
		.network = &network,
		.watch_fd = -1};
	cr_assert_eq(backend->driver->start(backend, &e), 0, "%s", e.text);
}

static int add(struct rk_port_backend *backend, uint32_t id, const char *text)
{
	struct rk_forward forward = {.id = id, .listener_count = 1};
	struct rk_port_spec spec;

	cr_assert_eq(port_spec_parse(&spec, text, strlen(text), &e), 0, "%s", e.text);
	forward.socktype = proto_is_udp(spec.proto) ? SOCK_DGRAM : SOCK_STREAM;
	cr_assert_eq(addr_parse(&forward.listeners[0], spec.parent_ip, strlen(spec.parent_ip),
			     spec.parent_port),
		0);
	return backend->driver->add(backend, &spec, &forward, &e);
}

#define ADD_TCP                                                                                    \
	"{\"execute\":\"add_hostfwd\",\"arguments\":{\"proto\":\"tcp\",\"host_addr\":"             \
	"\"127.0.0.1\",\"host_port\":18471,\"guest_addr\":\"10.0.2.100\",\"guest_port\":80}}"

Test(drivers_port, slirp4netns_maps_its_ids)
{
	struct rk_port_backend backend;
	pid_t server;

	api_listen();
	start_slirp(&backend);
	server = serve_once(ADD_TCP, "{\"return\":{\"id\":77}}");
	cr_assert_eq(add(&backend, 5, "127.0.0.1:18471:80/tcp"), 0, "%s", e.text);
	expect_served(server);
	cr_assert_eq(backend.driver->remove(&backend, 77, &e), -ENOENT);
	server = serve_once(
		"{\"execute\":\"remove_hostfwd\",\"arguments\":{\"id\":77}}", "{\"return\":{}}");
	cr_assert_eq(backend.driver->remove(&backend, 5, &e), 0, "%s", e.text);
	expect_served(server);
	cr_assert_eq(backend.driver->remove(&backend, 5, &e), -ENOENT);
	backend.driver->stop(&backend);
}

Test(drivers_port, slirp4netns_passes_its_refusals_on)
{
	struct rk_port_backend backend;
	static const struct {
		const char *answer;
		int code;
		const char *text;
	} cases[] = {
		{"{\"error\":{\"desc\":\"bad request: add_hostfwd: slirp_add_hostfwd failed\"}}",
			EIO, "slirp_add_hostfwd failed"},
		{"{\"return\":{}}", EPROTO, "without an id"},
		{"{\"return\":{\"id\":\"1\"}}", EPROTO, "without an id"},
		{"[]", EPROTO, "answered its API with: []"},
		{"nonsense", EPROTO, "nonsense"},
		{"", EPROTO, "answered its API"},
	};

	api_listen();
	start_slirp(&backend);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pid_t server = serve_once(ADD_TCP, cases[i].answer);

		cr_assert_eq(add(&backend, 1, "127.0.0.1:18471:80/tcp"), -cases[i].code);
		cr_assert(strstr(e.text, cases[i].text), "%s", e.text);
		expect_served(server);
	}
	cr_assert_eq(backend.driver->remove(&backend, 1, &e), -ENOENT);
	backend.driver->stop(&backend);
}

#define DRIP_MS       250
#define DRIP_LIMIT_MS 60000

// Answers with one space after the other, until the client has gone.
static pid_t serve_drops(void)
{
	pid_t pid = fork();
	struct pollfd event = {api_listener, POLLIN, 0};
	int client;

	if (pid != 0)
		return pid;
	if (poll(&event, 1, SERVER_WAIT_MS) != 1)
		_exit(2);
	client = accept(api_listener, NULL, NULL);
	for (int i = 0; i < DRIP_LIMIT_MS / DRIP_MS; i++) {
		if (send(client, " ", 1, MSG_NOSIGNAL) < 0)
			_exit(0);
		usleep(DRIP_MS * 1000);
	}
	_exit(1);
}

Test(drivers_port, slirp4netns_gives_up_on_an_answer_that_drips)
{
	struct rk_port_backend backend;
	pid_t server;

	api_listen();
	start_slirp(&backend);
	server = serve_drops();
	cr_assert_eq(add(&backend, 1, "127.0.0.1:18471:80/tcp"), -ETIMEDOUT, "%s", e.text);
	expect_served(server);
	backend.driver->stop(&backend);
}

Test(drivers_port, slirp4netns_names_the_socket_that_is_gone)
{
	struct rk_port_backend backend;

	start_slirp(&backend);
	cr_assert_eq(add(&backend, 1, "127.0.0.1:18471:80/tcp"), -ENOENT);
	cr_assert(strstr(e.text, "slirp4netns.sock"), "%s", e.text);
	cr_assert_eq(add(&backend, 1, "[::1]:18471:80/tcp"), -EAFNOSUPPORT);
	cr_assert_eq(add(&backend, 1, "127.0.0.1:18471:127.0.0.2:80/tcp"), -EINVAL);
	backend.driver->stop(&backend);
}

// --- pasta's command line ---------------------------------------------------------------------

// A pasta that knows the option `known`, writes its words, one a line, then its pid file, and
// stays.
static void make_pasta(const char *known, const char *last)
{
	char script[1024], path[128];

	snprintf(script, sizeof(script),
		"#!/bin/sh\n"
		"[ \"$2\" != --version ] || { [ \"$1\" = \"%s\" ]; exit; }\n"
		"printf '%%s\\n' \"$@\" >%s/words\n"
		"while [ \"$1\" != --pid ]; do shift; done\n"
		"%s\n"
		"echo $$ >\"$2\"; exec sleep 30\n",
		known, directory, last);
	snprintf(path, sizeof(path), "%s/pasta", directory);
	cr_assert_eq(file_write_text(path, script), 0);
	cr_assert_eq(chmod(path, 0755), 0);
	cr_assert_eq(config_set(&config, "pasta", "binary", path, &e), 0);
	cr_assert_eq(config_set(&config, "network", "driver", "pasta", &e), 0);
}

// Starts it and collects its words, each between two newlines.
static int start_pasta(struct rk_net *net, char *words, size_t size)
{
	struct rk_network_info info = {.driver = ""};
	char path[128];
	int rc;

	*net = (struct rk_net){.driver = net_driver_find("pasta"),
		.config = &config,
		.state_dir = directory,
		.child_pid = 4711,
		.daemon = RK_PROCESS_NONE};
	rc = net->driver->start(net, &info, &e);
	cr_assert(rc < 0 || info.configured);
	snprintf(path, sizeof(path), "%s/words", directory);
	words[0] = '\n';
	cr_assert_geq(file_read_text(path, words + 1, size - 1), 0);
	return rc;
}

static void expect_words(const char *words, const char *const *wanted)
{
	for (; *wanted; wanted++)
		cr_expect(strstr(words, *wanted), "missing:%sin:%s", *wanted, words);
}

Test(drivers_port, pasta_is_closed_by_default)
{
	static const char *const wanted[] = {"\n--tcp-ns\nnone\n", "\n--udp-ns\nnone\n",
		"\n--tcp-ports\nnone\n", "\n--udp-ports\nnone\n", "\n--no-map-gw\n",
		"\n--ipv4-only\n", "\n--config-net\n", "\n--mtu\n65520\n", "\n4711\n", NULL};
	struct rk_net net;
	char words[2048];

	make_pasta("", "");
	cr_assert_eq(start_pasta(&net, words, sizeof(words)), 0, "%s", e.text);
	expect_words(words, wanted);
	net.driver->stop(&net);
	cr_assert_eq(net.daemon.pidfd, -1);
	snprintf(words, sizeof(words), "%s/pasta.pid", directory);
	cr_assert_neq(access(words, F_OK), 0);
}

Test(drivers_port, pasta_opens_what_it_is_told_to)
{
	static const char *const wanted[] = {"\n4711\n", "\n--address\nfd00::100\n",
		"\n--gateway\nfd00::2\n", "\n--dns-forward\nfd00::3\n", NULL};
	struct rk_net net;
	char words[2048];

	cr_assert_eq(config_set(&config, "network", "ipv6", "true", &e), 0);
	cr_assert_eq(config_set(&config, "network", "disable-host-loopback", "false", &e), 0);
	make_pasta("", "");
	cr_assert_eq(start_pasta(&net, words, sizeof(words)), 0, "%s", e.text);
	expect_words(words, wanted);
	cr_expect_null(strstr(words, "--no-map-gw"));
	cr_expect_null(strstr(words, "--ipv4-only"));
	net.driver->stop(&net);
}

Test(drivers_port, pasta_is_implicit_as_its_version_allows)
{
	static const char *const one_way[] = {"\n--tcp-ports\nauto\n", "\n--udp-ports\nauto\n",
		"\n--host-lo-to-ns-lo\n", "\n--tcp-ns\nnone\n", NULL};
	static const char *const both_ways[] = {
		"\n--tcp-ports\nauto\n", "\n--tcp-ns\nauto\n", "\n--udp-ns\nnone\n", NULL};
	struct rk_net net;
	char words[2048];

	cr_assert_eq(config_set(&config, "port", "driver", "implicit", &e), 0);
	make_pasta("--host-lo-to-ns-lo", "");
	cr_assert_eq(start_pasta(&net, words, sizeof(words)), 0, "%s", e.text);
	expect_words(words, one_way);
	net.driver->stop(&net);
	make_pasta("", "");
	cr_assert_eq(start_pasta(&net, words, sizeof(words)), 0, "%s", e.text);
	expect_words(words, both_ways);
	cr_expect_null(strstr(words, "host-lo-to-ns-lo"));
	net.driver->stop(&net);
}

Test(drivers_port, pasta_failing_is_told_in_its_words_without_noise)
{
	struct rk_net net;
	char words[2048];

	make_pasta("", "echo No external routable interface >&2; "
		       "echo Failed to send 35 bytes to syslog >&2; exit 1");
	cr_assert_eq(start_pasta(&net, words, sizeof(words)), -EIO);
	cr_assert_str_eq(e.text, "pasta exited with status 1: No external routable interface");
	cr_assert(strstr(e.hint, "default route"));
	cr_assert_null(net.private);
}
