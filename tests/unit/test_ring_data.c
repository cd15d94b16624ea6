// test_ring_data.c: the ring interface: bytes and datagrams; every test runs on io_uring and on
// epoll.

#include "tests/unit/ring_support.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// --- test_receiving from streams

RING_TEST(receives_over_several_buffers_until_the_end)
{
	struct rk_completion completion;
	size_t received = 0, sent = 0;
	int pair[2];

	ring_test_open_pair(pair);
	ring_test_open(mode);
	for (int round = 0; round < 4; round++) {
		ring_test_write_pattern(pair[0], 10000, sent);
		sent += 10000;
		while (received < sent) {
			completion = ring_test_next_received(pair[1], LIMIT);
			received += ring_test_consume(&completion, received);
		}
	}
	ring_test_write_pattern(pair[0], 100, sent);
	shutdown(pair[0], SHUT_WR);
	completion = ring_test_next_received(pair[1], LIMIT);
	cr_expect_eq(ring_test_consume(&completion, received), 100);
	completion = ring_test_next_received(pair[1], LIMIT);
	cr_expect_eq(completion.result, 0);
	cr_expect_eq(completion.flags, 0);
	ring_close(test_ring);
}

RING_TEST(ends_a_receive_at_its_limit)
{
	struct rk_completion completion;
	size_t received = 0;
	int pair[2];

	ring_test_open_tcp_pair(pair);
	ring_test_open(mode);
	ring_receive(test_ring, pair[1], 2 * STREAM_SIZE, TAG_READ);
	ring_test_write_pattern(pair[0], 5 * STREAM_SIZE, 0);
	do {
		completion = ring_test_next(TAG_READ);
		received += ring_test_consume(&completion, received);
	} while (completion.flags & RING_MORE);
	cr_expect_leq(received, 4 * STREAM_SIZE);
	ring_test_expect_none(TAG_READ);
	while (received < 5 * STREAM_SIZE) {
		ring_receive(test_ring, pair[1], 2 * STREAM_SIZE, TAG_READ);
		do {
			completion = ring_test_next(TAG_READ);
			received += ring_test_consume(&completion, received);
		} while (completion.flags & RING_MORE && received < 5 * STREAM_SIZE);
	}
	ring_close(test_ring);
}

RING_TEST(says_when_no_buffer_is_free)
{
	struct rk_completion held[STREAM_BUFFERS], completion;
	size_t received = 0, sent = (STREAM_BUFFERS + 2) * STREAM_SIZE;
	unsigned count = 0;
	int pair[2];

	ring_test_open_pair(pair);
	ring_test_open(mode);
	ring_test_write_pattern(pair[0], sent, 0);
	while ((completion = ring_test_next_received(pair[1], LIMIT)).result > 0)
		held[count++] = completion;
	cr_assert_eq(completion.result, -ENOBUFS);
	cr_expect_not(completion.flags & RING_MORE);
	cr_expect_gt(ring_stats(test_ring)->no_buffers, 0);
	for (unsigned i = 0; i < count; i++)
		received += ring_test_consume(&held[i], received);
	cr_expect_eq(received, STREAM_BUFFERS * STREAM_SIZE);
	while (received < sent) {
		completion = ring_test_next_received(pair[1], LIMIT);
		received += ring_test_consume(&completion, received);
	}
	ring_close(test_ring);
}

RING_TEST(reports_a_reset)
{
	const struct linger reset = {.l_onoff = 1};
	int pair[2];

	ring_test_open_tcp_pair(pair);
	ring_test_open(mode);
	ring_receive(test_ring, pair[1], LIMIT, TAG_READ);
	setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(pair[0]);
	cr_expect_eq(ring_test_next(TAG_READ).result, -ECONNRESET);
	ring_close(test_ring);
}

// A receive ends before such a byte, and the next one leaves it out.
RING_TEST(receives_what_comes_behind_a_byte_of_urgent_data)
{
	struct rk_completion completion;
	size_t received = 0;
	int pair[2];

	ring_test_open_tcp_pair(pair);
	ring_test_open(mode);
	ring_test_write_pattern(pair[0], 3000, 0);
	cr_assert_eq(send(pair[0], "!", 1, MSG_OOB), 1);
	ring_test_write_pattern(pair[0], 3000, 3000);
	while (received < 6000) {
		completion = ring_test_next_received(pair[1], LIMIT);
		received += ring_test_consume(&completion, received);
	}
	ring_close(test_ring);
}

// --- sending to streams

static void set_nonblocking(int fd)
{
	int on = 1;

	cr_assert_eq(ioctl(fd, FIONBIO, &on), 0);
}

static void send_all_to_a_slow_reader(const enum rk_io_mode *mode, bool nonblocking)
{
	static unsigned char data[3 << 23], back[65536];
	const size_t third = sizeof(data) / 3;
	const struct iovec iov[] = {
		{data, third}, {data + third, third}, {data + 2 * third, third}};
	struct rk_completion completion;
	size_t received = 0;
	int pair[2];

	ring_test_open_tcp_pair(pair);
	if (nonblocking)
		set_nonblocking(pair[0]);
	ring_test_open(mode);
	ring_test_fill(data, sizeof(data), 0);
	ring_send(test_ring, pair[0], iov, 3, SEND_ALL, TAG_WRITE);
	ring_test_expect_none(TAG_WRITE);
	while (received < sizeof(data)) {
		ssize_t length = recv(pair[1], back, sizeof(back), MSG_DONTWAIT);

		for (ssize_t i = 0; i < length; i++)
			cr_assert_eq(back[i], ring_test_pattern(received + (size_t)i));
		if (length > 0)
			received += (size_t)length;
		else
			ring_test_wait(5);
	}
	completion = ring_test_next(TAG_WRITE);
	cr_expect_eq(completion.result, (int)sizeof(data));
	cr_expect_eq(completion.flags, 0);
	ring_close(test_ring);
}

RING_TEST(sends_all_to_a_slow_reader)
{
	send_all_to_a_slow_reader(mode, false);
}

// As those of a flow are from the moment that it splices.
RING_TEST(sends_all_through_a_socket_that_does_not_block)
{
	send_all_to_a_slow_reader(mode, true);
}

RING_TEST(waits_for_bytes_of_a_socket_that_does_not_block)
{
	struct rk_completion completion;
	int pair[2];

	ring_test_open_tcp_pair(pair);
	set_nonblocking(pair[1]);
	ring_test_open(mode);
	ring_receive(test_ring, pair[1], LIMIT, TAG_READ);
	ring_test_expect_none(TAG_READ);
	ring_test_write_pattern(pair[0], 10, 0);
	completion = ring_test_next(TAG_READ);
	cr_expect_eq(ring_test_consume(&completion, 0), 10);
	ring_close(test_ring);
}

RING_TEST(sends_what_fits_now_and_polls_for_room)
{
	static unsigned char data[8 << 20];
	const struct iovec iov = {data, sizeof(data)};
	struct rk_completion completion;
	int pair[2];

	ring_test_open_tcp_pair(pair);
	ring_test_open(mode);
	do {
		ring_send(test_ring, pair[0], &iov, 1, SEND_NOW, TAG_WRITE);
		completion = ring_test_next(TAG_WRITE);
		cr_assert_lt(completion.result, (int)sizeof(data));
	} while (completion.result > 0);
	cr_expect_eq(completion.result, -EAGAIN);
	ring_poll(test_ring, pair[0], POLLOUT, TAG_POLL);
	ring_test_expect_none(TAG_POLL);
	while (recv(pair[1], data, sizeof(data), MSG_DONTWAIT) > 0)
		ring_test_wait(20);
	completion = ring_test_next(TAG_POLL);
	cr_expect(completion.result & POLLOUT);
	cr_expect(completion.flags & RING_MORE);
	ring_close(test_ring);
}

RING_TEST(names_the_error_of_a_send)
{
	unsigned char byte = 0;
	const struct iovec iov = {&byte, 1};
	int pair[2];

	ring_test_open_pair(pair);
	close(pair[1]);
	ring_test_open(mode);
	ring_send(test_ring, pair[0], &iov, 1, SEND_ALL, TAG_WRITE);
	cr_expect_eq(ring_test_next(TAG_WRITE).result, -EPIPE);
	ring_close(test_ring);
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

	if (!test_receiving)
		ring_receive_from(test_ring, fd, &shape, TAG_READ);
	completion = ring_test_next(TAG_READ);
	test_receiving = completion.flags & RING_MORE;
	cr_assert(completion.flags & RING_BUFFER);
	cr_assert_eq(ring_datagram_parse(test_ring, completion.buffer, (size_t)completion.result,
			     &shape, &datagram),
		0);
	cr_expect(addr_equal(datagram.source, source));
	cr_assert_eq(datagram.payload_length, length);
	cr_expect_eq(memcmp(datagram.payload, payload, length), 0);
	cr_expect_not(datagram.truncated);
	control = (struct msghdr){
		.msg_control = datagram.control, .msg_controllen = datagram.control_length};
	cr_assert_not_null(CMSG_FIRSTHDR(&control));
	cr_expect_eq(CMSG_FIRSTHDR(&control)->cmsg_type, IP_PKTINFO);
	cr_expect_eq(
		ring_datagram_parse(test_ring, completion.buffer, 16, &shape, &datagram), -EINVAL);
	ring_buffer_release(test_ring, RING_POOL_DATAGRAM, completion.buffer);
}

RING_TEST(receives_datagrams_with_their_source)
{
	static unsigned char large[65507];
	struct rk_addr to, from;
	int receiver = ring_test_open_bound(SOCK_DGRAM, &to);
	int sender = ring_test_open_bound(SOCK_DGRAM, &from);
	int on = 1;

	ring_test_open(mode);
	setsockopt(receiver, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	ring_test_fill(large, sizeof(large), 7);
	send_to(sender, "one", 3, &to);
	send_to(sender, "", 0, &to);
	send_to(sender, large, sizeof(large), &to);
	expect_datagram(receiver, &from, "one", 3);
	expect_datagram(receiver, &from, "", 0);
	expect_datagram(receiver, &from, large, sizeof(large));
	ring_close(test_ring);
}

RING_TEST(says_when_no_datagram_buffer_is_free)
{
	struct rk_completion held[DATAGRAM_BUFFERS], completion;
	struct rk_addr to;
	int receiver = ring_test_open_bound(SOCK_DGRAM, &to);
	unsigned count = 0;

	ring_test_open(mode);
	for (unsigned i = 0; i < DATAGRAM_BUFFERS + 1; i++)
		send_to(receiver, "full", 4, &to);
	ring_receive_from(test_ring, receiver, &shape, TAG_READ);
	while ((completion = ring_test_next(TAG_READ)).flags & RING_BUFFER)
		held[count++] = completion;
	cr_expect_eq(completion.result, -ENOBUFS);
	cr_expect_eq(count, DATAGRAM_BUFFERS);
	while (count > 0)
		ring_buffer_release(test_ring, RING_POOL_DATAGRAM, held[--count].buffer);
	ring_receive_from(test_ring, receiver, &shape, TAG_READ);
	cr_expect(ring_test_next(TAG_READ).flags & RING_BUFFER);
	ring_close(test_ring);
}

RING_TEST(receives_on_a_connected_socket)
{
	struct rk_addr here, there;
	int socket_here = ring_test_open_bound(SOCK_DGRAM, &here);
	int socket_there = ring_test_open_bound(SOCK_DGRAM, &there);
	struct rk_completion completion;

	cr_assert_eq(connect(socket_here, &there.sa, addr_length(&there)), 0);
	ring_test_open(mode);
	ring_receive_datagram(test_ring, socket_here, TAG_READ);
	send_to(socket_there, "hello", 5, &here);
	completion = ring_test_next(TAG_READ);
	cr_assert_eq(completion.result, 5);
	cr_assert(completion.flags & RING_BUFFER);
	cr_expect_eq(memcmp(ring_buffer_data(test_ring, RING_POOL_DATAGRAM, completion.buffer),
			     "hello", 5),
		0);
	ring_buffer_release(test_ring, RING_POOL_DATAGRAM, completion.buffer);
	send_to(socket_there, "", 0, &here);
	completion = ring_test_next(TAG_READ);
	cr_expect_eq(completion.result, 0);
	cr_expect_not(completion.flags & RING_BUFFER);
	if (!(completion.flags & RING_MORE))
		ring_receive_datagram(test_ring, socket_here, TAG_READ);
	close(socket_there);
	cr_assert_eq(send(socket_here, "x", 1, 0), 1);
	completion = ring_test_next(TAG_READ);
	cr_expect_eq(completion.result, -ECONNREFUSED);
	cr_expect_not(completion.flags & RING_MORE);
	ring_close(test_ring);
}

RING_TEST(sends_many_datagrams_at_once)
{
	struct rk_addr to, from;
	int receiver = ring_test_open_bound(SOCK_DGRAM, &to);
	int sender = ring_test_open_bound(SOCK_DGRAM, &from);
	unsigned char payload[40];
	char back[16];

	ring_test_open(mode);
	for (unsigned i = 0; i < sizeof(payload); i++) {
		struct iovec iov = {&payload[i], 1};
		struct rk_addr name = to; // may be gone when the operation runs
		const struct msghdr message = {.msg_name = &name,
			.msg_namelen = addr_length(&name),
			.msg_iov = &iov,
			.msg_iovlen = 1};

		payload[i] = (unsigned char)i;
		ring_send_message(test_ring, sender, &message, TAG_WRITE + i);
		memset(&name, 0, sizeof(name));
	}
	for (unsigned i = 0; i < sizeof(payload); i++) {
		cr_expect_eq(ring_test_next(TAG_WRITE + i).result, 1);
		cr_assert_eq(recv(receiver, back, sizeof(back), MSG_DONTWAIT), 1);
		cr_expect_eq(back[0], (char)i);
	}
	ring_close(test_ring);
}
