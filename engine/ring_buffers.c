// ring_buffers.c: a pool of receive buffers that the kernel takes from in ring order.

#include "engine/ring_buffers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static void *map_lazily(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void ring_buffers_put(struct rk_ring_buffers *buffers, uint32_t buffer)
{
	uint32_t at = buffers->tail & (buffers->count - 1);

	buffers->order[at] = (uint16_t)buffer;
	buffers->position[buffer] = (uint16_t)at;
	io_uring_buf_ring_add(buffers->entries, ring_buffers_data(buffers, buffer), buffers->size,
		(unsigned short)buffer, (int)(buffers->count - 1), 0);
	io_uring_buf_ring_advance(buffers->entries, 1);
	buffers->tail++;
}

int ring_buffers_open(struct rk_ring_buffers *buffers, struct io_uring *ring, uint16_t group,
	uint32_t count, uint32_t size)
{
	struct io_uring_buf_reg registration = {.ring_entries = count, .bgid = group};
	int result;

	*buffers = (struct rk_ring_buffers){.count = count, .size = size, .group = group};
	buffers->entries = map_lazily(count * sizeof(struct io_uring_buf));
	buffers->memory = map_lazily((size_t)count * size);
	buffers->order = calloc(count, sizeof(*buffers->order));
	buffers->position = calloc(count, sizeof(*buffers->position));
	if (!buffers->entries || !buffers->memory || !buffers->order || !buffers->position)
		return -ENOMEM;
	registration.ring_addr = (uintptr_t)buffers->entries;
	result = io_uring_register_buf_ring(ring, &registration, 0);
	if (result < 0)
		return result;
	io_uring_buf_ring_init(buffers->entries);
	for (uint32_t buffer = 0; buffer < count; buffer++)
		ring_buffers_put(buffers, buffer);
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
	free(buffers->order);
	free(buffers->position);
	*buffers = (struct rk_ring_buffers){0};
}
