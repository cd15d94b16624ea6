// ring_fake.c: a ring whose operations complete when and how the test says.

#include "tests/unit/ring_fake.h"

#include "engine/lane.h"
#include "engine/udp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OPERATIONS_MAX  1024
#define COMPLETIONS_MAX 2048
#define IDLE_WAITS_MAX  1000
#define BUFFERS_MAX     STREAM_BUFFER_COUNT

// What stands before the payload in the buffer of a client's datagram.
#define DATAGRAM_HEAD 64
struct head {
	struct rk_addr source;
	bool truncated;
};
_Static_assert(sizeof(struct head) <= DATAGRAM_HEAD, "the head fits");

static struct {
	struct rk_ring base;
	struct fake_operation operations[OPERATIONS_MAX];
	unsigned operation_count;
	struct rk_completion completions[COMPLETIONS_MAX];
	unsigned completion_count;
	unsigned searches;
	unsigned idle_waits; // in a row
	struct {
		unsigned char *memory;
		uint32_t size, count, held;
		bool is_held[BUFFERS_MAX];
		uint32_t next[BUFFERS_MAX];
	} pools[RING_POOL_COUNT];
} fake;

bool fake_hold_cancelled;
int fake_wait_error;

// --- what the data plane asks for

static struct fake_operation *ask(int fd, uint64_t tag)
{
	struct fake_operation *operation = &fake.operations[fake.operation_count++];

	cr_assert_lt(fake.operation_count, OPERATIONS_MAX);
	// Of empty replies a flow may have many; nothing tells them apart.
	for (unsigned i = 0; i + 1 < fake.operation_count; i++)
		cr_assert(fake.operations[i].tag != tag || tag_operation(tag) == OP_UDP_SEND_EMPTY,
			"operation %u is in flight twice", tag_operation(tag));
	*operation = (struct fake_operation){.tag = tag, .fd = fd};
	return operation;
}

static void push_completion(struct rk_completion completion)
{
	cr_assert_lt(fake.completion_count, COMPLETIONS_MAX);
	fake.completions[fake.completion_count++] = completion;
}

void fake_complete(uint64_t tag, int result)
{
	push_completion((struct rk_completion){.tag = tag, .result = result});
}

static void fake_accept(struct rk_ring *ring, int fd, bool once, uint64_t tag)
{
	(void)ring;
	ask(fd, tag)->once = once;
}

static void fake_connect(struct rk_ring *ring, int fd, const struct rk_addr *addr, uint64_t tag)
{
	(void)ring;
	(void)addr;
	ask(fd, tag);
}

static void fake_receive(struct rk_ring *ring, int fd, size_t limit, uint64_t tag)
{
	(void)ring;
	cr_expect_gt(limit, 0);
	ask(fd, tag)->length = limit;
}

static void fake_send(struct rk_ring *ring, int fd, const struct iovec *iov, unsigned count,
	enum rk_send_mode mode, uint64_t tag)
{
	struct fake_operation *operation = ask(fd, tag);

	(void)ring;
	(void)mode;
	for (unsigned i = 0; i < count; i++)
		operation->length += iov[i].iov_len;
}

static void fake_receive_from(
	struct rk_ring *ring, int fd, const struct msghdr *shape, uint64_t tag)
{
	(void)ring;
	(void)shape;
	ask(fd, tag);
}

static void fake_receive_datagram(struct rk_ring *ring, int fd, uint64_t tag)
{
	(void)ring;
	ask(fd, tag);
}

static void fake_send_message(
	struct rk_ring *ring, int fd, const struct msghdr *message, uint64_t tag)
{
	fake_send(ring, fd, message->msg_iov, (unsigned)message->msg_iovlen, SEND_ALL, tag);
}

static void fake_poll(struct rk_ring *ring, int fd, uint32_t events, uint64_t tag)
{
	(void)ring;
	(void)events;
	ask(fd, tag);
}

static void fake_cancel(struct rk_ring *ring, int fd, uint64_t tag)
{
	(void)ring;
	fake.searches++;
	for (unsigned i = 0; i < fake.operation_count; i++)
		if (fake.operations[i].fd == fd)
			fake.operations[i].cancelled = true;
	fake_complete(tag, 0);
}

static void fake_cancel_one(struct rk_ring *ring, int fd, uint64_t operation, uint64_t tag)
{
	(void)ring;
	(void)fd;
	for (unsigned i = 0; i < fake.operation_count; i++)
		if (fake.operations[i].tag == operation)
			fake.operations[i].cancelled = true;
	fake_complete(tag, 0);
}

static void fake_close_fd(struct rk_ring *ring, int fd, uint64_t tag)
{
	(void)ring;
	// The poll of a helper's channel ends with the cancel that goes before.
	for (unsigned i = 0; i < fake.operation_count; i++) {
		const struct fake_operation *operation = &fake.operations[i];
		uint8_t kind = tag_operation(operation->tag);

		cr_expect(operation->fd != fd || (kind == OP_HELPER && operation->cancelled),
			"closed under operation %u", kind);
	}
	cr_expect_eq(close(fd), 0, "a descriptor that is none was closed: %d", fd);
	fake_complete(tag, 0);
}

// --- buffers

static void *fake_buffer_data(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	(void)ring;
	return fake.pools[pool].memory + (size_t)buffer * fake.pools[pool].size;
}

static uint32_t fake_buffer_size(const struct rk_ring *ring, enum rk_ring_pool pool)
{
	(void)ring;
	return fake.pools[pool].size;
}

static uint32_t fake_buffer_next(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	(void)ring;
	return fake.pools[pool].next[buffer];
}

static void fake_buffer_release(struct rk_ring *ring, enum rk_ring_pool pool, uint32_t buffer)
{
	(void)ring;
	cr_assert_lt(buffer, fake.pools[pool].count);
	cr_expect(fake.pools[pool].is_held[buffer], "buffer %u was released twice", buffer);
	fake.pools[pool].is_held[buffer] = false;
	fake.pools[pool].held--;
}

static uint32_t take_buffer(enum rk_ring_pool pool)
{
	uint32_t buffer = 0;

	while (buffer < fake.pools[pool].count && fake.pools[pool].is_held[buffer])
		buffer++;
	cr_assert_lt(buffer, fake.pools[pool].count, "no buffer is free");
	fake.pools[pool].is_held[buffer] = true;
	fake.pools[pool].held++;
	return buffer;
}

uint32_t fake_buffers_held(enum rk_ring_pool pool)
{
	return fake.pools[pool].held;
}

static void fake_trim(struct rk_ring *ring)
{
	(void)ring;
}

static int fake_datagram_parse(struct rk_ring *ring, uint32_t buffer, size_t length,
	const struct msghdr *shape, struct rk_datagram *datagram)
{
	unsigned char *data = fake_buffer_data(ring, RING_POOL_DATAGRAM, buffer);

	(void)shape;
	if (length < DATAGRAM_HEAD)
		return -EINVAL;
	*datagram = (struct rk_datagram){
		.source = &((struct head *)data)->source,
		.control = data + sizeof(struct head),
		.payload = data + DATAGRAM_HEAD,
		.payload_length = length - DATAGRAM_HEAD,
	};
	return 0;
}

// --- what the test answers

unsigned fake_count(void)
{
	return fake.operation_count;
}

struct fake_operation *fake_at(unsigned index)
{
	return &fake.operations[index];
}

struct fake_operation *fake_find(enum rk_operation operation)
{
	for (unsigned i = 0; i < fake.operation_count; i++)
		if (tag_operation(fake.operations[i].tag) == operation)
			return &fake.operations[i];
	return NULL;
}

unsigned fake_index_of(enum rk_operation operation)
{
	const struct fake_operation *found = fake_find(operation);

	cr_assert_not_null(found, "operation %u is not in flight", operation);
	return (unsigned)(found - fake.operations);
}

unsigned fake_searches(void)
{
	return fake.searches;
}

static void answer(unsigned index, struct rk_completion completion)
{
	completion.tag = fake.operations[index].tag;
	push_completion(completion);
	if (completion.flags & RING_MORE)
		return;
	fake.operation_count--;
	memmove(&fake.operations[index], &fake.operations[index + 1],
		(fake.operation_count - index) * sizeof(fake.operations[0]));
}

void fake_answer_at(unsigned index, int result, uint32_t flags)
{
	answer(index, (struct rk_completion){.result = result, .flags = flags});
}

void fake_answer(enum rk_operation operation, int result, uint32_t flags)
{
	fake_answer_at(fake_index_of(operation), result, flags);
}

void fake_answer_bytes(unsigned index, uint32_t length, uint32_t flags)
{
	struct rk_completion completion = {.result = (int)length, .flags = flags | RING_BUFFER};
	uint32_t buffer = completion.buffer = take_buffer(RING_POOL_STREAM);

	for (; length > STREAM_BUFFER_SIZE; length -= STREAM_BUFFER_SIZE)
		buffer = fake.pools[RING_POOL_STREAM].next[buffer] = take_buffer(RING_POOL_STREAM);
	answer(index, completion);
}

void fake_answer_datagram(
	unsigned index, const struct rk_addr *source, uint32_t length, uint32_t flags)
{
	struct rk_completion completion = {.flags = flags | RING_BUFFER};
	struct head *head;

	completion.buffer = take_buffer(RING_POOL_DATAGRAM);
	head = fake_buffer_data(&fake.base, RING_POOL_DATAGRAM, completion.buffer);
	if (source)
		*head = (struct head){.source = *source};
	completion.result = (int)(length + (source ? DATAGRAM_HEAD : 0));
	answer(index, completion);
}

// --- the turn

static void answer_cancelled(void)
{
	for (unsigned i = 0; i < fake.operation_count;) {
		if (fake.operations[i].cancelled)
			fake_answer_at(i, -ECANCELED, 0);
		else
			i++;
	}
}

static int fake_wait(struct rk_ring *ring, int64_t timeout_ms, ring_handler *handler, void *context)
{
	static struct rk_completion batch[COMPLETIONS_MAX];
	unsigned count;

	(void)ring;
	(void)timeout_ms;
	if (!fake_hold_cancelled)
		answer_cancelled();
	count = fake.completion_count;
	fake.idle_waits = count > 0 ? 0 : fake.idle_waits + 1;
	cr_assert_lt(fake.idle_waits, IDLE_WAITS_MAX, "the worker waits for what never comes");
	memcpy(batch, fake.completions, count * sizeof(batch[0]));
	fake.completion_count = 0;
	for (unsigned i = 0; i < count; i++)
		handler(context, &batch[i]);
	return fake_wait_error;
}

static void fake_close(struct rk_ring *ring)
{
	(void)ring;
	for (unsigned i = 0; i < RING_POOL_COUNT; i++)
		munmap(fake.pools[i].memory, (size_t)fake.pools[i].count * fake.pools[i].size);
	memset(&fake, 0, sizeof(fake));
}

static const struct rk_ring_ops fake_ops = {
	.name = "fake",
	.close = fake_close,
	.wait = fake_wait,
	.accept = fake_accept,
	.connect = fake_connect,
	.receive = fake_receive,
	.send = fake_send,
	.receive_from = fake_receive_from,
	.receive_datagram = fake_receive_datagram,
	.send_message = fake_send_message,
	.poll = fake_poll,
	.cancel = fake_cancel,
	.cancel_one = fake_cancel_one,
	.close_fd = fake_close_fd,
	.buffer_data = fake_buffer_data,
	.buffer_size = fake_buffer_size,
	.buffer_next = fake_buffer_next,
	.buffer_release = fake_buffer_release,
	.trim = fake_trim,
	.datagram_parse = fake_datagram_parse,
};

struct rk_ring *fake_ring_open(void)
{
	const uint32_t counts[RING_POOL_COUNT] = {STREAM_BUFFER_COUNT, DATAGRAM_BUFFER_COUNT};
	const uint32_t sizes[RING_POOL_COUNT] = {STREAM_BUFFER_SIZE, DATAGRAM_BUFFER_SIZE};

	fake.base.ops = &fake_ops;
	for (unsigned i = 0; i < RING_POOL_COUNT; i++) {
		fake.pools[i].count = counts[i];
		fake.pools[i].size = sizes[i];
		// Large, and untouched until it is used.
		fake.pools[i].memory = mmap(NULL, (size_t)counts[i] * sizes[i],
			PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		cr_assert_neq(fake.pools[i].memory, MAP_FAILED);
	}
	fake_hold_cancelled = false;
	fake_wait_error = 0;
	return &fake.base;
}
