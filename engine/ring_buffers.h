// ring_buffers.h: a pool of receive buffers that the kernel takes from in ring order.
//
// How it works: of `count` buffers, at most `most` stand in the ring that the kernel takes from
// (struct io_uring_buf_ring); the others are free, marked in a bitmap. The ring is topped up before
// each enter, always with the lowest free buffers: the same few are used again while they are in
// the processor's cache, memory is touched only as far as it was ever needed, and neighbours in the
// ring are neighbours in memory. What is in the ring also bounds what one turn of a worker can
// receive.
//
// The kernel takes the buffers in turn, so all that stand there pass through the cache. Many
// receives of a little need one each; a few of very much do with few, which then stay in the cache.
// So their number follows that of the receives, see ring_buffers_adapt().
//
// A receive that spans buffers takes them in ring order and reports only the first, so the order in
// which they were put in is kept here. For ring_uring*.c only.
#pragma once

#include <liburing.h>
#include <stdint.h>

struct rk_ring_buffers {
	struct io_uring_buf_ring *entries; // shared with the kernel
	unsigned char *memory;
	uint64_t *free_map; // a bit per buffer
	uint32_t count;     // a power of two
	uint32_t size;      // of one buffer, bytes
	uint32_t most;      // how many the kernel ever gets
	uint32_t ready;     // how many it gets now
	uint32_t stocked;   // how many it has
	uint32_t receives;  // completions of this turn that took buffers, or found none
	uint32_t free;      // in the bitmap
	uint16_t tail;      // position of the next one put in
	uint16_t group;
	uint16_t *order;    // [position] buffer
	uint16_t *position; // [buffer] position where it was put in last
};

// 0 or -errno; ring_buffers_close() is safe after a failure.
int ring_buffers_open(struct rk_ring_buffers *buffers, struct io_uring *ring, uint16_t group,
	uint32_t count, uint32_t size, uint32_t most);
void ring_buffers_close(struct rk_ring_buffers *buffers, struct io_uring *ring);

// Tops the kernel's ring up.
void ring_buffers_stock(struct rk_ring_buffers *buffers);
// A completion took the buffers of `length` bytes.
void ring_buffers_took(struct rk_ring_buffers *buffers, uint32_t length);
// A completion found none.
static inline void ring_buffers_missed(struct rk_ring_buffers *buffers)
{
	buffers->receives++;
}
// Once a turn, after its completions: how many the kernel gets from now on.
void ring_buffers_adapt(struct rk_ring_buffers *buffers);

// Gives the memory back to the system when nobody holds a buffer.
void ring_buffers_trim(struct rk_ring_buffers *buffers);

static inline void ring_buffers_release(struct rk_ring_buffers *buffers, uint32_t buffer)
{
	buffers->free_map[buffer / 64] |= UINT64_C(1) << buffer % 64;
	buffers->free++;
}
static inline unsigned char *ring_buffers_data(
	const struct rk_ring_buffers *buffers, uint32_t buffer)
{
	return buffers->memory + (size_t)buffer * buffers->size;
}
static inline uint32_t ring_buffers_next(const struct rk_ring_buffers *buffers, uint32_t buffer)
{
	return buffers->order[(buffers->position[buffer] + 1u) & (buffers->count - 1)];
}

// The kernel names a buffer by 16 bits: the highest tells the group, so that a completion shows
// which pool it took from.
#define RING_BUFFERS_MAX 32768u
static inline uint16_t ring_buffers_id(const struct rk_ring_buffers *buffers, uint32_t buffer)
{
	return (uint16_t)(buffers->group << 15 | buffer);
}
