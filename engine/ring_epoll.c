// ring_epoll.c: the ring interface on epoll: descriptors, their events, the queue of completions.

#include "engine/ring_epoll.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLERR == EPOLLERR &&
		       POLLHUP == EPOLLHUP && POLLRDHUP == EPOLLRDHUP,
	"ring_poll() speaks of the same bits");

// --- completions

void ring_epoll_complete_buffer(
	struct rk_epoll *epoll, uint64_t tag, int32_t result, uint32_t flags, uint32_t buffer)
{
	if (epoll->end - epoll->first > epoll->completion_mask) {
		epoll->base.stats.overflows++;
		epoll->broken = true;
		return;
	}
	epoll->completions[epoll->end++ & epoll->completion_mask] = (struct rk_completion){
		.tag = tag, .result = result, .flags = flags, .buffer = buffer};
}

void ring_epoll_complete(struct rk_epoll *epoll, uint64_t tag, int32_t result)
{
	ring_epoll_complete_buffer(epoll, tag, result, 0, 0);
}

static void deliver(struct rk_epoll *epoll, ring_handler *handler, void *context)
{
	while (epoll->first != epoll->end) {
		struct rk_completion completion =
			epoll->completions[epoll->first++ & epoll->completion_mask];

		epoll->base.stats.completions++;
		handler(context, &completion);
	}
	epoll->first = epoll->end = 0; // the same few entries again: the rest is never touched
}

// --- the queue of descriptors that can do something

static void push_ready(struct rk_epoll *epoll, int fd)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);

	if (descriptor->queued)
		return;
	descriptor->queued = true;
	if (epoll->ready_count++ == 0)
		epoll->ready_head = (uint32_t)fd;
	else
		epoll->descriptors[epoll->ready_tail].next_ready = (uint32_t)fd;
	epoll->ready_tail = (uint32_t)fd;
}

static int pop_ready(struct rk_epoll *epoll)
{
	uint32_t fd = epoll->ready_head;

	epoll->ready_head = epoll->descriptors[fd].next_ready;
	epoll->ready_count--;
	epoll->descriptors[fd].queued = false;
	return (int)fd;
}

static bool can_read(const struct rk_descriptor *descriptor)
{
	return descriptor->reading != READ_NONE && descriptor->state & RING_READABLE;
}

static bool can_write(const struct rk_descriptor *descriptor)
{
	return descriptor->writing != WRITE_NONE && descriptor->state & RING_WRITABLE;
}

void ring_epoll_check(struct rk_epoll *epoll, int fd)
{
	const struct rk_descriptor *descriptor = descriptor_of(epoll, fd);

	if (can_read(descriptor) || can_write(descriptor) || descriptor->poll_seen)
		push_ready(epoll, fd);
}

// --- registration

struct rk_descriptor *ring_epoll_descriptor(struct rk_epoll *epoll, int fd, uint64_t tag)
{
	if (fd >= 0 && (uint32_t)fd < epoll->descriptor_count)
		return descriptor_of(epoll, fd);
	ring_epoll_complete(epoll, tag, fd < 0 ? -EBADF : -EMFILE);
	return NULL;
}

int ring_epoll_register(struct rk_epoll *epoll, int fd, uint32_t events)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);
	int operation = descriptor->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	struct epoll_event event = {.events = descriptor->interest | events | EPOLLET};

	if (!descriptor->interest)
		descriptor->generation++;
	event.data.u64 = (uint64_t)descriptor->generation << 32 | (uint32_t)fd;
	if (epoll_ctl(epoll->fd, operation, fd, &event) < 0) {
		// Its owner closed it, or connects it for a second time.
		if (errno != ENOENT && errno != EEXIST)
			return -errno;
		operation = errno == ENOENT ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
		if (epoll_ctl(epoll->fd, operation, fd, &event) < 0)
			return -errno;
	}
	descriptor->interest = event.events;
	return 0;
}

void ring_epoll_forget(struct rk_descriptor *descriptor)
{
	descriptor->interest = 0;
	descriptor->state = 0;
	descriptor->poll_seen = 0;
	descriptor->bulk = false;
	descriptor->generation++;
}

// The owner of a listener or of a polled descriptor may close it by itself when nothing is pending
// there: epoll must not hold it then.
static void unregister_idle(struct rk_epoll *epoll, int fd)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);

	if (!descriptor->interest || descriptor->reading || descriptor->writing ||
		descriptor->poll_events)
		return;
	epoll_ctl(epoll->fd, EPOLL_CTL_DEL, fd, NULL);
	ring_epoll_forget(descriptor);
}

struct rk_descriptor *ring_epoll_start_read(
	struct rk_epoll *epoll, int fd, enum rk_epoll_read kind, uint32_t interest, uint64_t tag)
{
	struct rk_descriptor *descriptor = ring_epoll_descriptor(epoll, fd, tag);
	int result = 0;

	if (!descriptor)
		return NULL;
	if (descriptor->reading != READ_NONE)
		result = -EBUSY;
	else if (interest & ~descriptor->interest)
		result = ring_epoll_register(epoll, fd, interest);
	if (result < 0) {
		ring_epoll_complete(epoll, tag, result);
		return NULL;
	}
	descriptor->reading = (uint8_t)kind;
	descriptor->read_tag = tag;
	ring_epoll_check(epoll, fd);
	return descriptor;
}

void ring_epoll_end_read(struct rk_epoll *epoll, int fd, int32_t result)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);
	bool of_listener = descriptor->reading == READ_ACCEPT ||
			   descriptor->reading == READ_ACCEPT_ONE ||
			   descriptor->reading == READ_FROM;

	if (result == -ENOBUFS)
		epoll->base.stats.no_buffers++;
	descriptor->reading = READ_NONE;
	ring_epoll_complete(epoll, descriptor->read_tag, result);
	if (of_listener)
		unregister_idle(epoll, fd);
}

void ring_epoll_end_write(struct rk_epoll *epoll, int fd, int32_t result)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);

	if (descriptor->writing == WRITE_SEND) {
		epoll->unsent[descriptor->unsent].next_free = epoll->unsent_free;
		epoll->unsent_free = descriptor->unsent + 1;
	}
	descriptor->writing = WRITE_NONE;
	ring_epoll_complete(epoll, descriptor->write_tag, result);
}

// --- poll, cancel, close

static void start_poll(struct rk_ring *ring, int fd, uint32_t events, uint64_t tag)
{
	struct rk_epoll *epoll = epoll_of(ring);
	struct rk_descriptor *descriptor = ring_epoll_descriptor(epoll, fd, tag);
	int result;

	if (!descriptor)
		return;
	// Also when it is registered for these: epoll then tells what holds now.
	result = descriptor->poll_events ? -EBUSY
					 : ring_epoll_register(epoll, fd, events | EPOLLRDHUP);
	if (result < 0) {
		ring_epoll_complete(epoll, tag, result);
		return;
	}
	descriptor->poll_tag = tag;
	descriptor->poll_events = events | EPOLLRDHUP | RING_BROKEN;
}

static void step_poll(struct rk_epoll *epoll, struct rk_descriptor *descriptor)
{
	ring_epoll_complete_buffer(
		epoll, descriptor->poll_tag, (int32_t)descriptor->poll_seen, RING_MORE, 0);
	descriptor->poll_seen = 0;
}

// What it has seen and not yet told goes with it: nothing may follow its last completion.
static void end_poll(struct rk_epoll *epoll, struct rk_descriptor *descriptor)
{
	descriptor->poll_events = 0;
	descriptor->poll_seen = 0;
	ring_epoll_complete(epoll, descriptor->poll_tag, -ECANCELED);
}

// Ends what is pending on a descriptor; returns how many operations that were.
static int32_t cancel_all(struct rk_epoll *epoll, int fd)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);
	int32_t count = 0;

	if (descriptor->poll_events) {
		end_poll(epoll, descriptor);
		count++;
	}
	if (descriptor->writing != WRITE_NONE) {
		ring_epoll_end_write(epoll, fd, -ECANCELED);
		count++;
	}
	if (descriptor->reading != READ_NONE) {
		ring_epoll_end_read(epoll, fd, -ECANCELED);
		count++;
	}
	unregister_idle(epoll, fd);
	return count;
}

static void cancel(struct rk_ring *ring, int fd, uint64_t tag)
{
	struct rk_epoll *epoll = epoll_of(ring);
	int32_t count;

	if (!ring_epoll_descriptor(epoll, fd, tag))
		return;
	count = cancel_all(epoll, fd);
	ring_epoll_complete(epoll, tag, count > 0 ? count : -ENOENT);
}

// A descriptor's operations are few and found by its number.
static void cancel_one(struct rk_ring *ring, int fd, uint64_t operation, uint64_t tag)
{
	struct rk_epoll *epoll = epoll_of(ring);
	struct rk_descriptor *descriptor = ring_epoll_descriptor(epoll, fd, tag);
	int32_t result = 0;

	if (!descriptor)
		return;
	if (descriptor->poll_events && descriptor->poll_tag == operation) {
		end_poll(epoll, descriptor);
	} else if (descriptor->writing != WRITE_NONE && descriptor->write_tag == operation) {
		ring_epoll_end_write(epoll, fd, -ECANCELED);
	} else if (descriptor->reading != READ_NONE && descriptor->read_tag == operation) {
		ring_epoll_end_read(epoll, fd, -ECANCELED);
	} else {
		result = -ENOENT;
	}
	unregister_idle(epoll, fd);
	ring_epoll_complete(epoll, tag, result);
}

static void close_fd(struct rk_ring *ring, int fd, uint64_t tag)
{
	struct rk_epoll *epoll = epoll_of(ring);

	// One above the table (the limit of files was raised) has nothing pending.
	if (fd >= 0 && (uint32_t)fd < epoll->descriptor_count) {
		struct rk_descriptor *descriptor = descriptor_of(epoll, fd);

		if (descriptor->reading || descriptor->writing || descriptor->poll_events)
			cancel_all(epoll, fd);
		// Closing ends the registration too; should another process still have a copy for a
		// moment, events of it carry the old generation.
		ring_epoll_forget(descriptor);
	}
	ring_epoll_complete(epoll, tag, close(fd) < 0 ? -errno : 0);
}

// --- a turn

static void note_event(struct rk_epoll *epoll, const struct epoll_event *event)
{
	int fd = (int)(uint32_t)event->data.u64;
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);

	if (descriptor->generation != event->data.u64 >> 32)
		return;
	descriptor->state |= event->events;
	descriptor->poll_seen |= event->events & descriptor->poll_events;
	ring_epoll_check(epoll, fd);
}

static void step_read(struct rk_epoll *epoll, int fd, enum rk_epoll_read kind)
{
	switch (kind) {
	case READ_NONE:
		break;
	case READ_ACCEPT:
	case READ_ACCEPT_ONE:
		ring_epoll_step_accept(epoll, fd);
		break;
	case READ_STREAM:
		ring_epoll_step_receive(epoll, fd);
		break;
	case READ_FROM:
		ring_epoll_step_receive_from(epoll, fd);
		break;
	case READ_DATAGRAM:
		ring_epoll_step_receive_datagram(epoll, fd);
		break;
	}
}

static void step(struct rk_epoll *epoll, int fd)
{
	struct rk_descriptor *descriptor = descriptor_of(epoll, fd);

	if (can_write(descriptor)) {
		if (descriptor->writing == WRITE_CONNECT)
			ring_epoll_step_connect(epoll, fd);
		else
			ring_epoll_step_send(epoll, fd);
	}
	if (descriptor->poll_seen)
		step_poll(epoll, descriptor);
	if (can_read(descriptor))
		step_read(epoll, fd, descriptor->reading);
	ring_epoll_check(epoll, fd);
}

static int wait_turn(struct rk_ring *ring, int64_t timeout_ms, ring_handler *handler, void *context)
{
	struct rk_epoll *epoll = epoll_of(ring);
	bool busy = epoll->ready_count > 0 || epoll->first != epoll->end;
	int timeout = timeout_ms > INT_MAX ? INT_MAX : timeout_ms < 0 ? -1 : (int)timeout_ms;
	int count = epoll_wait(epoll->fd, epoll->events, RING_EVENTS, busy ? 0 : timeout);

	ring->stats.waits++;
	if (count < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < count; i++)
		note_event(epoll, &epoll->events[i]);
	deliver(epoll, handler, context);
	for (uint32_t left = epoll->ready_count; left > 0; left--) {
		step(epoll, pop_ready(epoll));
		deliver(epoll, handler, context);
	}
	return epoll->broken ? -EOVERFLOW : 0;
}

// --- buffers

static void *buffer_data(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	return ring_epoll_buffers_data(&epoll_of(ring)->pools[pool], buffer);
}

static uint32_t buffer_size(const struct rk_ring *ring, enum rk_ring_pool pool)
{
	return ((const struct rk_epoll *)ring)->pools[pool].size;
}

static uint32_t buffer_next(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	return epoll_of(ring)->pools[pool].next[buffer];
}

static void buffer_release(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	ring_epoll_buffers_put(&epoll_of(ring)->pools[pool], buffer);
}

// --- open and close

static void *map_lazily(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static size_t completions_size(const struct rk_epoll *epoll)
{
	return ((size_t)epoll->completion_mask + 1) * sizeof(*epoll->completions);
}

static int map_tables(struct rk_epoll *epoll)
{
	epoll->descriptors = map_lazily(epoll->descriptor_count * sizeof(*epoll->descriptors));
	epoll->completions = map_lazily(completions_size(epoll));
	epoll->unsent = map_lazily(epoll->unsent_count * sizeof(*epoll->unsent));
	return epoll->descriptors && epoll->completions && epoll->unsent ? 0 : -ENOMEM;
}

static void close_ring(struct rk_ring *ring)
{
	struct rk_epoll *epoll = epoll_of(ring);

	for (unsigned i = 0; i < RING_POOL_COUNT; i++)
		ring_epoll_buffers_close(&epoll->pools[i]);
	if (epoll->descriptors)
		munmap(epoll->descriptors, epoll->descriptor_count * sizeof(*epoll->descriptors));
	if (epoll->completions)
		munmap(epoll->completions, completions_size(epoll));
	if (epoll->unsent)
		munmap(epoll->unsent, epoll->unsent_count * sizeof(*epoll->unsent));
	if (epoll->fd >= 0)
		close(epoll->fd);
	free(epoll);
}

static void trim(struct rk_ring *ring)
{
	for (unsigned i = 0; i < RING_POOL_COUNT; i++)
		ring_epoll_buffers_trim(&epoll_of(ring)->pools[i]);
}

static const struct rk_ring_ops epoll_ops = {
	.name = "epoll",
	.close = close_ring,
	.wait = wait_turn,
	.accept = ring_epoll_accept,
	.connect = ring_epoll_connect,
	.receive = ring_epoll_receive,
	.send = ring_epoll_send,
	.receive_from = ring_epoll_receive_from,
	.receive_datagram = ring_epoll_receive_datagram,
	.send_message = ring_epoll_send_message,
	.poll = start_poll,
	.cancel = cancel,
	.cancel_one = cancel_one,
	.close_fd = close_fd,
	.buffer_data = buffer_data,
	.buffer_size = buffer_size,
	.buffer_next = buffer_next,
	.buffer_release = buffer_release,
	.trim = trim,
	.datagram_parse = ring_epoll_datagram_parse,
};

// A power of two, so that it divides the ring of completions.
static uint32_t count_descriptors(void)
{
	struct rlimit limit;
	uint32_t count = 1024;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return count;
	while (count < limit.rlim_cur && count < RING_DESCRIPTORS_MAX)
		count *= 2;
	return count;
}

int ring_epoll_open(struct rk_ring **ring, const struct rk_ring_options *options)
{
	struct rk_epoll *epoll = calloc(1, sizeof(*epoll));
	int result;

	if (!epoll)
		return -ENOMEM;
	epoll->base.ops = &epoll_ops;
	epoll->descriptor_count = count_descriptors();
	epoll->completion_mask = epoll->descriptor_count * RING_COMPLETIONS_PER_DESCRIPTOR - 1;
	epoll->unsent_count = options->buffer_count[RING_POOL_STREAM];
	epoll->fd = epoll_create1(EPOLL_CLOEXEC);
	result = epoll->fd < 0 ? -errno : map_tables(epoll);
	for (unsigned i = 0; i < RING_POOL_COUNT && result == 0; i++)
		result = ring_epoll_buffers_open(
			&epoll->pools[i], options->buffer_count[i], options->buffer_size[i]);
	if (result < 0) {
		close_ring(&epoll->base);
		return result;
	}
	*ring = &epoll->base;
	return 0;
}
