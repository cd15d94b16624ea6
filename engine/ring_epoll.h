// ring_epoll.h: the epoll implementation's own structs and steps; for ring_epoll*.c only.
//
// How it works: a fixed table has one entry per descriptor number, with the operations that can be
// pending on it at a time: one that reads (accept or a receive), one that writes (connect or a
// SEND_ALL that did not fit), one poll. Descriptors are registered once, edge-triggered; the entry
// remembers what epoll said until a system call finds the descriptor drained or full, so steady
// traffic needs no epoll_ctl. A turn of ring_wait() notes the events, then goes through the queue
// of descriptors that can do something. Each gets one bounded step and its completions are handed
// over at once, while the bytes are warm in the cache; who could go on stands at the end again.
// A stream's entry starts afresh with accept or connect and ends with ring_close_fd(); other
// descriptors are forgotten when nothing is pending on them, so their owners may close them.
// Sends, closes and cancels are done when they are asked for; what is known at once goes into the
// queue of completions, which the next delivery empties.
//
// Bounds: RING_DESCRIPTORS_MAX descriptors (or RLIMIT_NOFILE at ring_open(), if lower); one step
// reads RING_READ_MAX bytes, RING_BATCH datagrams or RING_BATCH clients; as many SEND_ALLs can wait
// as there are stream buffers (each holds bytes that came in one). Datagrams never wait: where the
// socket's send buffer is full, the send completes with -EAGAIN and the datagram is lost.
#pragma once

#include "engine/ring_epoll_buffers.h"
#include "engine/ring_ops.h"

#include <sys/epoll.h>

#define RING_DESCRIPTORS_MAX (1u << 20)
#define RING_READ_MAX        (256u * 1024)
#define RING_BATCH           32u
#define RING_EVENTS          256

// Completions that can be known and not yet handed over, per descriptor: those of its three
// operations, of a cancel and of a close, rounded up. A step adds a bounded number to an empty
// queue.
#define RING_COMPLETIONS_PER_DESCRIPTOR 8u

#define RING_BROKEN   (EPOLLERR | EPOLLHUP)
#define RING_READABLE (EPOLLIN | EPOLLRDHUP | RING_BROKEN)
#define RING_WRITABLE (EPOLLOUT | RING_BROKEN)

enum rk_epoll_read {
	READ_NONE,
	READ_ACCEPT,
	READ_ACCEPT_ONE,
	READ_STREAM,
	READ_FROM,
	READ_DATAGRAM,
};
enum rk_epoll_write { WRITE_NONE, WRITE_CONNECT, WRITE_SEND };

// What is known of one descriptor. All zero: nothing.
struct rk_descriptor {
	uint64_t read_tag;
	uint64_t write_tag;
	uint64_t poll_tag;
	size_t limit;           // READ_STREAM: bytes that may still come
	uint32_t generation;    // of the registration, told by its events
	uint32_t interest;      // epoll events registered for; 0 = not registered
	uint32_t state;         // epoll events that still hold as far as is known
	uint32_t poll_events;   // of the pending poll; 0 = none
	uint32_t poll_seen;     // of these, still to be reported
	uint32_t unsent;        // WRITE_SEND: index of its struct rk_unsent
	uint32_t next_ready;    // descriptor behind this one in the queue
	uint16_t name_space;    // READ_FROM: room for the address
	uint16_t control_space; // READ_FROM: room for ancillary data
	uint8_t reading;        // enum rk_epoll_read
	uint8_t writing;        // enum rk_epoll_write
	bool queued;            // in the queue of those that can do something
	bool bulk;              // the last receive filled all that it was given
};

// A SEND_ALL that waits for room.
struct rk_unsent {
	struct iovec iov[RING_SEND_SEGMENTS];
	unsigned first; // segments before are out
	unsigned count;
	uint32_t sent;      // bytes
	uint32_t next_free; // 1 + index, 0 ends the chain
};

struct rk_epoll {
	struct rk_ring base;
	int fd;
	bool broken; // a completion was lost: cannot happen within the bounds above
	uint32_t descriptor_count;
	struct rk_descriptor *descriptors;
	uint32_t ready_head, ready_tail, ready_count;
	struct rk_completion *completions; // a ring; `first` and `end` count up, 0 when it is empty
	uint32_t completion_mask, first, end;
	struct rk_unsent *unsent;
	uint32_t unsent_count;
	uint32_t unsent_touched; // records below were in use at least once
	uint32_t unsent_free;    // 1 + index of the first free one below
	struct rk_epoll_buffers pools[RING_POOL_COUNT];
	struct epoll_event events[RING_EVENTS];
};

static inline struct rk_epoll *epoll_of(struct rk_ring *ring)
{
	return (struct rk_epoll *)ring;
}
static inline struct rk_descriptor *descriptor_of(struct rk_epoll *epoll, int fd)
{
	return &epoll->descriptors[fd];
}

void ring_epoll_complete(struct rk_epoll *epoll, uint64_t tag, int32_t result);
void ring_epoll_complete_buffer(
	struct rk_epoll *epoll, uint64_t tag, int32_t result, uint32_t flags, uint32_t buffer);
// Ends the reading operation: its last completion.
void ring_epoll_end_read(struct rk_epoll *epoll, int fd, int32_t result);
void ring_epoll_end_write(struct rk_epoll *epoll, int fd, int32_t result);

// The entry, or NULL after completing the operation with -EBADF (no such descriptor), -EMFILE
// (above the table).
struct rk_descriptor *ring_epoll_descriptor(struct rk_epoll *epoll, int fd, uint64_t tag);
// Registers for more events, or again for the same to learn which hold now. 0 or -errno.
int ring_epoll_register(struct rk_epoll *epoll, int fd, uint32_t events);
// Begins the next life of that descriptor number: what is known belongs to an earlier one, whose
// events will be ignored.
void ring_epoll_forget(struct rk_descriptor *descriptor);
// Starts a reading operation. NULL after completing it with -EBUSY (another one is pending) or with
// what ring_epoll_register() said.
struct rk_descriptor *ring_epoll_start_read(
	struct rk_epoll *epoll, int fd, enum rk_epoll_read kind, uint32_t interest, uint64_t tag);
// Queues the descriptor when an operation of it can go on.
void ring_epoll_check(struct rk_epoll *epoll, int fd);

// One step of a pending operation that can go on.
void ring_epoll_step_accept(struct rk_epoll *epoll, int fd);
void ring_epoll_step_connect(struct rk_epoll *epoll, int fd);
void ring_epoll_step_receive(struct rk_epoll *epoll, int fd);
void ring_epoll_step_send(struct rk_epoll *epoll, int fd);
void ring_epoll_step_receive_from(struct rk_epoll *epoll, int fd);
void ring_epoll_step_receive_datagram(struct rk_epoll *epoll, int fd);

// The operations that are more than a line, as in ring.h.
void ring_epoll_accept(struct rk_ring *ring, int fd, bool once, uint64_t tag);
void ring_epoll_connect(struct rk_ring *ring, int fd, const struct rk_addr *addr, uint64_t tag);
void ring_epoll_receive(struct rk_ring *ring, int fd, size_t limit, uint64_t tag);
void ring_epoll_send(struct rk_ring *ring, int fd, const struct iovec *iov, unsigned count,
	enum rk_send_mode mode, uint64_t tag);
void ring_epoll_receive_from(
	struct rk_ring *ring, int fd, const struct msghdr *shape, uint64_t tag);
void ring_epoll_receive_datagram(struct rk_ring *ring, int fd, uint64_t tag);
void ring_epoll_send_message(
	struct rk_ring *ring, int fd, const struct msghdr *message, uint64_t tag);
int ring_epoll_datagram_parse(struct rk_ring *ring, uint32_t buffer, size_t length,
	const struct msghdr *shape, struct rk_datagram *datagram);
