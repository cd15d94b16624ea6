// ring_epoll_datagram.c: datagram sockets of the ring on epoll.
//
// How it works: one recvmmsg() takes up to RING_BATCH datagrams, each into a buffer of its own. It
// stops early only when the socket is drained or has an error, and the edge of either is still to
// come or the next call's to report. A buffer of ring_epoll_receive_from() starts with a header of
// ours; room for the address and the ancillary data follows as the caller's shape has it, then the
// payload.

#include "engine/ring_epoll.h"

#include <errno.h>

// Registered for input alone: each datagram that leaves frees room, which would be an edge.
#define DATAGRAM_INTEREST EPOLLIN

struct rk_datagram_header {
	uint32_t control_length;
	uint32_t payload_length;
	uint32_t flags; // MSG_TRUNC
	uint32_t unused;
};
_Static_assert(sizeof(struct rk_datagram_header) % 8 == 0, "what follows stays aligned");

// What one recvmmsg() works with.
struct batch {
	unsigned count;
	uint32_t buffers[RING_BATCH];
	struct iovec iov[RING_BATCH];
	struct mmsghdr messages[RING_BATCH];
};

void ring_epoll_receive_from(struct rk_ring *ring, int fd, const struct msghdr *shape, uint64_t tag)
{
	struct rk_descriptor *descriptor =
		ring_epoll_start_read(epoll_of(ring), fd, READ_FROM, DATAGRAM_INTEREST, tag);

	if (!descriptor)
		return;
	descriptor->name_space = (uint16_t)shape->msg_namelen;
	descriptor->control_space = (uint16_t)shape->msg_controllen;
}

void ring_epoll_receive_datagram(struct rk_ring *ring, int fd, uint64_t tag)
{
	ring_epoll_start_read(epoll_of(ring), fd, READ_DATAGRAM, DATAGRAM_INTEREST, tag);
}

// Takes as many buffers as there are, up to RING_BATCH.
static void batch_open(struct batch *batch, struct rk_epoll_buffers *pool)
{
	batch->count = ring_epoll_buffers_peek(pool, batch->iov, RING_BATCH);
	for (unsigned i = 0; i < batch->count; i++) {
		batch->buffers[i] = ring_epoll_buffers_take(pool, 1);
		batch->messages[i] =
			(struct mmsghdr){.msg_hdr = {.msg_iov = &batch->iov[i], .msg_iovlen = 1}};
	}
}

// Gives back the buffers from `used` on, the first one last: it is the next to be used.
static void batch_close(struct batch *batch, struct rk_epoll_buffers *pool, unsigned used)
{
	while (batch->count > used)
		ring_epoll_buffers_put(pool, batch->buffers[--batch->count]);
}

// Returns how many datagrams are in the batch; ends the operation on an error.
static unsigned batch_receive(struct batch *batch, struct rk_epoll *epoll, int fd)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);
	int count;

	if (batch->count == 0) {
		ring_epoll_end_read(epoll, fd, -ENOBUFS);
		return 0;
	}
	count = recvmmsg(fd, batch->messages, batch->count, MSG_DONTWAIT, NULL);
	if (count < 0 && errno != EAGAIN) {
		ring_epoll_end_read(epoll, fd, -errno);
		return 0;
	}
	if (count < (int)batch->count)
		descriptor->state &= ~RING_READABLE;
	return count < 0 ? 0 : (unsigned)count;
}

void ring_epoll_step_receive_datagram(struct rk_epoll *epoll, int fd)
{
	struct rk_epoll_buffers *pool = &epoll->pools[RING_POOL_DATAGRAM];
	uint64_t tag = descriptor_of(epoll, fd)->read_tag;
	struct batch batch;
	unsigned count;

	batch_open(&batch, pool);
	count = batch_receive(&batch, epoll, fd);
	for (unsigned i = 0; i < count; i++) {
		uint32_t length = batch.messages[i].msg_len;

		if (length > 0) {
			ring_epoll_complete_buffer(epoll, tag, (int32_t)length,
				RING_MORE | RING_BUFFER, batch.buffers[i]);
			continue;
		}
		ring_epoll_complete_buffer(epoll, tag, 0, RING_MORE, 0);
		ring_epoll_buffers_put(pool, batch.buffers[i]);
	}
	batch_close(&batch, pool, count);
}

// --- with address and ancillary data

static void shape_message(
	struct batch *batch, unsigned index, const struct rk_descriptor *descriptor)
{
	struct msghdr *message = &batch->messages[index].msg_hdr;
	struct iovec *iov = &batch->iov[index];
	unsigned char *data = iov->iov_base;
	size_t headers = sizeof(struct rk_datagram_header) + descriptor->name_space +
			 descriptor->control_space;

	message->msg_name = data + sizeof(struct rk_datagram_header);
	message->msg_namelen = descriptor->name_space;
	message->msg_control = data + sizeof(struct rk_datagram_header) + descriptor->name_space;
	message->msg_controllen = descriptor->control_space;
	iov->iov_base = data + headers;
	iov->iov_len -= headers;
}

static void deliver_message(struct rk_epoll *epoll, const struct rk_descriptor *descriptor,
	const struct mmsghdr *message, uint32_t buffer)
{
	struct rk_datagram_header *header = (struct rk_datagram_header *)ring_epoll_buffers_data(
		&epoll->pools[RING_POOL_DATAGRAM], buffer);
	size_t length = sizeof(*header) + descriptor->name_space + descriptor->control_space +
			message->msg_len;

	*header = (struct rk_datagram_header){
		.control_length = (uint32_t)message->msg_hdr.msg_controllen,
		.payload_length = message->msg_len,
		.flags = (uint32_t)message->msg_hdr.msg_flags,
	};
	ring_epoll_complete_buffer(
		epoll, descriptor->read_tag, (int32_t)length, RING_MORE | RING_BUFFER, buffer);
}

void ring_epoll_step_receive_from(struct rk_epoll *epoll, int fd)
{
	const struct rk_descriptor *descriptor = descriptor_of(epoll, fd);
	struct rk_epoll_buffers *pool = &epoll->pools[RING_POOL_DATAGRAM];
	struct batch batch;
	unsigned count;

	batch_open(&batch, pool);
	for (unsigned i = 0; i < batch.count; i++)
		shape_message(&batch, i, descriptor);
	count = batch_receive(&batch, epoll, fd);
	for (unsigned i = 0; i < count; i++)
		deliver_message(epoll, descriptor, &batch.messages[i], batch.buffers[i]);
	batch_close(&batch, pool, count);
}

int ring_epoll_datagram_parse(struct rk_ring *ring, uint32_t buffer, size_t length,
	const struct msghdr *shape, struct rk_datagram *datagram)
{
	unsigned char *data =
		ring_epoll_buffers_data(&epoll_of(ring)->pools[RING_POOL_DATAGRAM], buffer);
	const struct rk_datagram_header *header = (const struct rk_datagram_header *)data;
	size_t headers = sizeof(*header) + shape->msg_namelen + shape->msg_controllen;

	if (length < headers || length - headers < header->payload_length ||
		header->control_length > shape->msg_controllen)
		return -EINVAL;
	datagram->source = (struct rk_addr *)(data + sizeof(*header));
	datagram->control = data + sizeof(*header) + shape->msg_namelen;
	datagram->control_length = header->control_length;
	datagram->payload = data + headers;
	datagram->payload_length = header->payload_length;
	datagram->truncated = header->flags & MSG_TRUNC;
	return 0;
}

void ring_epoll_send_message(
	struct rk_ring *ring, int fd, const struct msghdr *message, uint64_t tag)
{
	ssize_t length = sendmsg(fd, message, MSG_NOSIGNAL | MSG_DONTWAIT);

	ring_epoll_complete(epoll_of(ring), tag, length < 0 ? -errno : (int32_t)length);
}
