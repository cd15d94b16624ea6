// ring_fake.h: a ring whose operations complete when and how the test says, and which watches that
// the data plane keeps the rules of engine/ring.h.
//
// How it works: what is asked for is written down and stays until the test answers it. fake wait
// hands over what was answered since the last one, without sleeping. Cancelled operations complete
// with -ECANCELED in the next wait, or wait for their answer like all others (fake_hold_cancelled).
// Descriptors are the test's own and are closed for real. One ring at a time in a process.
#pragma once

#include "engine/ring_ops.h"
#include "engine/worker.h"

struct fake_operation {
	uint64_t tag;
	int fd;
	size_t length; // of a send, or of a receive at most, bytes
	bool once;     // a single accept
	bool cancelled;
};

extern bool fake_hold_cancelled;
extern int fake_wait_error; // what the next ring_wait() ends with, 0 = it works

struct rk_ring *fake_ring_open(void);

// What waits for its answer, the oldest first.
unsigned fake_count(void);
struct fake_operation *fake_at(unsigned index);
// The oldest operation of that kind; NULL when none is there.
struct fake_operation *fake_find(enum rk_operation operation);

// Completes the oldest operation of that kind, which must be there; with `flags` RING_MORE it goes
// on. Handed over by the next ring_wait().
void fake_answer(enum rk_operation operation, int result, uint32_t flags);
void fake_answer_at(unsigned index, int result, uint32_t flags);
// The same with bytes of a stream, in as many buffers as it takes.
void fake_answer_bytes(unsigned index, uint32_t length, uint32_t flags);
// The same with a datagram; `source` NULL for connected sockets.
void fake_answer_datagram(
	unsigned index, const struct rk_addr *source, uint32_t length, uint32_t flags);
// A completion that nobody asked for.
void fake_complete(uint64_t tag, int result);

// How often all operations of a descriptor were cancelled, which the kernel searches for.
unsigned fake_searches(void);

unsigned fake_index_of(enum rk_operation operation); // it must be there
uint32_t fake_buffers_held(enum rk_ring_pool pool);
