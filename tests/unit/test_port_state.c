// Unit tests: what state a port is in, and the record of its last error.

#include "engine/port_state.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct rk_share *make_share(void)
{
	struct rk_share *share = calloc(1, sizeof(*share) + 2 * sizeof(share->listeners[0]));

	cr_assert(share);
	share->listener_count = 2;
	return share;
}

static struct rk_port_stats conclude(struct rk_share *a, struct rk_share *b, bool broken)
{
	struct rk_port_view view = {0};
	struct rk_port_stats stats = {.state = PORT_LISTENING};

	port_view_add(&view, a, false);
	port_view_add(&view, b, broken);
	port_view_conclude(&view, &stats);
	return stats;
}

static void expect_state(struct rk_share *a, struct rk_share *b, enum rk_port_state state,
	enum rk_port_reason reason)
{
	struct rk_port_stats stats = conclude(a, b, false);
	char text[256];

	cr_expect_eq(stats.state, state, "%s", port_state_name(stats.state));
	cr_expect_eq(stats.reason, reason);
	cr_expect_eq(
		port_reason_text(&stats, text, sizeof(text))[0] == '\0', state == PORT_LISTENING);
}

Test(port_state, is_the_worst_of_all_listeners)
{
	struct rk_share *a = make_share(), *b = make_share();
	struct rk_listener *listener = &b->listeners[1];

	expect_state(a, b, PORT_LISTENING, REASON_NONE);
	listener->starved = true;
	expect_state(a, b, PORT_PAUSED, REASON_BUFFERS);
	listener->held = true;
	expect_state(a, b, PORT_PAUSED, REASON_PENDING);
	listener->full = true;
	expect_state(a, b, PORT_PAUSED, REASON_FLOWS);
	listener->full = listener->held = false;
	listener->error = EMFILE;
	expect_state(a, b, PORT_PAUSED, REASON_ERROR);
	listener->error = EBADF;
	expect_state(a, b, PORT_FAILED, REASON_ERROR);
	cr_expect_eq(conclude(a, b, true).reason, REASON_WORKER);
	free(a);
	free(b);
}

Test(port_state, the_latest_client_of_any_worker_decides)
{
	struct rk_share *a = make_share(), *b = make_share();

	verdict_set(&a->counters.reached, 1000, false);
	expect_state(a, b, PORT_FAILED, REASON_TARGET);
	verdict_set(&b->counters.reached, 999, true);
	expect_state(a, b, PORT_FAILED, REASON_TARGET);
	verdict_set(&b->counters.reached, 1001, true);
	expect_state(a, b, PORT_LISTENING, REASON_NONE);
	verdict_set(&a->counters.shown, 1001, false);
	expect_state(a, b, PORT_DOWNGRADED, REASON_SOURCE);
	verdict_set(&b->counters.shown, 1001, true);
	expect_state(a, b, PORT_LISTENING, REASON_NONE);
	free(a);
	free(b);
}

// --- the record of the last error

static void fill_client(struct rk_addr *client, unsigned n)
{
	memset(client, 0, sizeof(*client));
	client->in6.sin6_family = AF_INET6;
	client->in6.sin6_port = htons((uint16_t)n);
	memset(&client->in6.sin6_addr, (int)(n & 0xff), sizeof(client->in6.sin6_addr));
}

#define RECORD_READS 300000u
#define NUMBER_MAX   30000u

static struct rk_error_record shared_record;
static atomic_bool writer_stops;

// Every field carries the same number.
static void *write_records(void *argument)
{
	struct rk_addr client;

	for (unsigned n = 1; !writer_stops; n = n % NUMBER_MAX + 1) {
		fill_client(&client, n);
		error_record_write(&shared_record, (enum rk_error_phase)(n % ERROR_PHASES), (int)n,
			&client, n);
	}
	return argument;
}

Test(last_error, readers_never_see_half_a_record)
{
	struct rk_last_error error;
	struct rk_addr expected;
	unsigned differences = 0;
	pthread_t writer;

	error_record_read(&shared_record, &error);
	cr_assert_eq(error.code, 0);
	cr_assert_eq(pthread_create(&writer, NULL, write_records, NULL), 0);
	while (error.code == 0)
		error_record_read(&shared_record, &error);
	for (unsigned i = 0; i < RECORD_READS; i++) {
		error_record_read(&shared_record, &error);
		fill_client(&expected, (unsigned)error.code);
		if (error.at_ms != (uint64_t)error.code ||
			error.phase != (unsigned)error.code % ERROR_PHASES ||
			memcmp(&error.client, &expected, sizeof(expected)) != 0)
			differences++;
	}
	writer_stops = true;
	pthread_join(writer, NULL);
	cr_expect_eq(differences, 0, "%u of %u", differences, RECORD_READS);
}

Test(last_error, knows_errors_of_no_client)
{
	static struct rk_error_record record;
	struct rk_last_error error;

	error_record_write(&record, ERROR_ACCEPT, EMFILE, NULL, 5);
	error_record_read(&record, &error);
	cr_expect_eq(error.client.sa.sa_family, AF_UNSPEC);
	cr_expect_eq(error.code, EMFILE);
	cr_expect_str_eq(error_phase_name(error.phase), "accept");
}
