// test_ring.c: the ring interface; every test runs on io_uring and on epoll.

#include "base/fd.h"
#include "engine/ring.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STREAM_BUFFERS	 8
#define STREAM_SIZE	 4096
#define DATAGRAM_BUFFERS 16
#define SEEN_MAX	 1024
#define LIMIT		 (1u << 20)

enum { TAG_READ = 1, TAG_WRITE, TAG_POLL, TAG_CANCEL, TAG_CLOSE };

static struct rk_ring *ring;
static struct {
	struct rk_completion completion;
	bool taken;
} seen[SEEN_MAX];
static unsigned seen_count;
static bool receiving; // next_received() has a receive in flight

static void remember(void *context, const struct rk_completion *completion)
{
	(void)context;
	cr_assert_lt(seen_count, SEEN_MAX);
	seen[seen_count++].completion = *completion;
}

static struct rk_ring_options options_for(enum rk_io_mode mode)
{
	return (struct rk_ring_options){
		.io = mode,
		.entries = 64,
		.buffer_count = {STREAM_BUFFERS, DATAGRAM_BUFFERS},
		.buffer_size = {STREAM_SIZE, 66 * 1024},
	};
}

// False when this machine has no io_uring: the tests for it are skipped.
static void open_ring(const enum rk_io_mode *mode)
{
	const struct rk_ring_options options = options_for(*mode);
	int result = ring_open(&ring, &options);

	if (*mode == IO_URING && (result == -EPERM || result == -ENOSYS))
		cr_skip_test("io_uring is forbidden here");
	cr_assert_eq(result, 0, "ring_open: %s", strerror(-result));
}

static void turn(void)
{
	cr_assert_eq(ring_wait(ring, 20, remember, NULL), 0);
}

static bool take(uint64_t tag, struct rk_completion *completion)
{
	for (unsigned i = 0; i < seen_count; i++) {
		if (seen[i].taken || seen[i].completion.tag != tag)
			continue;
		seen[i].taken = true;
		*completion = seen[i].completion;
		return true;
	}
	return false;
}

// The next completion of that operation, which must come.
static struct rk_completion next(uint64_t tag)
{
	struct rk_completion completion;
	bool taken = take(tag, &completion);

	for (int i = 0; i < 100 && !taken; i++) {
		turn();
		taken = take(tag, &completion);
	}
	cr_assert(taken, "operation %u did not complete", (unsigned)tag);
	return completion;
}

static void expect_none(uint64_t tag)
{
	struct rk_completion completion;

	turn();
	turn();
	cr_expect_not(take(tag, &completion), "operation %u completed with %d", (unsigned)tag,
		completion.result);
}

static unsigned char pattern(size_t offset)
{
	return (unsigned char)(offset % 251);
}

// The next completion of a receive, which is asked for again when it has ended.
static struct rk_completion next_received(int fd, size_t limit)
{
	struct rk_completion completion;

	if (!receiving)
		ring_receive(ring, fd, limit, TAG_READ);
	completion = next(TAG_READ);
	receiving = completion.flags & RING_MORE;
	return completion;
}

static void fill(unsigned char *data, size_t length, size_t offset)
{
	for (size_t i = 0; i < length; i++)
		data[i] = pattern(offset + i);
}

// Checks and releases the buffers of a stream completion; returns how many bytes it had.
static size_t consume(const struct rk_completion *completion, size_t offset)
{
	uint32_t buffer = completion->buffer;
	size_t left = (size_t)completion->result;

	cr_assert_gt(completion->result, 0);
	cr_assert(completion->flags & RING_BUFFER);
	while (left > 0) {
		const unsigned char *data = ring_buffer_data(ring, RING_POOL_STREAM, buffer);
		size_t part = left < STREAM_SIZE ? left : STREAM_SIZE;
		uint32_t following = ring_buffer_next(ring, RING_POOL_STREAM, buffer);

		for (size_t i = 0; i < part; i++)
			cr_assert_eq(data[i], pattern(offset + i), "byte %zu", offset + i);
		ring_buffer_release(ring, RING_POOL_STREAM, buffer);
		offset += part;
		left -= part;
		buffer = following;
	}
	return (size_t)completion->result;
}

// --- sockets

static void open_pair(int *pair)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static int open_bound(int type, struct rk_addr *addr)
{
	socklen_t length = sizeof(*addr);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	cr_assert_eq(addr_parse(addr, "127.0.0.1", 9, 0), 0);
	cr_assert_eq(bind(fd, &addr->sa, addr_length(addr)), 0);
	cr_assert_eq(getsockname(fd, &addr->sa, &length), 0);
	return fd;
}

static int open_listener(struct rk_addr *addr)
{
	int fd = open_bound(SOCK_STREAM, addr);

	cr_assert_eq(listen(fd, 16), 0);
	return fd;
}

static int open_client(const struct rk_addr *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(connect(fd, &addr->sa, addr_length(addr)), 0);
	return fd;
}

static void open_tcp_pair(int *pair)
{
	struct rk_addr addr;
	int listener = open_listener(&addr);

	pair[0] = open_client(&addr);
	pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(pair[1], 0);
	close(listener);
}

static void write_pattern(int fd, size_t length, size_t offset)
{
	unsigned char data[65536];

	cr_assert_leq(length, sizeof(data));
	fill(data, length, offset);
	cr_assert_eq(write(fd, data, length), (ssize_t)length);
}

static const enum rk_io_mode modes[] = {IO_URING, IO_EPOLL};

#define RING_TEST(name)                                                                            \
	ParameterizedTestParameters(ring, name)                                                    \
	{                                                                                          \
		return cr_make_param_array(enum rk_io_mode, (enum rk_io_mode *)modes, 2);          \
	}                                                                                          \
	ParameterizedTest(enum rk_io_mode *mode, ring, name)

// --- opening and waiting

RING_TEST(names_its_implementation)
{
	open_ring(mode);
	cr_assert_str_eq(ring_name(ring), *mode == IO_EPOLL ? "epoll" : "io_uring");
	ring_close(ring);
}

static int64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

RING_TEST(waits_until_the_time_is_over)
{
	int64_t start = now_ms();

	open_ring(mode);
	cr_assert_eq(ring_wait(ring, 60, remember, NULL), 0);
	cr_expect_geq(now_ms() - start, 59);
	cr_expect_eq(seen_count, 0);
	ring_close(ring);
}

static void forbid_io_uring(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(ring_fallback, runs_on_epoll_where_io_uring_is_forbidden)
{
	struct rk_ring_options options = options_for(IO_AUTO);
	int64_t start = now_ms();

	forbid_io_uring();
	cr_assert_eq(ring_open(&ring, &options), 0);
	cr_expect_lt(now_ms() - start, 50);
	cr_expect_str_eq(ring_name(ring), "epoll");
	ring_close(ring);
	options.io = IO_URING;
	cr_expect_eq(ring_open(&ring, &options), -EPERM);
}

// --- accept and connect

RING_TEST(accepts_many_and_connects)
{
	struct rk_addr addr;
	int listener = open_listener(&addr);

	open_ring(mode);
	ring_accept(ring, listener, false, TAG_READ);
	for (int i = 0; i < 3; i++) {
		int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct rk_completion accepted, connected;

		ring_connect(ring, client, &addr, TAG_WRITE);
		connected = next(TAG_WRITE);
		cr_assert_eq(connected.result, 0, "%s", strerror(-connected.result));
		accepted = next(TAG_READ);
		cr_assert_geq(accepted.result, 0);
		cr_expect(accepted.flags & RING_MORE);
		cr_expect(fcntl(accepted.result, F_GETFD) & FD_CLOEXEC);
		close(accepted.result);
		close(client);
	}
	ring_cancel(ring, listener, TAG_CANCEL);
	cr_expect_eq(next(TAG_READ).result, -ECANCELED);
	next(TAG_CANCEL);
	ring_close(ring);
	close(listener);
}

RING_TEST(accepts_one_when_asked_for_one)
{
	struct rk_addr addr;
	int listener = open_listener(&addr);
	int clients[2] = {open_client(&addr), open_client(&addr)};

	open_ring(mode);
	for (int i = 0; i < 2; i++) {
		struct rk_completion accepted;

		ring_accept(ring, listener, true, TAG_READ);
		accepted = next(TAG_READ);
		cr_assert_geq(accepted.result, 0);
		cr_expect_not(accepted.flags & RING_MORE);
		expect_none(TAG_READ);
		close(accepted.result);
		close(clients[i]);
	}
	ring_close(ring);
	close(listener);
}

RING_TEST(reports_a_refused_connect)
{
	struct rk_addr addr;
	int refusing = open_bound(SOCK_STREAM, &addr);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	open_ring(mode);
	ring_connect(ring, client, &addr, TAG_WRITE);
	cr_expect_eq(next(TAG_WRITE).result, -ECONNREFUSED);
	ring_close(ring);
	close(client);
	close(refusing);
}

// --- receiving from streams

RING_TEST(receives_over_several_buffers_until_the_end)
{
	struct rk_completion completion;
	size_t received = 0, sent = 0;
	int pair[2];

	open_pair(pair);
	open_ring(mode);
	for (int round = 0; round < 4; round++) {
		write_pattern(pair[0], 10000, sent);
		sent += 10000;
		while (received < sent) {
			completion = next_received(pair[1], LIMIT);
			received += consume(&completion, received);
		}
	}
	write_pattern(pair[0], 100, sent);
	shutdown(pair[0], SHUT_WR);
	completion = next_received(pair[1], LIMIT);
	cr_expect_eq(consume(&completion, received), 100);
	completion = next_received(pair[1], LIMIT);
	cr_expect_eq(completion.result, 0);
	cr_expect_eq(completion.flags, 0);
	ring_close(ring);
}

RING_TEST(ends_a_receive_at_its_limit)
{
	struct rk_completion completion;
	size_t received = 0;
	int pair[2];

	open_tcp_pair(pair);
	open_ring(mode);
	ring_receive(ring, pair[1], 2 * STREAM_SIZE, TAG_READ);
	write_pattern(pair[0], 5 * STREAM_SIZE, 0);
	do {
		completion = next(TAG_READ);
		received += consume(&completion, received);
	} while (completion.flags & RING_MORE);
	cr_expect_leq(received, 4 * STREAM_SIZE);
	expect_none(TAG_READ);
	while (received < 5 * STREAM_SIZE) {
		ring_receive(ring, pair[1], 2 * STREAM_SIZE, TAG_READ);
		do {
			completion = next(TAG_READ);
			received += consume(&completion, received);
		} while (completion.flags & RING_MORE && received < 5 * STREAM_SIZE);
	}
	ring_close(ring);
}

RING_TEST(says_when_no_buffer_is_free)
{
	struct rk_completion held[STREAM_BUFFERS], completion;
	size_t received = 0, sent = (STREAM_BUFFERS + 2) * STREAM_SIZE;
	unsigned count = 0;
	int pair[2];

	open_pair(pair);
	open_ring(mode);
	write_pattern(pair[0], sent, 0);
	while ((completion = next_received(pair[1], LIMIT)).result > 0)
		held[count++] = completion;
	cr_assert_eq(completion.result, -ENOBUFS);
	cr_expect_not(completion.flags & RING_MORE);
	cr_expect_gt(ring_stats(ring)->no_buffers, 0);
	for (unsigned i = 0; i < count; i++)
		received += consume(&held[i], received);
	cr_expect_eq(received, STREAM_BUFFERS * STREAM_SIZE);
	while (received < sent) {
		completion = next_received(pair[1], LIMIT);
		received += consume(&completion, received);
	}
	ring_close(ring);
}

RING_TEST(reports_a_reset)
{
	const struct linger reset = {.l_onoff = 1};
	int pair[2];

	open_tcp_pair(pair);
	open_ring(mode);
	ring_receive(ring, pair[1], LIMIT, TAG_READ);
	setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(pair[0]);
	cr_expect_eq(next(TAG_READ).result, -ECONNRESET);
	ring_close(ring);
}

// --- sending to streams

RING_TEST(sends_all_to_a_slow_reader)
{
	static unsigned char data[3 << 23], back[65536];
	const size_t third = sizeof(data) / 3;
	const struct iovec iov[] = {
		{data, third}, {data + third, third}, {data + 2 * third, third}};
	struct rk_completion completion;
	size_t received = 0;
	int pair[2];

	open_tcp_pair(pair);
	open_ring(mode);
	fill(data, sizeof(data), 0);
	ring_send(ring, pair[0], iov, 3, SEND_ALL, TAG_WRITE);
	expect_none(TAG_WRITE);
	while (received < sizeof(data)) {
		ssize_t length = recv(pair[1], back, sizeof(back), MSG_DONTWAIT);

		for (ssize_t i = 0; i < length; i++)
			cr_assert_eq(back[i], pattern(received + (size_t)i));
		if (length > 0)
			received += (size_t)length;
		else
			cr_assert_eq(ring_wait(ring, 5, remember, NULL), 0);
	}
	completion = next(TAG_WRITE);
	cr_expect_eq(completion.result, (int)sizeof(data));
	cr_expect_eq(completion.flags, 0);
	ring_close(ring);
}

RING_TEST(sends_what_fits_now_and_polls_for_room)
{
	static unsigned char data[8 << 20];
	const struct iovec iov = {data, sizeof(data)};
	struct rk_completion completion;
	int pair[2];

	open_tcp_pair(pair);
	open_ring(mode);
	do {
		ring_send(ring, pair[0], &iov, 1, SEND_NOW, TAG_WRITE);
		completion = next(TAG_WRITE);
		cr_assert_lt(completion.result, (int)sizeof(data));
	} while (completion.result > 0);
	cr_expect_eq(completion.result, -EAGAIN);
	ring_poll(ring, pair[0], POLLOUT, TAG_POLL);
	expect_none(TAG_POLL);
	while (recv(pair[1], data, sizeof(data), MSG_DONTWAIT) > 0)
		turn();
	completion = next(TAG_POLL);
	cr_expect(completion.result & POLLOUT);
	cr_expect(completion.flags & RING_MORE);
	ring_close(ring);
}

RING_TEST(names_the_error_of_a_send)
{
	unsigned char byte = 0;
	const struct iovec iov = {&byte, 1};
	int pair[2];

	open_pair(pair);
	close(pair[1]);
	open_ring(mode);
	ring_send(ring, pair[0], &iov, 1, SEND_ALL, TAG_WRITE);
	cr_expect_eq(next(TAG_WRITE).result, -EPIPE);
	ring_close(ring);
}

// --- datagrams

static const struct msghdr shape = {.msg_namelen = 32, .msg_controllen = 64};

static void send_to(int fd, const void *data, size_t length, const struct rk_addr *addr)
{
	cr_assert_eq(sendto(fd, data, length, 0, &addr->sa, addr_length(addr)), (ssize_t)length);
}

static void expect_datagram(
	int fd, const struct rk_addr *source, const void *payload, size_t length)
{
	struct rk_completion completion;
	struct rk_datagram datagram;
	struct msghdr control;

	if (!receiving)
		ring_receive_from(ring, fd, &shape, TAG_READ);
	completion = next(TAG_READ);
	receiving = completion.flags & RING_MORE;
	cr_assert(completion.flags & RING_BUFFER);
	cr_assert_eq(ring_datagram_parse(
			     ring, completion.buffer, (size_t)completion.result, &shape, &datagram),
		0);
	cr_expect(addr_equal(datagram.source, source));
	cr_assert_eq(datagram.payload_length, length);
	cr_expect_eq(memcmp(datagram.payload, payload, length), 0);
	cr_expect_not(datagram.truncated);
	control = (struct msghdr){
		.msg_control = datagram.control, .msg_controllen = datagram.control_length};
	cr_assert_not_null(CMSG_FIRSTHDR(&control));
	cr_expect_eq(CMSG_FIRSTHDR(&control)->cmsg_type, IP_PKTINFO);
	cr_expect_eq(ring_datagram_parse(ring, completion.buffer, 16, &shape, &datagram), -EINVAL);
	ring_buffer_release(ring, RING_POOL_DATAGRAM, completion.buffer);
}

RING_TEST(receives_datagrams_with_their_source)
{
	static unsigned char large[65507];
	struct rk_addr to, from;
	int receiver = open_bound(SOCK_DGRAM, &to);
	int sender = open_bound(SOCK_DGRAM, &from);
	int on = 1;

	open_ring(mode);
	setsockopt(receiver, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	fill(large, sizeof(large), 7);
	send_to(sender, "one", 3, &to);
	send_to(sender, "", 0, &to);
	send_to(sender, large, sizeof(large), &to);
	expect_datagram(receiver, &from, "one", 3);
	expect_datagram(receiver, &from, "", 0);
	expect_datagram(receiver, &from, large, sizeof(large));
	ring_close(ring);
}

RING_TEST(says_when_no_datagram_buffer_is_free)
{
	struct rk_completion held[DATAGRAM_BUFFERS], completion;
	struct rk_addr to;
	int receiver = open_bound(SOCK_DGRAM, &to);
	unsigned count = 0;

	open_ring(mode);
	for (unsigned i = 0; i < DATAGRAM_BUFFERS + 1; i++)
		send_to(receiver, "full", 4, &to);
	ring_receive_from(ring, receiver, &shape, TAG_READ);
	while ((completion = next(TAG_READ)).flags & RING_BUFFER)
		held[count++] = completion;
	cr_expect_eq(completion.result, -ENOBUFS);
	cr_expect_eq(count, DATAGRAM_BUFFERS);
	while (count > 0)
		ring_buffer_release(ring, RING_POOL_DATAGRAM, held[--count].buffer);
	ring_receive_from(ring, receiver, &shape, TAG_READ);
	cr_expect(next(TAG_READ).flags & RING_BUFFER);
	ring_close(ring);
}

RING_TEST(receives_on_a_connected_socket)
{
	struct rk_addr here, there;
	int socket_here = open_bound(SOCK_DGRAM, &here);
	int socket_there = open_bound(SOCK_DGRAM, &there);
	struct rk_completion completion;

	cr_assert_eq(connect(socket_here, &there.sa, addr_length(&there)), 0);
	open_ring(mode);
	ring_receive_datagram(ring, socket_here, TAG_READ);
	send_to(socket_there, "hello", 5, &here);
	completion = next(TAG_READ);
	cr_assert_eq(completion.result, 5);
	cr_assert(completion.flags & RING_BUFFER);
	cr_expect_eq(
		memcmp(ring_buffer_data(ring, RING_POOL_DATAGRAM, completion.buffer), "hello", 5),
		0);
	ring_buffer_release(ring, RING_POOL_DATAGRAM, completion.buffer);
	send_to(socket_there, "", 0, &here);
	completion = next(TAG_READ);
	cr_expect_eq(completion.result, 0);
	cr_expect_not(completion.flags & RING_BUFFER);
	if (!(completion.flags & RING_MORE))
		ring_receive_datagram(ring, socket_here, TAG_READ);
	close(socket_there);
	cr_assert_eq(send(socket_here, "x", 1, 0), 1);
	completion = next(TAG_READ);
	cr_expect_eq(completion.result, -ECONNREFUSED);
	cr_expect_not(completion.flags & RING_MORE);
	ring_close(ring);
}

RING_TEST(sends_many_datagrams_at_once)
{
	struct rk_addr to, from;
	int receiver = open_bound(SOCK_DGRAM, &to);
	int sender = open_bound(SOCK_DGRAM, &from);
	unsigned char payload[40];
	char back[16];

	open_ring(mode);
	for (unsigned i = 0; i < sizeof(payload); i++) {
		struct iovec iov = {&payload[i], 1};
		struct rk_addr name = to; // may be gone when the operation runs
		const struct msghdr message = {.msg_name = &name,
			.msg_namelen = addr_length(&name),
			.msg_iov = &iov,
			.msg_iovlen = 1};

		payload[i] = (unsigned char)i;
		ring_send_message(ring, sender, &message, TAG_WRITE + i);
		memset(&name, 0, sizeof(name));
	}
	for (unsigned i = 0; i < sizeof(payload); i++) {
		cr_expect_eq(next(TAG_WRITE + i).result, 1);
		cr_assert_eq(recv(receiver, back, sizeof(back), MSG_DONTWAIT), 1);
		cr_expect_eq(back[0], (char)i);
	}
	ring_close(ring);
}

// --- poll, cancel, close

RING_TEST(polls_again_and_again)
{
	char byte;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	open_ring(mode);
	ring_poll(ring, pair[0], POLLIN, TAG_POLL);
	expect_none(TAG_POLL);
	for (int i = 0; i < 3; i++) {
		struct rk_completion completion;

		cr_assert_eq(write(pair[1], "x", 1), 1);
		completion = next(TAG_POLL);
		cr_expect(completion.result & POLLIN);
		cr_assert(completion.flags & RING_MORE);
		cr_assert_eq(read(pair[0], &byte, 1), 1);
	}
	close(pair[1]);
	cr_expect(next(TAG_POLL).result & POLLHUP);
	ring_close(ring);
}

RING_TEST(polls_what_holds_already)
{
	int pair[2];

	open_tcp_pair(pair);
	open_ring(mode);
	ring_receive(ring, pair[0], LIMIT, TAG_READ);
	turn();
	ring_poll(ring, pair[0], POLLOUT, TAG_POLL);
	cr_expect(next(TAG_POLL).result & POLLOUT);
	ring_close(ring);
}

RING_TEST(cancels_all_that_is_pending)
{
	static unsigned char data[8 << 20];
	const struct iovec iov = {data, sizeof(data)};
	int pair[2];

	open_tcp_pair(pair);
	open_ring(mode);
	ring_receive(ring, pair[0], LIMIT, TAG_READ);
	ring_poll(ring, pair[0], POLLIN, TAG_POLL);
	ring_send(ring, pair[0], &iov, 1, SEND_ALL, TAG_WRITE);
	expect_none(TAG_WRITE);
	ring_cancel(ring, pair[0], TAG_CANCEL);
	cr_expect_eq(next(TAG_READ).result, -ECANCELED);
	cr_expect_eq(next(TAG_POLL).result, -ECANCELED);
	cr_expect_lt(next(TAG_WRITE).result, (int)sizeof(data));
	next(TAG_CANCEL);
	write_pattern(pair[1], 10, 0);
	expect_none(TAG_READ);
	expect_none(TAG_POLL);
	ring_close(ring);
}

RING_TEST(closes_and_uses_the_number_again)
{
	for (int round = 0; round < 3; round++) {
		struct rk_completion completion;
		int pair[2];
		char byte;

		if (round == 0)
			open_ring(mode);
		open_pair(pair);
		write_pattern(pair[0], 10, 0);
		completion = next_received(pair[1], LIMIT);
		cr_expect_eq(consume(&completion, 0), 10);
		if (!receiving)
			ring_receive(ring, pair[1], LIMIT, TAG_READ);
		ring_cancel(ring, pair[1], TAG_CANCEL);
		cr_expect_eq(next(TAG_READ).result, -ECANCELED);
		receiving = false;
		ring_close_fd(ring, pair[1], TAG_CLOSE);
		cr_expect_eq(next(TAG_CLOSE).result, 0);
		cr_expect_eq(read(pair[0], &byte, 1), 0);
		close(pair[0]);
	}
	ring_close(ring);
}

// Listeners and channels are closed by their owner once nothing is pending on them.
RING_TEST(forgets_a_descriptor_that_its_owner_closes)
{
	struct rk_completion completion;
	int first[2], second[2];

	open_ring(mode);
	open_pair(first);
	ring_poll(ring, first[1], POLLIN, TAG_POLL);
	expect_none(TAG_POLL);
	ring_cancel(ring, first[1], TAG_CANCEL);
	cr_expect_eq(next(TAG_POLL).result, -ECANCELED);
	close(first[0]);
	close(first[1]);
	open_pair(second);
	cr_assert_eq(second[1], first[1]);
	ring_receive(ring, second[1], LIMIT, TAG_READ);
	write_pattern(second[0], 10, 0);
	completion = next(TAG_READ);
	cr_expect_eq(consume(&completion, 0), 10);
	ring_close(ring);
}
