// ring_epoll_buffers.c: a pool of receive buffers for the ring on epoll.

#include "engine/ring_epoll_buffers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

int ring_epoll_buffers_open(struct rk_epoll_buffers *buffers, uint32_t count, uint32_t size)
{
	void *memory = mmap(NULL, (size_t)count * size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*buffers = (struct rk_epoll_buffers){.count = count, .size = size, .head = RING_NO_BUFFER};
	if (memory == MAP_FAILED)
		return -ENOMEM;
	buffers->memory = memory;
	buffers->next = calloc(count, sizeof(*buffers->next));
	if (!buffers->next)
		return -ENOMEM;
	for (uint32_t buffer = count; buffer > 0; buffer--)
		ring_epoll_buffers_put(buffers, buffer - 1);
	return 0;
}

void ring_epoll_buffers_close(struct rk_epoll_buffers *buffers)
{
	if (buffers->memory)
		munmap(buffers->memory, (size_t)buffers->count * buffers->size);
	free(buffers->next);
	*buffers = (struct rk_epoll_buffers){0};
}

unsigned ring_epoll_buffers_peek(
	const struct rk_epoll_buffers *buffers, struct iovec *iov, unsigned count)
{
	uint32_t buffer = buffers->head;

	if (count > buffers->free)
		count = buffers->free;
	for (unsigned i = 0; i < count; i++) {
		iov[i].iov_base = ring_epoll_buffers_data(buffers, buffer);
		iov[i].iov_len = buffers->size;
		buffer = buffers->next[buffer];
	}
	return count;
}

uint32_t ring_epoll_buffers_take(struct rk_epoll_buffers *buffers, unsigned count)
{
	uint32_t first = buffers->head;

	for (unsigned i = 0; i < count; i++)
		buffers->head = buffers->next[buffers->head];
	buffers->free -= count;
	return first;
}

void ring_epoll_buffers_put(struct rk_epoll_buffers *buffers, uint32_t buffer)
{
	buffers->next[buffer] = buffers->head;
	buffers->head = buffer;
	buffers->free++;
}

void ring_epoll_buffers_trim(struct rk_epoll_buffers *buffers)
{
	if (buffers->free == buffers->count)
		madvise(buffers->memory, (size_t)buffers->count * buffers->size, MADV_DONTNEED);
}
