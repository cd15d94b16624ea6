// ring_epoll_stream.c: stream sockets of the ring on epoll: accept, connect, receive, send.
//
// How it works: sockets stay blocking ones where a flag of the system call does (MSG_DONTWAIT);
// connect() and accept() have no such flag, so connecting and listening sockets become non-blocking
// and stay so, which nothing else notices. A receive that got less than it asked for has drained
// the socket: epoll reports what comes later as a new edge. The end of a stream is no such edge for
// a byte that was read before it, which is why EPOLLRDHUP is remembered until a receive met it. A
// receive also ends before a byte of urgent data: EPOLLPRI says that more may come behind it.

#include "engine/ring_epoll.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define STREAM_INTEREST (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP)

static int set_nonblocking(int fd)
{
	int on = 1;

	return ioctl(fd, FIONBIO, &on) < 0 ? -errno : 0;
}

// --- accept

void ring_epoll_accept(struct rk_ring *ring, int fd, bool once, uint64_t tag)
{
	struct rk_epoll *epoll = epoll_of(ring);
	int result = set_nonblocking(fd);

	if (result < 0)
		ring_epoll_complete(epoll, tag, result);
	else
		ring_epoll_start_read(
			epoll, fd, once ? READ_ACCEPT_ONE : READ_ACCEPT, EPOLLIN, tag);
}

// One client; false when there is no further one for now.
static bool accept_one(struct rk_epoll *epoll, int fd)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (client < 0 && errno == EAGAIN) {
		descriptor->state &= ~RING_READABLE;
		return false;
	}
	if (client >= 0 && (uint32_t)client >= epoll->descriptor_count) {
		close(client);
		ring_epoll_end_read(epoll, fd, -EMFILE);
		return false;
	}
	if (client < 0) {
		ring_epoll_end_read(epoll, fd, -errno);
		return false;
	}
	ring_epoll_forget(descriptor_of(epoll, client));
	if (descriptor->reading == READ_ACCEPT_ONE) {
		ring_epoll_end_read(epoll, fd, client);
		return false;
	}
	ring_epoll_complete_buffer(epoll, descriptor->read_tag, client, RING_MORE, 0);
	return true;
}

void ring_epoll_step_accept(struct rk_epoll *epoll, int fd)
{
	for (unsigned i = 0; i < RING_BATCH && accept_one(epoll, fd); i++)
		;
}

// --- connect

void ring_epoll_connect(struct rk_ring *ring, int fd, const struct rk_addr *addr, uint64_t tag)
{
	struct rk_epoll *epoll = epoll_of(ring);
	struct rk_descriptor *descriptor = ring_epoll_descriptor(epoll, fd, tag);
	int result;

	if (!descriptor)
		return;
	if (descriptor->writing != WRITE_NONE) {
		ring_epoll_complete(epoll, tag, -EBUSY);
		return;
	}
	ring_epoll_forget(descriptor);
	result = set_nonblocking(fd);
	if (result == 0 && connect(fd, &addr->sa, addr_length(addr)) < 0)
		result = -errno;
	if (result != -EINPROGRESS) {
		ring_epoll_complete(epoll, tag, result);
		return;
	}
	// Registered only now: epoll reports a socket that does nothing yet as hung up.
	result = ring_epoll_register(epoll, fd, STREAM_INTEREST);
	if (result < 0) {
		ring_epoll_complete(epoll, tag, result);
		return;
	}
	descriptor->writing = WRITE_CONNECT;
	descriptor->write_tag = tag;
}

void ring_epoll_step_connect(struct rk_epoll *epoll, int fd)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (descriptor_of(epoll, fd)->state & RING_BROKEN &&
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	ring_epoll_end_write(epoll, fd, -error);
}

// --- receive

void ring_epoll_receive(struct rk_ring *ring, int fd, size_t limit, uint64_t tag)
{
	struct rk_descriptor *descriptor =
		ring_epoll_start_read(epoll_of(ring), fd, READ_STREAM, STREAM_INTEREST, tag);

	if (descriptor)
		descriptor->limit = limit;
}

// How many buffers the next receive is given: one, until it proves too small.
static unsigned count_wanted(const struct rk_descriptor *descriptor, uint32_t size)
{
	size_t wanted = descriptor->limit < RING_READ_MAX ? descriptor->limit : RING_READ_MAX;
	size_t count = (wanted + size - 1) / size;

	if (!descriptor->bulk || count == 0)
		return 1;
	return count < RING_SEND_SEGMENTS ? (unsigned)count : RING_SEND_SEGMENTS;
}

static ssize_t receive_into(int fd, struct iovec *iov, unsigned count)
{
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};

	if (count == 1)
		return recv(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT);
	return recvmsg(fd, &message, MSG_DONTWAIT);
}

static void received(struct rk_epoll *epoll, int fd, uint32_t length, uint32_t asked)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);
	struct rk_epoll_buffers *pool = &epoll->pools[RING_POOL_STREAM];
	uint32_t buffer = ring_epoll_buffers_take(pool, (length + pool->size - 1) / pool->size);
	uint32_t flags = RING_BUFFER;

	descriptor->bulk = length == asked;
	if (length < asked && !(descriptor->state & EPOLLPRI))
		descriptor->state &= ~EPOLLIN;
	if (length < descriptor->limit) {
		descriptor->limit -= length;
		flags |= RING_MORE;
	} else {
		descriptor->reading = READ_NONE;
	}
	ring_epoll_complete_buffer(epoll, descriptor->read_tag, (int32_t)length, flags, buffer);
}

void ring_epoll_step_receive(struct rk_epoll *epoll, int fd)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);
	struct rk_epoll_buffers *pool = &epoll->pools[RING_POOL_STREAM];
	struct iovec iov[RING_SEND_SEGMENTS];
	unsigned count = ring_epoll_buffers_peek(pool, iov, count_wanted(descriptor, pool->size));
	ssize_t length;

	if (count == 0) {
		ring_epoll_end_read(epoll, fd, -ENOBUFS);
		return;
	}
	length = receive_into(fd, iov, count);
	if (length > 0)
		received(epoll, fd, (uint32_t)length, count * pool->size);
	else if (length < 0 && errno == EAGAIN)
		descriptor->state &= ~(RING_READABLE | EPOLLPRI);
	else
		ring_epoll_end_read(epoll, fd, length < 0 ? -errno : 0);
}

// --- send

static ssize_t send_from(int fd, const struct iovec *iov, unsigned count)
{
	const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
	struct msghdr message = {.msg_iov = (struct iovec *)iov, .msg_iovlen = count};

	if (count == 1)
		return send(fd, iov->iov_base, iov->iov_len, flags);
	return sendmsg(fd, &message, flags);
}

static size_t total_length(const struct iovec *iov, unsigned count)
{
	size_t length = 0;

	for (unsigned i = 0; i < count; i++)
		length += iov[i].iov_len;
	return length;
}

static struct rk_unsent *take_unsent(struct rk_epoll *epoll)
{
	uint32_t index = epoll->unsent_free;

	if (index > 0) {
		epoll->unsent_free = epoll->unsent[index - 1].next_free;
		return &epoll->unsent[index - 1];
	}
	if (epoll->unsent_touched == epoll->unsent_count)
		return NULL;
	return &epoll->unsent[epoll->unsent_touched++];
}

static void advance(struct rk_unsent *unsent, size_t length)
{
	unsent->sent += (uint32_t)length;
	while (unsent->first < unsent->count && length >= unsent->iov[unsent->first].iov_len)
		length -= unsent->iov[unsent->first++].iov_len;
	if (unsent->first == unsent->count)
		return;
	unsent->iov[unsent->first].iov_base = (char *)unsent->iov[unsent->first].iov_base + length;
	unsent->iov[unsent->first].iov_len -= length;
}

static bool is_stream(int fd)
{
	int type = 0;
	socklen_t length = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

// Keeps what did not fit until the socket is writable. 0, or -errno when it cannot be kept.
static int keep_unsent(struct rk_epoll *epoll, int fd, const struct iovec *iov, unsigned count,
	size_t sent, uint64_t tag)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);
	struct rk_unsent *unsent;
	int result = 0;

	if (descriptor->writing != WRITE_NONE || count > RING_SEND_SEGMENTS)
		return -EBUSY;
	if (!is_stream(fd))
		return -EAGAIN;
	if (STREAM_INTEREST & ~descriptor->interest)
		result = ring_epoll_register(epoll, fd, STREAM_INTEREST);
	if (result < 0)
		return result;
	unsent = take_unsent(epoll);
	if (!unsent)
		return -ENOBUFS;
	memcpy(unsent->iov, iov, count * sizeof(*iov));
	unsent->first = 0;
	unsent->count = count;
	unsent->sent = 0;
	advance(unsent, sent);
	descriptor->unsent = (uint32_t)(unsent - epoll->unsent);
	descriptor->writing = WRITE_SEND;
	descriptor->write_tag = tag;
	descriptor->state &= ~EPOLLOUT;
	ring_epoll_check(epoll, fd);
	return 0;
}

void ring_epoll_send(struct rk_ring *ring, int fd, const struct iovec *iov, unsigned count,
	enum rk_send_mode mode, uint64_t tag)
{
	struct rk_epoll *epoll = epoll_of(ring);
	ssize_t length;
	int result;

	if (!ring_epoll_descriptor(epoll, fd, tag))
		return;
	length = send_from(fd, iov, count);
	result = length < 0 ? -errno : (int)length;
	if (mode == SEND_ALL &&
		(result == -EAGAIN || (result >= 0 && (size_t)length < total_length(iov, count)))) {
		int kept = keep_unsent(epoll, fd, iov, count, length > 0 ? (size_t)length : 0, tag);

		if (kept == 0)
			return;
		if (result < 0)
			result = kept;
	}
	ring_epoll_complete(epoll, tag, result);
}

void ring_epoll_step_send(struct rk_epoll *epoll, int fd)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);
	struct rk_unsent *unsent = &epoll->unsent[descriptor->unsent];
	ssize_t length = send_from(fd, unsent->iov + unsent->first, unsent->count - unsent->first);

	if (length < 0 && errno == EAGAIN) {
		descriptor->state &= ~RING_WRITABLE;
		return;
	}
	if (length < 0) {
		ring_epoll_end_write(epoll, fd, unsent->sent > 0 ? (int32_t)unsent->sent : -errno);
		return;
	}
	advance(unsent, (size_t)length);
	if (unsent->first == unsent->count)
		ring_epoll_end_write(epoll, fd, (int32_t)unsent->sent);
	else
		descriptor->state &= ~EPOLLOUT;
}
