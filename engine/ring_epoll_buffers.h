// ring_epoll_buffers.h: a pool of receive buffers for the ring on epoll; for ring_epoll*.c only.
//
// How it works: free buffers form one chain, last released first, so that a busy worker goes on
// using the same few, which are warm in the cache. A receive fills buffers from the head of the
// chain in its order and then takes those that it used; their links stay, so the chain also tells
// which buffer of a completion follows which.
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#define RING_NO_BUFFER UINT32_MAX

struct rk_epoll_buffers {
	unsigned char *memory; // one mapping, touched only as far as it is used
	uint32_t *next;        // [buffer] the one behind it
	uint32_t head;         // first free buffer
	uint32_t count;
	uint32_t free;
	uint32_t size; // of one buffer, bytes
};

// 0 or -ENOMEM; ring_epoll_buffers_close() is safe after a failure.
int ring_epoll_buffers_open(struct rk_epoll_buffers *buffers, uint32_t count, uint32_t size);
void ring_epoll_buffers_close(struct rk_epoll_buffers *buffers);

// Describes the first free buffers, at most `count`; returns how many there are. They stay free.
unsigned ring_epoll_buffers_peek(
	const struct rk_epoll_buffers *buffers, struct iovec *iov, unsigned count);
// Takes the first `count` free buffers, which must be there; returns the first of them.
uint32_t ring_epoll_buffers_take(struct rk_epoll_buffers *buffers, unsigned count);
void ring_epoll_buffers_put(struct rk_epoll_buffers *buffers, uint32_t buffer);

// Gives the memory back to the system when nobody holds a buffer.
void ring_epoll_buffers_trim(struct rk_epoll_buffers *buffers);

static inline unsigned char *ring_epoll_buffers_data(
	const struct rk_epoll_buffers *buffers, uint32_t buffer)
{
	return buffers->memory + (size_t)buffer * buffers->size;
}
