// test_full_worker.c: a worker that has no free flow: whom it accepts, who waits, and who is next.

#include "tests/unit/worker_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define OTHER_PORT 8

static bool is_reset(int peer)
{
	int error = 0;
	socklen_t length = sizeof(error);

	getsockopt(peer, SOL_SOCKET, SO_ERROR, &error, &length);
	return error == ECONNRESET;
}

// Flows for one client, and so many clients that the kernel has accepted: peers[2] and so on.
static void fill_worker(struct rig *rig, unsigned clients)
{
	rig_open(rig, SOCK_STREAM, 1);
	rig->worker.options.max_flows = 1;
	worker_fit_flows(&rig->worker);
	rig_add_socket(rig, SOCKET_TCP4);
	rig_add_socket(rig, SOCKET_TCP4);
	for (unsigned i = 0; i < clients; i++)
		rig_add_client(rig);
	rig_turns(rig, 2);
	cr_expect_null(fake_find(OP_ACCEPT));
	cr_expect_eq(rig_count(rig, COUNT_ROOM_WAITS), 1);
}

Test(full_worker, stops_accepting_until_a_flow_ends)
{
	struct rig rig;

	fill_worker(&rig, 1);
	fake_answer(OP_TCP_CONNECT, -ECONNREFUSED, 0);
	rig_turns(&rig, 1);
	cr_assert_not_null(fake_find(OP_ACCEPT));
	cr_expect(fake_find(OP_ACCEPT)->once);
	rig_close(&rig, "full");
}

// The client of an accept that was in flight when others took the last flow.
Test(full_worker, parks_a_client_and_serves_it_first)
{
	struct rig rig;

	fill_worker(&rig, 3); // a burst: only one of them can be parked
	cr_expect_eq(rig_count(&rig, COUNT_FAILED), 1);
	cr_expect_not(is_reset(rig.peers[3]));
	cr_expect(is_reset(rig.peers[4]));
	fake_answer(OP_TCP_CONNECT, -ECONNREFUSED, 0);
	rig_turns(&rig, 1);
	cr_expect_null(fake_find(OP_ACCEPT));
	cr_expect_eq(rig_count(&rig, COUNT_ROOM_WAITS), 2);
	fake_answer(OP_TCP_CONNECT, 0, 0);
	rig_turns(&rig, 1);
	cr_expect_eq(rig_flows(&rig), 1);
	fake_answer(OP_TCP_RECEIVE_IN, -ECONNRESET, 0);
	rig_turns(&rig, 2);
	cr_expect_not_null(fake_find(OP_ACCEPT));
	rig_close(&rig, "parked");
}

Test(full_worker, a_parked_client_goes_with_its_port)
{
	struct rig rig;

	fill_worker(&rig, 2);
	rig_remove_port(&rig);
	rig_turns(&rig, 1);
	cr_expect_eq(rig.removal.result, 0);
	cr_expect(is_reset(rig.peers[3]));
	rig_close(&rig, "parked, removed");
}

// The listener's own clients took none of it.
Test(full_worker, little_room_ends_a_multishot_accept)
{
	struct rig rig;

	rig_open(&rig, SOCK_STREAM, 1);
	cr_expect_not(fake_find(OP_ACCEPT)->once);
	rig.worker.flow_limit = 100;
	rig_turns(&rig, 2);
	cr_expect(fake_find(OP_ACCEPT)->once);
	rig_close(&rig, "little room");
}

// The listeners' table is full: the port that cannot be added is removed, and nothing else closed.
Test(full_worker, has_no_place_for_a_listener)
{
	struct rk_share *share = calloc(1, sizeof(*share) + sizeof(struct rk_listener));
	struct rk_command addition = {.type = COMMAND_ADD, .share = share};
	struct rk_command removal = {.type = COMMAND_REMOVE, .id = OTHER_PORT};
	struct rig rig;

	cr_assert(share);
	rig_open(&rig, SOCK_STREAM, 1);
	share->forward.id = OTHER_PORT;
	share->forward.socktype = SOCK_STREAM;
	share->open_listeners = share->listener_count = 1;
	share->listeners[0].share = share;
	share->listeners[0].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rig.worker.listener_slots = rig.worker.first_free_listener = WORKER_LISTENERS_MAX;
	rig_command(&rig, &addition);
	rig_command(&rig, &removal);
	rig_turns(&rig, 2);
	cr_expect_eq(addition.result, -ENOSPC);
	cr_expect_eq(removal.result, 0);
	cr_expect_eq(share->counters.values[COUNT_FAILED], 0);
	rig_close(&rig, "no place");
	free(share);
}

// --- a parked client on each of many listeners, and nobody can be served

// Clients stay below 1024 descriptors.
#define LISTENERS  900
#define STACK_SIZE (32 * 1024)

static struct rig many_rig;

static struct rk_share *add_many_listeners(struct rig *rig)
{
	struct rk_share *share = calloc(1, sizeof(*share) + LISTENERS * sizeof(struct rk_listener));
	struct rk_command command = {.type = COMMAND_ADD, .share = share};

	cr_assert(share);
	share->forward = rig->share->forward;
	share->forward.id = OTHER_PORT;
	share->open_listeners = share->listener_count = LISTENERS;
	for (unsigned i = 0; i < LISTENERS; i++) {
		share->listeners[i].share = share;
		share->listeners[i].addr = rig->share->listeners[0].addr;
		share->listeners[i].fd = -1; // the fake ring needs none
	}
	rig_command(rig, &command);
	rig_turns(rig, 1);
	cr_assert_eq(command.result, 0);
	return share;
}

static void *refuse_the_first(void *argument)
{
	fake_answer(OP_TCP_CONNECT, -ECONNREFUSED, 0);
	rig_turns(&many_rig, 2);
	return argument;
}

// Each one's end makes room for the next: one after the other, not one inside the other.
Test(full_worker, gives_up_many_parked_clients_on_a_small_stack)
{
	struct rk_command removal = {.type = COMMAND_REMOVE, .id = OTHER_PORT};
	struct rk_share *share;
	pthread_attr_t attributes;
	pthread_t thread;

	fill_worker(&many_rig, 1);
	share = add_many_listeners(&many_rig);
	for (unsigned i = 0; i < LISTENERS; i++)
		fake_answer(OP_ACCEPT, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 0);
	rig_turns(&many_rig, 1);
	cr_expect_eq(share->counters.values[COUNT_TOTAL], 0);
	close(pool_take(&many_rig.worker.pool, &many_rig.worker.timers, SOCKET_TCP4));
	many_rig.worker.pool.kinds[SOCKET_TCP4].error = EMFILE;

	pthread_attr_init(&attributes);
	cr_assert_eq(pthread_attr_setstacksize(&attributes, STACK_SIZE), 0);
	cr_assert_eq(pthread_create(&thread, &attributes, refuse_the_first, NULL), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attributes);

	cr_expect_eq(share->counters.values[COUNT_FAILED], LISTENERS);
	cr_expect(list_is_empty(&many_rig.worker.full_listeners));
	rig_command(&many_rig, &removal);
	rig_turns(&many_rig, 3);
	cr_expect_eq(removal.result, 0);
	rig_close(&many_rig, "many parked");
	free(share);
}
