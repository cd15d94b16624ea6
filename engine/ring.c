// ring.c: choose the implementation of a ring and pass calls on to it.

#include "engine/ring.h"
#include "engine/ring_ops.h"

#include <errno.h>

// Whatever keeps io_uring from working here (a sysctl, seccomp, an old kernel, a memory limit),
// epoll may still work.
int ring_open(struct rk_ring **ring, const struct rk_ring_options *options)
{
	int result = -ENOSYS;

	if (options->io != IO_EPOLL)
		result = ring_uring_open(ring, options);
	if (options->io == IO_EPOLL || (options->io == IO_AUTO && result < 0))
		result = ring_epoll_open(ring, options);
	return result;
}

void ring_close(struct rk_ring *ring)
{
	if (ring)
		ring->ops->close(ring);
}

const char *ring_name(const struct rk_ring *ring)
{
	return ring->ops->name;
}

const struct rk_ring_stats *ring_stats(const struct rk_ring *ring)
{
	return &ring->stats;
}

int ring_wait(struct rk_ring *ring, int64_t timeout_ms, ring_handler *handler, void *context)
{
	return ring->ops->wait(ring, timeout_ms, handler, context);
}

void ring_accept(struct rk_ring *ring, int fd, bool once, uint64_t tag)
{
	ring->ops->accept(ring, fd, once, tag);
}

void ring_connect(struct rk_ring *ring, int fd, const struct rk_addr *addr, uint64_t tag)
{
	ring->ops->connect(ring, fd, addr, tag);
}

void ring_receive(struct rk_ring *ring, int fd, size_t limit, uint64_t tag)
{
	ring->ops->receive(ring, fd, limit, tag);
}

void ring_send(struct rk_ring *ring, int fd, const struct iovec *iov, unsigned count,
	enum rk_send_mode mode, uint64_t tag)
{
	ring->ops->send(ring, fd, iov, count, mode, tag);
}

void ring_receive_from(struct rk_ring *ring, int fd, const struct msghdr *shape, uint64_t tag)
{
	ring->ops->receive_from(ring, fd, shape, tag);
}

void ring_receive_datagram(struct rk_ring *ring, int fd, uint64_t tag)
{
	ring->ops->receive_datagram(ring, fd, tag);
}

void ring_send_message(struct rk_ring *ring, int fd, const struct msghdr *message, uint64_t tag)
{
	ring->ops->send_message(ring, fd, message, tag);
}

void ring_poll(struct rk_ring *ring, int fd, uint32_t events, uint64_t tag)
{
	ring->ops->poll(ring, fd, events, tag);
}

void ring_cancel(struct rk_ring *ring, int fd, uint64_t tag)
{
	ring->ops->cancel(ring, fd, tag);
}

void ring_cancel_one(struct rk_ring *ring, int fd, uint64_t operation, uint64_t tag)
{
	ring->ops->cancel_one(ring, fd, operation, tag);
}

void ring_close_fd(struct rk_ring *ring, int fd, uint64_t tag)
{
	ring->ops->close_fd(ring, fd, tag);
}

void *ring_buffer_data(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	return ring->ops->buffer_data(ring, pool, buffer);
}

uint32_t ring_buffer_size(const struct rk_ring *ring, enum rk_ring_pool pool)
{
	return ring->ops->buffer_size(ring, pool);
}

uint32_t ring_buffer_next(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	return ring->ops->buffer_next(ring, pool, buffer);
}

void ring_buffer_release(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	ring->ops->buffer_release(ring, pool, buffer);
}

void ring_trim(struct rk_ring *ring)
{
	ring->ops->trim(ring);
}

int ring_datagram_parse(struct rk_ring *ring, uint32_t buffer, size_t length,
	const struct msghdr *shape, struct rk_datagram *datagram)
{
	return ring->ops->datagram_parse(ring, buffer, length, shape, datagram);
}
