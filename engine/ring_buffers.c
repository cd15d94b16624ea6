// ring_buffers.c: a pool of receive buffers that the kernel takes from in ring order.

#include "engine/ring_buffers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

// Half a megabyte of stream buffers, for a single flow.
#define READY_LEAST 16u
// For each receive of a turn: the next turn may have more of them.
#define READY_EACH 4u

static void *map_lazily(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static uint32_t take_lowest(struct rk_ring_buffers *buffers)
{
	uint32_t word = 0;
	uint32_t bit;

	while (!buffers->free_map[word])
		word++;
	bit = (uint32_t)__builtin_ctzll(buffers->free_map[word]);
	buffers->free_map[word] &= buffers->free_map[word] - 1;
	buffers->free--;
	return word * 64 + bit;
}

void ring_buffers_stock(struct rk_ring_buffers *buffers)
{
	int mask = (int)(buffers->count - 1);
	int added = 0;

	while (buffers->stocked < buffers->ready && buffers->free > 0) {
		uint32_t buffer = take_lowest(buffers);
		uint32_t at = buffers->tail & (buffers->count - 1);

		buffers->order[at] = (uint16_t)buffer;
		buffers->position[buffer] = (uint16_t)at;
		io_uring_buf_ring_add(buffers->entries, ring_buffers_data(buffers, buffer),
			buffers->size, ring_buffers_id(buffers, buffer), mask, added++);
		buffers->tail++;
		buffers->stocked++;
	}
	if (added > 0)
		io_uring_buf_ring_advance(buffers->entries, added);
}

void ring_buffers_took(struct rk_ring_buffers *buffers, uint32_t length)
{
	buffers->receives++;
	buffers->stocked -=
		length > buffers->size ? (length + buffers->size - 1) / buffers->size : 1;
}

static uint32_t between(uint32_t least, uint32_t value, uint32_t most)
{
	if (value < least)
		value = least;
	return value < most ? value : most;
}

// Up at once, down slowly: the number of receives changes from turn to turn.
void ring_buffers_adapt(struct rk_ring_buffers *buffers)
{
	uint32_t wanted = between(READY_LEAST, READY_EACH * buffers->receives, buffers->most);

	if (wanted > buffers->ready)
		buffers->ready = wanted;
	else
		buffers->ready -= (buffers->ready - wanted + 7) / 8;
	buffers->receives = 0;
}

void ring_buffers_trim(struct rk_ring_buffers *buffers)
{
	if (buffers->free + buffers->stocked == buffers->count)
		madvise(buffers->memory, (size_t)buffers->count * buffers->size, MADV_DONTNEED);
}

int ring_buffers_open(struct rk_ring_buffers *buffers, struct io_uring *ring, uint16_t group,
	uint32_t count, uint32_t size, uint32_t most)
{
	struct io_uring_buf_reg registration = {.ring_entries = count, .bgid = group};
	int result;

	*buffers = (struct rk_ring_buffers){
		.count = count, .size = size, .most = most ? most : count, .group = group};
	buffers->ready = buffers->most;
	buffers->entries = map_lazily(count * sizeof(struct io_uring_buf));
	buffers->memory = map_lazily((size_t)count * size);
	buffers->free_map = calloc((count + 63) / 64, sizeof(*buffers->free_map));
	buffers->order = calloc(count, sizeof(*buffers->order));
	buffers->position = calloc(count, sizeof(*buffers->position));
	if (!buffers->entries || !buffers->memory || !buffers->free_map || !buffers->order ||
		!buffers->position)
		return -ENOMEM;
	registration.ring_addr = (uintptr_t)buffers->entries;
	result = io_uring_register_buf_ring(ring, &registration, 0);
	if (result < 0)
		return result;
	io_uring_buf_ring_init(buffers->entries);
	for (uint32_t buffer = 0; buffer < count; buffer++)
		ring_buffers_release(buffers, buffer);
	return 0;
}

void ring_buffers_close(struct rk_ring_buffers *buffers, struct io_uring *ring)
{
	if (!buffers->count)
		return;
	io_uring_unregister_buf_ring(ring, buffers->group);
	if (buffers->entries)
		munmap(buffers->entries, buffers->count * sizeof(struct io_uring_buf));
	if (buffers->memory)
		munmap(buffers->memory, (size_t)buffers->count * buffers->size);
	free(buffers->free_map);
	free(buffers->order);
	free(buffers->position);
	*buffers = (struct rk_ring_buffers){0};
}
