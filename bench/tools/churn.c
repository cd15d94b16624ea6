// churn: opens and closes many connections on one port, one request each, and tells whether the
// last ones were as quick as the first.
//
// How it works
//   A fixed number of slots run side by side in one epoll loop. A slot connects, sends a request,
//   reads the whole answer and closes; then it starts again until COUNT connections are done.
//   Every second connection asks the server to close first, so that TIME_WAIT gathers at both
//   ends of the forwarder. Latency runs from before connect() to the end of the answer.
#include "client.h"

#include <stdbool.h>
#include <sys/epoll.h>

#define SLOTS   32
#define EDGE    10000 // connections at either end of the run whose latency is compared
#define WAIT_MS 5000

struct slot {
	int fd;
	uint32_t number; // of its connection, from 0
	uint64_t start_ns;
	size_t received;
};

struct churn {
	struct sockaddr_in address;
	int epoll_fd;
	uint32_t count;
	uint32_t started;
	uint32_t done;
	uint32_t no_address; // EADDRNOTAVAIL
	uint32_t failed;
	size_t answer_length;
	uint32_t *latency_us; // by connection number; 0 = failed
	struct slot slots[SLOTS];
};

static bool slot_server_closes(const struct slot *slot)
{
	return slot->number % 2 == 0;
}

static void churn_count_error(struct churn *churn, int code)
{
	if (code == EADDRNOTAVAIL)
		churn->no_address++;
	else
		churn->failed++;
	churn->done++;
}

// Gives the slot its next connection; a slot stays empty when all were started.
static void slot_start(struct churn *churn, struct slot *slot)
{
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = slot};

	while (churn->started < churn->count) {
		slot->number = churn->started++;
		slot->received = 0;
		slot->start_ns = client_now_ns();
		slot->fd = client_connect(&churn->address, SOCK_NONBLOCK);
		if (slot->fd < 0) {
			churn_count_error(churn, -slot->fd);
			continue;
		}
		if (epoll_ctl(churn->epoll_fd, EPOLL_CTL_ADD, slot->fd, &event) == 0)
			return;
		churn_count_error(churn, errno);
		close(slot->fd);
	}
	slot->fd = -1;
}

static void slot_finish(struct churn *churn, struct slot *slot, int code)
{
	if (code != 0)
		churn_count_error(churn, code);
	else
		churn->done++;
	close(slot->fd);
	slot_start(churn, slot);
}

static int slot_send_request(struct churn *churn, struct slot *slot)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = slot};
	const char *request = slot_server_closes(slot) ? CLIENT_REQUEST_CLOSE : CLIENT_REQUEST_KEEP;
	int code = 0;
	socklen_t size = sizeof(code);

	if (getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
		return errno;
	if (code != 0)
		return code;
	if (send(slot->fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
		return errno;
	return epoll_ctl(churn->epoll_fd, EPOLL_CTL_MOD, slot->fd, &event) < 0 ? errno : 0;
}

// Reads what has come. Sets *complete at the end of the answer; returns 0 or an errno value.
static int slot_receive(const struct churn *churn, struct slot *slot, bool *complete)
{
	char buffer[4096];
	ssize_t n = recv(slot->fd, buffer, sizeof(buffer), 0);

	if (n < 0)
		return errno == EAGAIN ? 0 : errno;
	slot->received += (size_t)n;
	if (slot_server_closes(slot))
		*complete = n == 0 && slot->received > 0;
	else
		*complete = slot->received >= churn->answer_length;
	return n == 0 && !*complete ? ECONNRESET : 0;
}

static void slot_handle(struct churn *churn, struct slot *slot, uint32_t events)
{
	bool complete = false;
	int code;

	if (events & EPOLLOUT) {
		code = slot_send_request(churn, slot);
		if (code != 0)
			slot_finish(churn, slot, code);
		return;
	}
	code = slot_receive(churn, slot, &complete);
	if (complete)
		churn->latency_us[slot->number] =
			(uint32_t)((client_now_ns() - slot->start_ns) / 1000);
	if (complete || code != 0)
		slot_finish(churn, slot, code);
}

// Runs until every connection is done. 0, or -ETIMEDOUT when nothing moves for WAIT_MS.
static int churn_run(struct churn *churn)
{
	struct epoll_event events[SLOTS];

	for (size_t i = 0; i < SLOTS; i++)
		slot_start(churn, &churn->slots[i]);
	while (churn->done < churn->count) {
		int n = epoll_wait(churn->epoll_fd, events, SLOTS, WAIT_MS);

		if (n == 0)
			return -ETIMEDOUT;
		for (int i = 0; i < n; i++)
			slot_handle(churn, events[i].data.ptr, events[i].events);
	}
	return 0;
}

// p99 of `count` connections from `first` on, without the failed ones.
static uint32_t churn_p99_us(const struct churn *churn, uint32_t first, uint32_t count)
{
	uint32_t *values = calloc(count, sizeof(*values));
	uint32_t used = 0, result;

	if (values == NULL)
		return 0;
	for (uint32_t i = first; i < first + count; i++)
		if (churn->latency_us[i] > 0)
			values[used++] = churn->latency_us[i];
	result = client_percentile(values, used, 99);
	free(values);
	return result;
}

static void churn_print(const struct churn *churn, uint64_t elapsed_ns)
{
	uint32_t edge = churn->count < 2 * EDGE ? churn->count / 2 : EDGE;

	printf("{\"connections\": %u, \"failed\": %u, \"no_address\": %u, \"seconds\": %.3f, "
	       "\"first_p99_us\": %u, \"last_p99_us\": %u}\n",
		churn->done, churn->failed, churn->no_address, (double)elapsed_ns / 1e9,
		churn_p99_us(churn, 0, edge), churn_p99_us(churn, churn->count - edge, edge));
}

int main(int argc, char **argv)
{
	struct churn churn = {0};
	uint64_t start_ns;
	int code;

	if (argc != 3) {
		fprintf(stderr, "usage: churn PORT COUNT\n");
		return 2;
	}
	churn.address = client_loopback((uint16_t)client_parse_argument("PORT", argv[1], 65535));
	churn.count = client_parse_argument("COUNT", argv[2], 10000000);
	churn.latency_us = calloc(churn.count, sizeof(*churn.latency_us));
	churn.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	churn.answer_length = client_learn_answer_length(&churn.address);
	if (churn.latency_us == NULL || churn.epoll_fd < 0 || churn.answer_length == 0) {
		fprintf(stderr, "churn: no answer from port %s\n", argv[1]);
		return 1;
	}
	start_ns = client_now_ns();
	code = churn_run(&churn);
	if (code < 0)
		fprintf(stderr, "churn: stopped after %u connections: %s\n", churn.done,
			strerror(-code));
	churn_print(&churn, client_now_ns() - start_ns);
	return code < 0;
}
