// ring_uring.c: the ring interface on io_uring.
//
// How it works: one ring per worker thread, SINGLE_ISSUER and DEFER_TASKRUN where the kernel has
// them, so that completions are made only inside uring_enter(), where the worker waits anyway.
// Operations are prepared in the submission queue and go to the kernel together with the wait: one
// system call per turn of the worker's loop. Receives take provided buffers, so an idle socket
// holds no memory. liburing 2.3 (Debian 12) sets the ring up; the enter call is ours, for flags
// that it does not know. What a kernel refuses is done without (set-up and enter flags below,
// operations in ring_uring_probe.c), or the ring is not opened and epoll takes over.

#include "engine/ring_uring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CQ_BATCH 64

// Writes the indexes of the prepared entries and makes them visible to the kernel.
static unsigned publish_entries(struct io_uring_sq *sq)
{
	unsigned tail = *sq->ktail;

	while (sq->sqe_head != sq->sqe_tail)
		sq->array[tail++ & sq->ring_mask] = sq->sqe_head++ & sq->ring_mask;
	__atomic_store_n(sq->ktail, tail, __ATOMIC_RELEASE);
	return tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);
}

int uring_enter(struct rk_uring *uring, unsigned wanted, int64_t timeout_ms)
{
	struct __kernel_timespec time = {
		.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
	struct io_uring_getevents_arg argument = {.ts = timeout_ms < 0 ? 0 : (uintptr_t)&time};
	unsigned to_submit = publish_entries(&uring->io.sq);
	bool registered = uring->enter_flags & IORING_ENTER_REGISTERED_RING;
	int result;

	for (unsigned i = 0; i < RING_POOL_COUNT; i++)
		ring_buffers_stock(&uring->pools[i]);
	result = io_uring_enter2(
		(unsigned)(registered ? uring->io.enter_ring_fd : uring->io.ring_fd), to_submit,
		wanted, uring->enter_flags | IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
		(sigset_t *)&argument, sizeof(argument));
	uring->base.stats.waits++;
	// Out of memory the kernel leaves entries where they are: what they lead to stays, too.
	if (io_uring_sq_ready(&uring->io) == 0)
		uring->scratch_used = 0;
	return result < 0 ? result : 0;
}

static bool passes_by_itself(int result)
{
	return result == -ETIME || result == -EINTR || result == -EBUSY || result == -EAGAIN;
}

static bool has_room(const struct rk_uring *uring, size_t scratch)
{
	return uring->scratch_used + scratch <= RING_SCRATCH_SIZE &&
	       io_uring_sq_space_left(&uring->io) > 0;
}

// A submission entry, together with scratch memory that stays until the kernel has seen it; makes
// room for both by submitting what is there.
static struct io_uring_sqe *entry_with_scratch(
	struct rk_uring *uring, uint64_t tag, size_t size, void **scratch)
{
	struct io_uring_sqe *sqe;

	size = (size + 15) & ~(size_t)15;
	while (!has_room(uring, size)) {
		int result = uring_enter(uring, 0, 0);

		// Else this would go on for ever; uring_wait() tells the caller.
		if (result < 0 && !passes_by_itself(result)) {
			uring->broken = result;
			*scratch = uring->scratch + RING_SCRATCH_SIZE;
			return &uring->lost;
		}
	}
	sqe = io_uring_get_sqe(&uring->io);
	*scratch = uring->scratch + uring->scratch_used;
	uring->scratch_used += size;
	sqe->user_data = tag;
	return sqe;
}

struct io_uring_sqe *uring_entry(struct rk_uring *uring, uint64_t tag)
{
	void *none;

	return entry_with_scratch(uring, tag, 0, &none);
}

static void complete(const struct io_uring_cqe *cqe, struct rk_uring *uring, ring_handler *handler,
	void *context)
{
	struct rk_completion completion = {
		.tag = cqe->user_data,
		.result = cqe->res,
		.flags = cqe->flags & IORING_CQE_F_MORE ? RING_MORE : 0,
	};

	if (cqe->flags & IORING_CQE_F_BUFFER) {
		uint32_t id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

		completion.flags |= RING_BUFFER;
		completion.buffer = id % RING_BUFFERS_MAX;
		ring_buffers_took(&uring->pools[id / RING_BUFFERS_MAX], (uint32_t)cqe->res);
	} else if (cqe->res == -ENOBUFS) {
		uring->base.stats.no_buffers++;
		for (unsigned i = 0; i < RING_POOL_COUNT; i++) // it does not say which
			ring_buffers_missed(&uring->pools[i]);
	}
	handler(context, &completion);
}

static void drain_completions(struct rk_uring *uring, ring_handler *handler, void *context)
{
	struct io_uring_cqe *entries[CQ_BATCH];
	unsigned count;

	while ((count = io_uring_peek_batch_cqe(&uring->io, entries, CQ_BATCH))) {
		for (unsigned i = 0; i < count; i++)
			complete(entries[i], uring, handler, context);
		io_uring_cq_advance(&uring->io, count);
		uring->base.stats.completions += count;
	}
}

static int uring_wait(
	struct rk_ring *ring, int64_t timeout_ms, ring_handler *handler, void *context)
{
	struct rk_uring *uring = uring_of(ring);
	int result = uring_enter(uring, 1, timeout_ms);

	if (io_uring_cq_has_overflow(&uring->io))
		ring->stats.overflows++;
	drain_completions(uring, handler, context);
	for (unsigned i = 0; i < RING_POOL_COUNT; i++)
		ring_buffers_adapt(&uring->pools[i]);
	if (uring->broken)
		return uring->broken;
	return passes_by_itself(result) ? 0 : result;
}

static void uring_accept(struct rk_ring *ring, int fd, bool once, uint64_t tag)
{
	struct io_uring_sqe *sqe = uring_entry(uring_of(ring), tag);

	if (once || uring_of(ring)->accepts_one)
		io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	else
		io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	sqe->user_data = tag;
}

static void uring_connect(struct rk_ring *ring, int fd, const struct rk_addr *addr, uint64_t tag)
{
	void *copy;
	struct io_uring_sqe *sqe = entry_with_scratch(uring_of(ring), tag, sizeof(*addr), &copy);

	memcpy(copy, addr, sizeof(*addr));
	io_uring_prep_connect(sqe, fd, copy, addr_length(addr));
	sqe->user_data = tag;
}

static void uring_receive(struct rk_ring *ring, int fd, size_t limit, uint64_t tag)
{
	struct rk_uring *uring = uring_of(ring);
	struct io_uring_sqe *sqe = uring_entry(uring, tag);

	if (uring->limited) {
		io_uring_prep_recv_multishot(sqe, fd, NULL, limit, 0);
		sqe->file_index = (uint32_t)limit; // `optlen` of newer headers
	} else {
		io_uring_prep_recv(sqe, fd, NULL, 0, 0);
	}
	if (uring->bundles)
		sqe->ioprio |= IORING_RECVSEND_BUNDLE;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = RING_POOL_STREAM;
	sqe->user_data = tag;
}

static void uring_send(struct rk_ring *ring, int fd, const struct iovec *iov, unsigned count,
	enum rk_send_mode mode, uint64_t tag)
{
	const int flags = MSG_NOSIGNAL | (mode == SEND_ALL ? MSG_WAITALL : MSG_DONTWAIT);
	struct rk_uring *uring = uring_of(ring);
	struct io_uring_sqe *sqe;
	struct msghdr *message;
	void *scratch;

	if (count == 1) {
		sqe = uring_entry(uring, tag);
		io_uring_prep_send(sqe, fd, iov->iov_base, iov->iov_len, flags);
	} else {
		sqe = entry_with_scratch(
			uring, tag, sizeof(*message) + count * sizeof(*iov), &scratch);
		message = scratch;
		*message = (struct msghdr){.msg_iov = (struct iovec *)(message + 1)};
		message->msg_iovlen = count;
		memcpy(message->msg_iov, iov, count * sizeof(*iov));
		io_uring_prep_sendmsg(sqe, fd, message, flags);
	}
	sqe->user_data = tag;
}

static void uring_receive_from(
	struct rk_ring *ring, int fd, const struct msghdr *shape, uint64_t tag)
{
	void *copy;
	struct io_uring_sqe *sqe = entry_with_scratch(uring_of(ring), tag, sizeof(*shape), &copy);

	memcpy(copy, shape, sizeof(*shape));
	io_uring_prep_recvmsg_multishot(sqe, fd, copy, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = RING_POOL_DATAGRAM;
	sqe->user_data = tag;
}

static void uring_receive_datagram(struct rk_ring *ring, int fd, uint64_t tag)
{
	struct io_uring_sqe *sqe = uring_entry(uring_of(ring), tag);

	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = RING_POOL_DATAGRAM;
	sqe->user_data = tag;
}

// Copies the header with everything it leads to but the payload.
static void uring_send_message(
	struct rk_ring *ring, int fd, const struct msghdr *message, uint64_t tag)
{
	struct rk_uring *uring = uring_of(ring);
	size_t iov_size = message->msg_iovlen * sizeof(struct iovec);
	size_t name_size = (message->msg_namelen + 15u) & ~15u;
	size_t size = sizeof(*message) + iov_size + name_size + message->msg_controllen;
	struct io_uring_sqe *sqe;
	struct msghdr *copy;
	unsigned char *memory;
	void *scratch;

	sqe = entry_with_scratch(uring, tag, size, &scratch);
	copy = scratch;
	*copy = *message;
	memory = (unsigned char *)(copy + 1);
	copy->msg_iov = memcpy(memory, message->msg_iov, iov_size);
	memory += iov_size;
	if (message->msg_namelen)
		copy->msg_name = memcpy(memory, message->msg_name, message->msg_namelen);
	memory += name_size;
	if (message->msg_controllen)
		copy->msg_control = memcpy(memory, message->msg_control, message->msg_controllen);
	io_uring_prep_sendmsg(sqe, fd, copy, MSG_NOSIGNAL);
	sqe->user_data = tag;
}

static void uring_poll(struct rk_ring *ring, int fd, uint32_t events, uint64_t tag)
{
	struct io_uring_sqe *sqe = uring_entry(uring_of(ring), tag);

	io_uring_prep_poll_multishot(sqe, fd, events);
	sqe->user_data = tag;
}

static void uring_cancel(struct rk_ring *ring, int fd, uint64_t tag)
{
	struct io_uring_sqe *sqe = uring_entry(uring_of(ring), tag);

	io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL);
	sqe->user_data = tag;
}

static void uring_cancel_one(struct rk_ring *ring, int fd, uint64_t operation, uint64_t tag)
{
	struct io_uring_sqe *sqe = uring_entry(uring_of(ring), tag);

	(void)fd;
	io_uring_prep_cancel64(sqe, operation, 0);
	sqe->user_data = tag;
}

static void uring_close_fd(struct rk_ring *ring, int fd, uint64_t tag)
{
	struct io_uring_sqe *sqe = uring_entry(uring_of(ring), tag);

	io_uring_prep_close(sqe, fd);
	sqe->user_data = tag;
}

static void *uring_buffer_data(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	return ring_buffers_data(&uring_of(ring)->pools[pool], buffer);
}

static uint32_t uring_buffer_size(const struct rk_ring *ring, enum rk_ring_pool pool)
{
	return ((const struct rk_uring *)ring)->pools[pool].size;
}

static uint32_t uring_buffer_next(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	return ring_buffers_next(&uring_of(ring)->pools[pool], buffer);
}

static void uring_buffer_release(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	ring_buffers_release(&uring_of(ring)->pools[pool], buffer);
}

static void uring_trim(struct rk_ring *ring)
{
	for (unsigned i = 0; i < RING_POOL_COUNT; i++)
		ring_buffers_trim(&uring_of(ring)->pools[i]);
}

static int uring_datagram_parse(struct rk_ring *ring, uint32_t buffer, size_t length,
	const struct msghdr *shape, struct rk_datagram *datagram)
{
	void *data = uring_buffer_data(ring, RING_POOL_DATAGRAM, buffer);
	struct msghdr header = *shape;
	struct io_uring_recvmsg_out *out = io_uring_recvmsg_validate(data, (int)length, &header);
	unsigned char *name;

	if (!out || out->controllen > shape->msg_controllen)
		return -EINVAL;
	name = io_uring_recvmsg_name(out);
	datagram->source = (struct rk_addr *)name;
	datagram->control = name + shape->msg_namelen;
	datagram->control_length = out->controllen;
	datagram->payload = io_uring_recvmsg_payload(out, &header);
	datagram->payload_length = io_uring_recvmsg_payload_length(out, (int)length, &header);
	datagram->truncated = out->flags & MSG_TRUNC;
	return 0;
}

static void uring_close(struct rk_ring *ring)
{
	struct rk_uring *uring = uring_of(ring);

	for (unsigned i = 0; i < RING_POOL_COUNT; i++)
		ring_buffers_close(&uring->pools[i], &uring->io);
	io_uring_queue_exit(&uring->io);
	free(uring->scratch);
	free(uring);
}

static const struct rk_ring_ops uring_ops = {
	.name = "io_uring",
	.close = uring_close,
	.wait = uring_wait,
	.accept = uring_accept,
	.connect = uring_connect,
	.receive = uring_receive,
	.send = uring_send,
	.receive_from = uring_receive_from,
	.receive_datagram = uring_receive_datagram,
	.send_message = uring_send_message,
	.poll = uring_poll,
	.cancel = uring_cancel,
	.cancel_one = uring_cancel_one,
	.close_fd = uring_close_fd,
	.buffer_data = uring_buffer_data,
	.buffer_size = uring_buffer_size,
	.buffer_next = uring_buffer_next,
	.buffer_release = uring_buffer_release,
	.trim = uring_trim,
	.datagram_parse = uring_datagram_parse,
};

// The flags that kernels know, newest first: where one is refused the next set does without it.
// None is without R_DISABLED, because such a ring could not be limited (ring_uring_lock.c).
#define SETUP_LEAST IORING_SETUP_R_DISABLED
#define SETUP_5_19                                                                                 \
	(SETUP_LEAST | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL)
static const unsigned setups[] = {
	SETUP_5_19 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, // Linux 6.1
	SETUP_5_19 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,  // Linux 6.0
	SETUP_5_19 | IORING_SETUP_COOP_TASKRUN, // Linux 5.19, which brought buffer rings
	SETUP_LEAST,
};

static int setup_io(struct rk_uring *uring, uint32_t entries)
{
	int result = -EINVAL;

	for (size_t i = 0; i < sizeof(setups) / sizeof(setups[0]) && result == -EINVAL; i++) {
		struct io_uring_params parameters = {.flags = setups[i], .cq_entries = 4 * entries};

		result = io_uring_queue_init_params(entries, &uring->io, &parameters);
	}
	if (result < 0)
		return result;
	if (io_uring_register_ring_fd(&uring->io) == 1)
		uring->enter_flags |= IORING_ENTER_REGISTERED_RING;
	if (uring->io.features & RING_FEATURE_NO_IOWAIT)
		uring->enter_flags |= IORING_ENTER_NO_IOWAIT;
	return 0;
}

// A kernel refuses flags of the enter call that it does not know before it looks at anything else.
static int settle_enter_flags(struct rk_uring *uring)
{
	static const unsigned optional[] = {IORING_ENTER_NO_IOWAIT, IORING_ENTER_REGISTERED_RING};
	int result = uring_enter(uring, 0, 0);

	for (unsigned i = 0; i < 2 && result == -EINVAL; i++) {
		uring->enter_flags &= ~optional[i];
		result = uring_enter(uring, 0, 0);
	}
	return passes_by_itself(result) ? 0 : result;
}

int ring_uring_open(struct rk_ring **ring, const struct rk_ring_options *options)
{
	struct rk_uring *uring = calloc(1, sizeof(*uring));
	int result;

	if (!uring)
		return -ENOMEM;
	result = setup_io(uring, options->entries);
	if (result < 0) {
		free(uring);
		return result;
	}
	uring->base.ops = &uring_ops;
	uring->scratch = malloc(RING_SCRATCH_SIZE + RING_SCRATCH_LOST);
	if (!uring->scratch)
		result = -ENOMEM;
	for (unsigned i = 0; i < RING_POOL_COUNT && result == 0; i++)
		result = ring_buffers_open(&uring->pools[i], &uring->io, (uint16_t)i,
			options->buffer_count[i], options->buffer_size[i],
			options->buffer_ready[i]);
	if (result == 0)
		result = uring_lock(uring);
	if (result == 0)
		result = settle_enter_flags(uring);
	if (result == 0)
		result = uring_probe(uring);
	if (result < 0) {
		uring_close(&uring->base);
		return result;
	}
	*ring = &uring->base;
	return 0;
}
