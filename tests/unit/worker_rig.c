// worker_rig.c: a worker without a thread, on the fake ring, with one port and real sockets.

#include "tests/unit/worker_rig.h"

#include "base/fd.h"
#include "base/msg.h"
#include "tests/unit/ring_support.h"

#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PORT_ID     7
#define NO_ANSWER   1
#define TARGET_PORT 9

unsigned rig_open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	cr_assert_not_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

// Closed with a reset: thousands of them would take all ports of the loopback address for a minute.
static int keep_peer(struct rig *rig, int fd)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	cr_assert_lt(rig->peer_count, RIG_PEERS_MAX);
	return rig->peers[rig->peer_count++] = fd;
}

void rig_command(struct rig *rig, struct rk_command *command)
{
	command->result = NO_ANSWER;
	sem_init(&command->done, 0, 0);
	cr_assert_eq(write(rig->worker.mailbox[1], &command, sizeof(command)), sizeof(command));
	fake_answer(OP_MAILBOX, POLLIN, RING_MORE);
}

void rig_turns(struct rig *rig, unsigned count)
{
	while (count-- > 0)
		cr_assert_eq(worker_turn(&rig->worker), 0);
}

// --- opening

static void add_port(struct rig *rig, int socktype, unsigned targets)
{
	struct rk_share *share = calloc(1, sizeof(struct rk_share) + sizeof(struct rk_listener));
	struct rk_command command = {.type = COMMAND_ADD, .share = share};
	struct rk_listener *listener = &share->listeners[0];

	share->forward = (struct rk_forward){.id = PORT_ID,
		.socktype = socktype,
		.port_count = 1,
		.source_ip = SOURCE_IP_OFF,
		.target_count = targets};
	for (unsigned i = 0; i < targets; i++)
		cr_assert_eq(
			addr_parse(&share->forward.targets[i], "127.0.0.1", 9, TARGET_PORT), 0);
	share->open_listeners = share->listener_count = 1;
	listener->share = share;
	listener->fd = socktype == SOCK_STREAM ? ring_test_open_listener(&listener->addr)
					       : ring_test_open_bound(SOCK_DGRAM, &listener->addr);
	rig->share = share;
	rig_command(rig, &command);
	rig_turns(rig, 1);
	cr_assert_eq(command.result, 0);
}

void rig_open(struct rig *rig, int socktype, unsigned targets)
{
	struct rk_worker *worker = &rig->worker;

	memset(rig, 0, sizeof(*rig));
	rig->descriptors = rig_open_descriptors();
	worker->options = (struct rk_plane_options){.max_flows = 5000,
		.descriptors = 20000,
		.pool_size = 4,
		.connect_timeout_ms = 600000,
		.udp_idle_timeout_ms = 600000};
	worker->notice = &rig->notice;
	rig->notice.fd = eventfd(0, EFD_CLOEXEC);
	worker->helper_lost_fd = eventfd(0, EFD_CLOEXEC);
	worker->ring = fake_ring_open();
	cr_assert_eq(worker_init(worker), 0);
	cr_assert_eq(worker_open(worker), 0);
	add_port(rig, socktype, targets);
}

// --- sockets

int rig_add_socket(struct rig *rig, enum rk_socket_kind kind)
{
	struct rk_pool *pool = &rig->worker.pool;
	struct rk_addr addr;
	int pair[2];

	if (kind == SOCKET_TCP4) {
		ring_test_open_tcp_pair(pair);
	} else {
		pair[0] = ring_test_open_bound(SOCK_DGRAM, &addr);
		pair[1] = ring_test_open_bound(SOCK_DGRAM, &addr);
	}
	pool->kinds[kind].fds[pool->kinds[kind].count++] = pair[0];
	return keep_peer(rig, pair[1]);
}

int rig_add_helper(struct rig *rig)
{
	struct rk_command command = {.type = COMMAND_HELPER};
	int ends[2];

	cr_assert_eq(msg_channel(ends), 0);
	cr_assert_eq(fd_set_nonblocking(ends[0], true), 0);
	cr_assert_eq(fd_set_nonblocking(ends[1], true), 0);
	command.channel = ends[0];
	rig_command(rig, &command);
	rig_turns(rig, 1);
	return keep_peer(rig, ends[1]);
}

void rig_accept(struct rig *rig, int fd)
{
	fake_answer(OP_ACCEPT, fd, fake_find(OP_ACCEPT)->once ? 0 : RING_MORE);
	rig->clients++;
}

int rig_add_client(struct rig *rig)
{
	struct rk_listener *listener = &rig->share->listeners[0];
	int client = ring_test_open_client(&listener->addr);
	int accepted = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);

	cr_assert_geq(accepted, 0);
	rig_accept(rig, accepted);
	return keep_peer(rig, client);
}

void rig_open_tcp_flow(struct rig *rig)
{
	rig_add_socket(rig, SOCKET_TCP4);
	rig_add_client(rig);
	rig_turns(rig, 1);
	fake_answer(OP_TCP_CONNECT, 0, 0);
	rig_turns(rig, 1);
}

void rig_add_datagram(uint16_t client)
{
	struct rk_addr source;

	cr_assert_eq(addr_parse(&source, "127.0.0.1", 9, (uint16_t)(10000 + client)), 0);
	fake_answer_datagram(fake_index_of(OP_UDP_LISTENER), &source, 100, RING_MORE);
}

void rig_expire(struct rig *rig, enum rk_timer_kind kind)
{
	struct rk_list *list = &rig->worker.timers.kinds[kind].list;

	for (struct rk_node *node = list->head.next; node != &list->head; node = node->next)
		RK_CONTAINER_OF(node, struct rk_timer, node)->deadline_ms = 0;
}

uint64_t rig_count(const struct rig *rig, enum rk_port_counter counter)
{
	return rig->share->counters.values[counter];
}

unsigned rig_flows(const struct rig *rig)
{
	return rig->worker.tcp_flows.used + rig->worker.udp_flows.used;
}

// --- the end

void rig_remove_port(struct rig *rig)
{
	rig->removal = (struct rk_command){.type = COMMAND_REMOVE, .id = PORT_ID};
	rig->removed = true;
	rig_command(rig, &rig->removal);
}

static void expect_nothing_left(const struct rig *rig, const char *about)
{
	const struct rk_worker *worker = &rig->worker;
	unsigned in_flight = 0;

	for (unsigned i = 0; i < fake_count(); i++) {
		uint8_t operation = tag_operation(fake_at(i)->tag);

		in_flight += operation != OP_MAILBOX && operation != OP_HELPER;
	}
	cr_expect_eq(in_flight, 0, "%s: %u operations in flight", about, in_flight);
	cr_expect_eq(rig_flows(rig), 0, "%s: a flow is left", about);
	cr_expect_eq(worker->stream_buffers_held, 0, "%s: stream_buffers_held", about);
	cr_expect_eq(worker->udp_table->firsts, 0, "%s: first datagrams", about);
	for (unsigned i = 0; i < RING_POOL_COUNT; i++)
		cr_expect_eq(fake_buffers_held((enum rk_ring_pool)i), 0, "%s: buffers of pool %u",
			about, i);
	for (unsigned i = 0; i < TIMER_KIND_COUNT; i++)
		cr_expect(list_is_empty(&worker->timers.kinds[i].list), "%s: timer of kind %u",
			about, i);
	for (unsigned i = 0; i < SOCKET_KIND_COUNT; i++)
		cr_expect(list_is_empty(&worker->pool.kinds[i].waiting), "%s: pool's queue", about);
	cr_expect(list_is_empty(&worker->starved), "%s: a flow waits for buffers", about);
	cr_expect(list_is_empty(&worker->ready), "%s: a flow has more to splice", about);
	cr_expect_eq(worker->bulk.free_count, worker->bulk.pipe_count, "%s: pipes", about);
	cr_expect(list_is_empty(&worker->full_listeners), "%s: a listener waits", about);
	cr_expect_not(rig->share->listeners[0].parked, "%s: a client is parked", about);
	cr_expect_eq(rig->share->listeners[0].pending, 0, "%s: a client is pending", about);
	cr_expect(list_is_empty(&worker->udp_table->starved), "%s: UDP flow waits", about);
	cr_expect(list_is_empty(&worker->udp_table->overdue), "%s: UDP flow is overdue", about);
	cr_expect(list_is_empty(&worker->udp_table->starved_listeners), "%s: listener", about);
	for (uint32_t i = 0; i <= worker->udp_table->mask; i++)
		cr_expect_eq(worker->udp_table->buckets[i], 0, "%s: bucket", about);
}

static void expect_counters(const struct rig *rig, const char *about)
{
	cr_expect_eq(rig_count(rig, COUNT_OPEN), 0, "%s: open flows counted", about);
	cr_expect_eq(rig_count(rig, COUNT_TOTAL), rig->clients, "%s: total is %lu of %lu", about,
		rig_count(rig, COUNT_TOTAL), rig->clients);
	cr_expect_eq(rig->worker.stale_completions, 0, "%s: stale completions", about);
}

void rig_close(struct rig *rig, const char *about)
{
	struct rk_worker *worker = &rig->worker;

	fake_hold_cancelled = false;
	if (!rig->removed)
		rig_remove_port(rig);
	rig_turns(rig, 3);
	worker_drain(worker);
	cr_expect_eq(rig->removal.result, 0, "%s: the removal was not answered", about);
	cr_expect_eq(worker->retired, rig->share, "%s: the port is not retired", about);
	expect_nothing_left(rig, about);
	expect_counters(rig, about);
	for (unsigned i = 0; i < rig->peer_count; i++)
		close(rig->peers[i]);
	worker_close(worker);
	worker_free(worker);
	close(rig->notice.fd);
	close(worker->helper_lost_fd);
	free(rig->share);
	cr_expect_eq(rig_open_descriptors(), rig->descriptors, "%s: descriptors %u, before %u",
		about, rig_open_descriptors(), rig->descriptors);
}
