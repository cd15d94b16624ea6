// ring_uring.h: the io_uring implementation's own struct and low-level steps; for ring_uring*.c.
#pragma once

#include "engine/ring_buffers.h"
#include "engine/ring_ops.h"

#include <liburing.h>

// Newer than liburing 2.3's headers (values from the kernel's include/uapi/linux/io_uring.h).
#ifndef IORING_RECVSEND_BUNDLE
#define IORING_RECVSEND_BUNDLE (1U << 4) // Linux 6.10
#endif
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7) // Linux 6.15
#endif
#define RING_FEATURE_NO_IOWAIT (1U << 17)

// Bytes for iovecs, headers and addresses of operations that the kernel has not seen yet.
#define RING_SCRATCH_SIZE (256 * 1024)
// Behind them: room for the largest operation, for those that a broken ring loses.
#define RING_SCRATCH_LOST 4096

struct rk_uring {
	struct rk_ring base;
	struct io_uring io;
	struct rk_ring_buffers pools[RING_POOL_COUNT];
	bool bundles;     // one receive may fill several buffers, in order (proved at start); needs
			  // limited
	bool limited;     // multishot receive takes a limit (proved at start; Linux 6.17)
	bool accepts_one; // multishot accept is refused: every accept is for one connection
	unsigned enter_flags;
	int broken;               // the error of the kernel that ended the ring, 0 = it works
	struct io_uring_sqe lost; // where operations go then
	size_t scratch_used;      // by operations that the kernel has not seen
	unsigned char *scratch;
};

static inline struct rk_uring *uring_of(struct rk_ring *ring)
{
	return (struct rk_uring *)ring;
}

// A submission entry; makes room by submitting when the queue is full.
struct io_uring_sqe *uring_entry(struct rk_uring *uring, uint64_t tag);

// Flushes the submission queue into the kernel and waits for `wanted` completions at most
// timeout_ms (< 0: for ever). 0 or -errno (-ETIME: nothing came).
int uring_enter(struct rk_uring *uring, unsigned wanted, int64_t timeout_ms);

// Ends the set-up: nothing can be registered any more, and only the operations of ring_uring.c can
// be submitted. 0 or -errno.
int uring_lock(struct rk_uring *uring);

// Tries out, on throw-away sockets, what this kernel does; sets `bundles`, `limited` and
// `accepts_one`. 0 or -errno when something does not work that has no plainer form here.
int uring_probe(struct rk_uring *uring);
