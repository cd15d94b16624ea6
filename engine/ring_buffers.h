// ring_buffers.h: a pool of receive buffers that the kernel takes from in ring order.
//
// How it works: the memory is one mapping, touched only as far as it is used. Buffers that the
// kernel may fill stand in a ring (struct io_uring_buf_ring); a receive that spans buffers takes
// them in that order and reports only the first, so the order in which they were put in is kept
// here. For ring_uring.c only.
#pragma once

#include <liburing.h>
#include <stdint.h>

struct rk_ring_buffers {
	struct io_uring_buf_ring *entries; // shared with the kernel
	unsigned char *memory;
	uint32_t count; // a power of two
	uint32_t size;	// of one buffer, bytes
	uint16_t tail;	// position of the next one put in
	uint16_t group;
	uint16_t *order;    // [position] buffer
	uint16_t *position; // [buffer] position where it was put in last
};

// 0 or -errno; ring_buffers_close() is safe after a failure.
int ring_buffers_open(struct rk_ring_buffers *buffers, struct io_uring *ring, uint16_t group,
	uint32_t count, uint32_t size);
void ring_buffers_close(struct rk_ring_buffers *buffers, struct io_uring *ring);

void ring_buffers_put(struct rk_ring_buffers *buffers, uint32_t buffer);

static inline unsigned char *ring_buffers_data(
	const struct rk_ring_buffers *buffers, uint32_t buffer)
{
	return buffers->memory + (size_t)buffer * buffers->size;
}
static inline uint32_t ring_buffers_next(const struct rk_ring_buffers *buffers, uint32_t buffer)
{
	return buffers->order[(buffers->position[buffer] + 1u) & (buffers->count - 1)];
}
