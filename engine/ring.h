// ring.h: the worker's way to the kernel: operations go in, completions come out.
//
// How it works: a worker owns one ring. It asks for operations (accept, connect, receive, send,
// close ...), each with a 64-bit tag, and ring_wait() hands every completion to one handler. The
// interface has two implementations: ring_uring.c (io_uring) and ring_epoll.c (readiness plus
// system calls, where io_uring is forbidden). Only these files know which one runs.
//
// Rules, the same for both:
// - An operation that could be asked for always completes, exactly once without RING_MORE in its
//   flags. Multishot operations (accept, receive, receive_from, poll) complete with RING_MORE any
//   number of times before.
// - Memory named by an operation (addresses, iovecs, message headers) is copied when it is asked
//   for or before ring_wait() returns to the kernel: it may be reused after the next ring_wait().
//   The bytes to send themselves stay until the completion.
// - Received bytes arrive in buffers of the ring's two pools. Whoever gets a completion with
//   RING_BUFFER owns the buffers and gives each back with ring_buffer_release().
// - -ENOBUFS from a receive means "no buffer free now": flow control, not an error. Ask again when
//   buffers came back.
// - No operation blocks the worker, whether the socket blocks or not. Sockets are blocking ones at
//   first; a flow that splices makes its own non-blocking, and so does epoll with those that listen
//   or connect. Receives and SEND_ALL wait there all the same; but who sends takes -EAGAIN as with
//   SEND_NOW, for a kernel whose threads, to which io_uring hands some sends, heed O_NONBLOCK.
// - A descriptor with operations in flight is cancelled and drained before it is closed.
#pragma once

#include "base/addr.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct rk_ring;

// Tag of an operation: what it is, whose it is, and which life of that owner. A completion whose
// generation is not the slot's present one belongs to a dead owner and is dropped.
#define TAG_OWNER_SHIFT      56
#define TAG_GENERATION_SHIFT 32
#define TAG_GENERATION_MASK  0xffffffu

static inline uint64_t tag_make(uint8_t operation, uint32_t generation, uint32_t slot)
{
	return (uint64_t)operation << TAG_OWNER_SHIFT |
	       (uint64_t)(generation & TAG_GENERATION_MASK) << TAG_GENERATION_SHIFT | slot;
}
static inline uint8_t tag_operation(uint64_t tag)
{
	return (uint8_t)(tag >> TAG_OWNER_SHIFT);
}
static inline uint32_t tag_generation(uint64_t tag)
{
	return (uint32_t)(tag >> TAG_GENERATION_SHIFT) & TAG_GENERATION_MASK;
}
static inline uint32_t tag_slot(uint64_t tag)
{
	return (uint32_t)tag;
}
_Static_assert(TAG_GENERATION_SHIFT + 24 == TAG_OWNER_SHIFT, "the parts of a tag do not overlap");

enum rk_ring_flags {
	RING_MORE = 1 << 0,   // the operation goes on; more completions follow
	RING_BUFFER = 1 << 1, // `buffer` is the first buffer of `result` received bytes
};

struct rk_completion {
	uint64_t tag;
	int32_t result; // bytes, a descriptor, or -errno
	uint32_t flags; // enum rk_ring_flags
	uint32_t buffer;
};

// Streams: many middle-sized buffers, filled one after the other by one receive.
// Datagrams: few buffers, each large enough for any datagram with its address and ancillary data.
enum rk_ring_pool { RING_POOL_STREAM, RING_POOL_DATAGRAM, RING_POOL_COUNT };

struct rk_ring_options {
	enum rk_io_mode io;
	uint32_t entries;                       // submission queue; the completion queue is 4x
	uint32_t buffer_count[RING_POOL_COUNT]; // powers of two, at most 32768
	uint32_t buffer_size[RING_POOL_COUNT];  // bytes
	uint32_t buffer_ready[RING_POOL_COUNT]; // how many one turn may fill at most, 0 = all
};

struct rk_ring_stats {
	uint64_t waits; // ring_wait() calls that went to the kernel
	uint64_t completions;
	uint64_t
		overflows; // completions that did not fit the completion queue (kept by the kernel)
	uint64_t no_buffers; // receives that found their pool empty
};

typedef void ring_handler(void *context, const struct rk_completion *completion);

// Opens a ring for the calling thread, which is the only one that may use it. 0 or -errno (-EPERM,
// -ENOSYS, -ENOMEM when io_uring is forbidden and options->io does not allow the fallback).
int ring_open(struct rk_ring **ring, const struct rk_ring_options *options);
void ring_close(struct rk_ring *ring);             // every operation is cancelled
const char *ring_name(const struct rk_ring *ring); // "io_uring" or "epoll"
const struct rk_ring_stats *ring_stats(const struct rk_ring *ring);

// Submits what was asked for, waits for at least one completion or until timeout_ms have passed
// (< 0: for ever), hands all that are there to `handler`. 0 or -errno for a broken ring.
int ring_wait(struct rk_ring *ring, int64_t timeout_ms, ring_handler *handler, void *context);

// Stream sockets.
// Result: a descriptor. Multishot, or for one connection only (`once`) where taking more than that
// would have to be undone.
void ring_accept(struct rk_ring *ring, int fd, bool once, uint64_t tag);
void ring_connect(struct rk_ring *ring, int fd, const struct rk_addr *addr, uint64_t tag);
// Multishot. Ends without RING_MORE by itself when `limit` bytes or more, but less than twice as
// many, have come in: that bounds what a flow holds; ask again when some were sent on. One
// completion may span several buffers: walk them with ring_buffer_next().
void ring_receive(struct rk_ring *ring, int fd, size_t limit, uint64_t tag);
// SEND_ALL completes when all of iov went out; a short result means that the next operation will
// name an error. SEND_NOW sends what fits at once (a short result, or -EAGAIN).
//
// Why SEND_NOW exists: a send that waits inside io_uring waits for "writable or peer closed". Once
// the peer has half-closed, the second is always true, so the kernel retries in vain and then hands
// the send to a blocking kernel thread (seen on Linux 6.18). To such a socket the caller sends now
// and waits with ring_poll(POLLOUT), which reports each further change.
enum rk_send_mode { SEND_ALL, SEND_NOW };
#define RING_SEND_SEGMENTS 64u // of one ring_send() at most
void ring_send(struct rk_ring *ring, int fd, const struct iovec *iov, unsigned count,
	enum rk_send_mode mode, uint64_t tag);

// Datagram sockets. receive_from is multishot; its buffer holds what ring_datagram_parse() takes
// apart. `connected` sockets deliver the payload alone through ring_receive_datagram().
void ring_receive_from(struct rk_ring *ring, int fd, const struct msghdr *shape, uint64_t tag);
void ring_receive_datagram(struct rk_ring *ring, int fd, uint64_t tag);
void ring_send_message(struct rk_ring *ring, int fd, const struct msghdr *message, uint64_t tag);

// Any descriptor. ring_poll is multishot; its result are poll(2) bits: `events`, or any of POLLERR,
// POLLHUP and POLLRDHUP.
void ring_poll(struct rk_ring *ring, int fd, uint32_t events, uint64_t tag);
void ring_cancel(struct rk_ring *ring, int fd, uint64_t tag); // all operations on fd; they complete
// The operation `operation` on fd alone; it completes. In a ring with thousands of operations this
// is found at once, where ring_cancel() looks at each of them.
void ring_cancel_one(struct rk_ring *ring, int fd, uint64_t operation, uint64_t tag);
void ring_close_fd(struct rk_ring *ring, int fd, uint64_t tag);

// Buffers.
void *ring_buffer_data(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer);
uint32_t ring_buffer_size(const struct rk_ring *ring, enum rk_ring_pool pool);
// The buffer that follows `buffer` within one completion.
uint32_t ring_buffer_next(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer);
void ring_buffer_release(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer);

// Gives the memory of both pools back to the system while nobody holds a buffer of them; for a
// worker that has nothing to do.
void ring_trim(struct rk_ring *ring);

// A datagram as ring_receive_from() delivered it. Pointers lead into the buffer.
struct rk_datagram {
	struct rk_addr *source;
	void *control;
	size_t control_length;
	void *payload;
	size_t payload_length;
	bool truncated;
};
// 0, or -EINVAL when the buffer holds less than its headers.
int ring_datagram_parse(struct rk_ring *ring, uint32_t buffer, size_t length,
	const struct msghdr *shape, struct rk_datagram *datagram);
