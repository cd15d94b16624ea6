// test_turn.c: what one turn of a worker may receive: the buffers that the kernel gets, and the
// part of a bulk flow beside one that says little.

#include "engine/ring_buffers.h"
#include "tests/unit/worker_rig.h"

#include <criterion/criterion.h>

// --- buffers in the kernel's ring

static void turns(struct rk_ring_buffers *buffers, unsigned count, unsigned receives)
{
	while (count--) {
		buffers->receives = receives;
		ring_buffers_adapt(buffers);
	}
}

Test(turn, few_receives_get_few_buffers_and_many_get_many_at_once)
{
	struct rk_ring_buffers buffers = {.most = 128, .ready = 128};

	turns(&buffers, 100, 1);
	cr_expect_eq(buffers.ready, 16);
	turns(&buffers, 1, 8);
	cr_expect_eq(buffers.ready, 32);
	turns(&buffers, 1, 1000);
	cr_expect_eq(buffers.ready, 128);
	turns(&buffers, 1, 0);
	cr_expect_eq(buffers.ready, 114, "%u, down by an eighth", buffers.ready);
	turns(&buffers, 100, 0);
	cr_expect_eq(buffers.ready, 16);
}

Test(turn, a_receive_that_found_no_buffer_counts)
{
	struct rk_ring_buffers buffers = {.most = 128, .ready = 16};

	for (unsigned i = 0; i < 20; i++)
		ring_buffers_missed(&buffers);
	ring_buffers_adapt(&buffers);
	cr_expect_eq(buffers.ready, 80);
}

Test(turn, a_small_pool_keeps_its_size)
{
	struct rk_ring_buffers buffers = {.most = 8, .ready = 8};

	turns(&buffers, 10, 0);
	cr_expect_eq(buffers.ready, 8);
	turns(&buffers, 10, 100);
	cr_expect_eq(buffers.ready, 8);
}

// --- bulk beside talk

#define BULK       (256 * 1024)
#define TURN_BYTES (1024 * 1024) // of engine/tcp_move.c

// The flow receives `in` bytes from the client and `out` from its server, and passes them on.
static void exchange(struct rig *rig, uint32_t in, uint32_t out)
{
	if (in > 0)
		fake_answer_bytes(fake_index_of(OP_TCP_RECEIVE_IN), in, 0);
	if (out > 0)
		fake_answer_bytes(fake_index_of(OP_TCP_RECEIVE_OUT), out, 0);
	rig_turns(rig, 1);
	if (in > 0)
		fake_answer(OP_TCP_SEND_IN, (int)in, 0);
	if (out > 0)
		fake_answer(OP_TCP_SEND_OUT, (int)out, 0);
	rig_turns(rig, 1);
}

// What the next receive from the client may bring.
static size_t receive_most(void)
{
	return fake_find(OP_TCP_RECEIVE_IN)->length;
}

Test(turn, bulk_alone_is_not_limited)
{
	struct rig rig;

	rig_open(&rig, SOCK_STREAM, 1);
	rig_open_tcp_flow(&rig);
	for (unsigned i = 0; i < 5; i++)
		exchange(&rig, BULK, 0);
	cr_expect_gt(receive_most(), TURN_BYTES);
	rig_close(&rig, "bulk alone");
}

Test(turn, bulk_beside_talk_gets_its_part_until_the_talk_has_ended)
{
	struct rig rig;

	rig_open(&rig, SOCK_STREAM, 1);
	rig_open_tcp_flow(&rig);
	exchange(&rig, 0, 100);
	exchange(&rig, BULK, 0);
	exchange(&rig, BULK, 100);
	cr_expect_leq(receive_most(), TURN_BYTES);
	cr_expect_geq(receive_most(), 64 * 1024);
	for (unsigned i = 0; i < 40; i++)
		exchange(&rig, BULK, 0);
	cr_expect_gt(receive_most(), TURN_BYTES);
	rig_close(&rig, "bulk beside talk");
}
