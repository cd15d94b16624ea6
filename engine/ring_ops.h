// ring_ops.h: what an implementation of the ring interface provides; for ring*.c only.
#pragma once

#include "engine/ring.h"

// The part that both implementations share; each embeds it as its first member.
struct rk_ring {
	const struct rk_ring_ops *ops;
	struct rk_ring_stats stats;
};

struct rk_ring_ops {
	const char *name;
	void (*close)(struct rk_ring *ring);
	int (*wait)(struct rk_ring *ring, int64_t timeout_ms, ring_handler *handler, void *context);
	void (*accept)(struct rk_ring *ring, int fd, bool once, uint64_t tag);
	void (*connect)(struct rk_ring *ring, int fd, const struct rk_addr *addr, uint64_t tag);
	void (*receive)(struct rk_ring *ring, int fd, size_t limit, uint64_t tag);
	void (*send)(struct rk_ring *ring, int fd, const struct iovec *iov, unsigned count,
		enum rk_send_mode mode, uint64_t tag);
	void (*receive_from)(
		struct rk_ring *ring, int fd, const struct msghdr *shape, uint64_t tag);
	void (*receive_datagram)(struct rk_ring *ring, int fd, uint64_t tag);
	void (*send_message)(
		struct rk_ring *ring, int fd, const struct msghdr *message, uint64_t tag);
	void (*poll)(struct rk_ring *ring, int fd, uint32_t events, uint64_t tag);
	void (*cancel)(struct rk_ring *ring, int fd, uint64_t tag);
	void (*cancel_one)(struct rk_ring *ring, int fd, uint64_t operation, uint64_t tag);
	void (*close_fd)(struct rk_ring *ring, int fd, uint64_t tag);
	void *(*buffer_data)(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer);
	uint32_t (*buffer_size)(const struct rk_ring *ring, enum rk_ring_pool pool);
	uint32_t (*buffer_next)(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer);
	void (*buffer_release)(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer);
	void (*trim)(struct rk_ring *ring);
	int (*datagram_parse)(struct rk_ring *ring, uint32_t buffer, size_t length,
		const struct msghdr *shape, struct rk_datagram *datagram);
};

int ring_uring_open(struct rk_ring **ring, const struct rk_ring_options *options);
int ring_epoll_open(struct rk_ring **ring, const struct rk_ring_options *options);
