// interactive: many keep-alive connections that each send a small request now and then, and the
// latency that they see.
//
// How it works
//   Every connection sends a request, waits for the whole answer and sends the next one a fixed
//   interval after the last; the first requests are spread over one interval. Connections that
//   wait for their turn stand in a queue in the order of their turn, which is the order in which
//   their answers came: no timer wheel is needed. Latency runs from send() to the end of the
//   answer.
#include "client.h"

#include <stdbool.h>
#include <sys/epoll.h>

#define EVENTS      128
#define SAMPLES_MAX 4000000u

struct flow {
	int fd;
	uint64_t turn_ns; // when the next request is due
	uint64_t sent_ns;
	size_t received;
	bool unanswered;
};

struct interactive {
	struct sockaddr_in address;
	int epoll_fd;
	uint32_t count;
	uint64_t interval_ns;
	size_t answer_length;
	struct flow *flows;
	uint32_t *waiting; // ring of flow numbers, by turn_ns
	uint32_t head;
	uint32_t waiting_count;
	uint32_t *latency_us;
	uint32_t samples;
	uint32_t failed;
};

static void interactive_enqueue(struct interactive *run, uint32_t number, uint64_t turn_ns)
{
	run->flows[number].turn_ns = turn_ns;
	run->waiting[(run->head + run->waiting_count++) % run->count] = number;
}

static int interactive_open_flows(struct interactive *run)
{
	uint64_t start_ns;

	for (uint32_t i = 0; i < run->count; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
		int fd = client_connect(&run->address, 0);

		if (fd < 0)
			return fd;
		run->flows[i].fd = fd;
		if (epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
			return -errno;
	}
	start_ns = client_now_ns();
	for (uint32_t i = 0; i < run->count; i++)
		interactive_enqueue(run, i, start_ns + run->interval_ns * i / run->count);
	return 0;
}

// Sends the requests whose turn has come; returns the milliseconds until the next turn.
static int interactive_send_due(struct interactive *run)
{
	while (run->waiting_count > 0) {
		struct flow *flow = &run->flows[run->waiting[run->head]];
		uint64_t now_ns = client_now_ns();

		if (flow->turn_ns > now_ns)
			return (int)((flow->turn_ns - now_ns + 999999) / 1000000);
		run->head = (run->head + 1) % run->count;
		run->waiting_count--;
		flow->sent_ns = now_ns;
		flow->received = 0;
		flow->unanswered = true;
		if (send(flow->fd, CLIENT_REQUEST_KEEP, strlen(CLIENT_REQUEST_KEEP), MSG_NOSIGNAL) <
			0)
			run->failed++;
	}
	return 100;
}

static void interactive_add_sample(struct interactive *run, uint64_t latency_ns)
{
	if (run->samples < SAMPLES_MAX)
		run->latency_us[run->samples++] = (uint32_t)(latency_ns / 1000);
}

static void interactive_receive(struct interactive *run, uint32_t number)
{
	struct flow *flow = &run->flows[number];
	char buffer[4096];
	ssize_t n = recv(flow->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	uint64_t now_ns = client_now_ns();

	if (n <= 0) {
		if (n < 0 && errno == EAGAIN)
			return;
		run->failed++;
		epoll_ctl(run->epoll_fd, EPOLL_CTL_DEL, flow->fd, NULL);
		return;
	}
	flow->received += (size_t)n;
	if (flow->received < run->answer_length)
		return;
	flow->unanswered = false;
	interactive_add_sample(run, now_ns - flow->sent_ns);
	interactive_enqueue(run, number, now_ns + run->interval_ns);
}

static void interactive_run(struct interactive *run, uint64_t duration_ns)
{
	struct epoll_event events[EVENTS];
	uint64_t end_ns = client_now_ns() + duration_ns;

	while (client_now_ns() < end_ns) {
		int timeout_ms = interactive_send_due(run);
		int n = epoll_wait(run->epoll_fd, events, EVENTS, timeout_ms);

		for (int i = 0; i < n; i++)
			interactive_receive(run, events[i].data.u32);
	}
}

// A flow that still waits at the end counts with the time it has waited: starved flows show.
static void interactive_add_unanswered(struct interactive *run)
{
	uint64_t now_ns = client_now_ns();

	for (uint32_t i = 0; i < run->count; i++)
		if (run->flows[i].unanswered)
			interactive_add_sample(run, now_ns - run->flows[i].sent_ns);
}

static int interactive_prepare(struct interactive *run)
{
	run->flows = calloc(run->count, sizeof(*run->flows));
	run->waiting = calloc(run->count, sizeof(*run->waiting));
	run->latency_us = calloc(SAMPLES_MAX, sizeof(*run->latency_us));
	run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (run->flows == NULL || run->waiting == NULL || run->latency_us == NULL)
		return -ENOMEM;
	if (run->epoll_fd < 0)
		return -errno;
	run->answer_length = client_learn_answer_length(&run->address);
	return run->answer_length == 0 ? -ECONNREFUSED : interactive_open_flows(run);
}

int main(int argc, char **argv)
{
	struct interactive run = {0};
	uint32_t seconds;
	int code;

	if (argc != 5) {
		fprintf(stderr, "usage: interactive PORT FLOWS INTERVAL-MS SECONDS\n");
		return 2;
	}
	run.address = client_loopback((uint16_t)client_parse_argument("PORT", argv[1], 65535));
	run.count = client_parse_argument("FLOWS", argv[2], 60000);
	run.interval_ns = client_parse_argument("INTERVAL-MS", argv[3], 60000) * 1000000ull;
	seconds = client_parse_argument("SECONDS", argv[4], 3600);
	code = interactive_prepare(&run);
	if (code < 0) {
		fprintf(stderr, "interactive: port %s: %s\n", argv[1], strerror(-code));
		return 1;
	}
	interactive_run(&run, seconds * 1000000000ull);
	interactive_add_unanswered(&run);
	printf("{\"requests\": %u, \"failed\": %u, ", run.samples, run.failed);
	printf("\"p50_us\": %u, ", client_percentile(run.latency_us, run.samples, 50));
	printf("\"p99_us\": %u}\n", client_percentile(run.latency_us, run.samples, 99));
	return 0;
}
