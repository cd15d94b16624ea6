// test_msg.c: messages between the processes: what passes, what is refused, where descriptors go.

#include "base/fd.h"
#include "base/msg.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int ends[2];
static struct rk_message message;

static void open_channel(void)
{
	cr_assert_eq(msg_channel(ends), 0);
}

static void close_channel(void)
{
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}

TestSuite(msg, .init = open_channel, .fini = close_channel);

static int count_open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 512; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

// Sends raw bytes with `fd_count` copies of standard input, as a broken peer would.
static void send_raw(const void *bytes, size_t length, unsigned fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 100)];
	} control = {0};
	struct iovec part = {(void *)bytes, length};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *cmsg;

	if (fd_count > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memset(CMSG_DATA(cmsg), 0, sizeof(int) * fd_count);
	}
	cr_assert_eq(sendmsg(ends[0], &msg, 0), (ssize_t)length);
}

struct raw_number {
	struct rk_msg_header header;
	struct rk_msg_number number;
};
static const struct raw_number good_number = {
	{RK_MSG_MAGIC, RK_MSG_VERSION, MSG_SIGNAL, sizeof(struct rk_msg_number), 7}, {15}};

Test(msg, carries_a_payload)
{
	struct rk_network_info info = {.driver = "slirp4netns", .mtu = 65520};

	cr_assert_eq(msg_send(ends[0], MSG_NETWORK, &info, sizeof(info), NULL, 0), 0);
	cr_assert_eq(msg_receive(ends[1], &message), 1);
	cr_assert_eq(message.header.type, MSG_NETWORK);
	cr_assert_str_eq(message.network.driver, "slirp4netns");
	cr_assert_eq(message.network.mtu, 65520);
	cr_assert_eq(message.fd_count, 0);
	cr_assert_not(message.fds_lost);
}

Test(msg, counts_its_ids)
{
	uint32_t first;

	cr_assert_eq(msg_send(ends[0], MSG_START, NULL, 0, NULL, 0), 0);
	cr_assert_eq(msg_send(ends[0], MSG_START, NULL, 0, NULL, 0), 0);
	cr_assert_eq(msg_receive(ends[1], &message), 1);
	first = message.header.id;
	cr_assert_eq(msg_receive(ends[1], &message), 1);
	cr_assert_eq(message.header.id, first + 1);
}

Test(msg, carries_a_full_load_of_descriptors_cloexec)
{
	struct rk_msg_pool pool = {.kind = SOCKET_TCP4, .count = RK_MSG_FDS_MAX};
	int fds[RK_MSG_FDS_MAX] = {0};
	int before = count_open_fds();

	cr_assert_eq(
		msg_send(ends[0], MSG_POOL_SOCKETS, &pool, sizeof(pool), fds, RK_MSG_FDS_MAX), 0);
	cr_assert_eq(msg_receive(ends[1], &message), 1);
	cr_assert_eq(message.fd_count, RK_MSG_FDS_MAX);
	cr_assert_eq(count_open_fds(), before + RK_MSG_FDS_MAX);
	for (unsigned i = 0; i < message.fd_count; i++)
		cr_assert_eq(fcntl(message.fds[i], F_GETFD), FD_CLOEXEC);
	msg_close_fds(&message);
	cr_assert_eq(message.fd_count, 0);
	cr_assert_eq(count_open_fds(), before);
}

Test(msg, reports_a_closed_peer)
{
	signal(SIGPIPE, SIG_DFL);
	fd_close(&ends[0]);
	cr_assert_eq(msg_receive(ends[1], &message), 0);
	cr_assert_eq(msg_send(ends[1], MSG_START, NULL, 0, NULL, 0), -EPIPE);
}

Test(msg, refuses_to_send_what_the_form_forbids)
{
	int fd = 0;
	struct rk_msg_number number = {1};

	cr_assert_eq(msg_send(ends[0], MSG_START, &number, sizeof(number), NULL, 0), -EINVAL);
	cr_assert_eq(msg_send(ends[0], MSG_START, NULL, 0, &fd, 1), -EINVAL);
	cr_assert_eq(msg_send(ends[0], MSG_TYPE_COUNT, NULL, 0, NULL, 0), -EINVAL);
	cr_assert_eq(msg_send(ends[0], (enum rk_msg_type)0, NULL, 0, NULL, 0), -EINVAL);
}

Test(msg, accepts_the_raw_form)
{
	send_raw(&good_number, sizeof(good_number), 0);
	cr_assert_eq(msg_receive(ends[1], &message), 1);
	cr_assert_eq(message.number.value, 15);
	cr_assert_eq(message.header.id, 7);
}

Test(msg, refuses_bad_headers)
{
	struct raw_number bad[5];

	for (int i = 0; i < 5; i++)
		bad[i] = good_number;
	bad[0].header.magic++;
	bad[1].header.version++;
	bad[2].header.type = MSG_TYPE_COUNT;
	bad[3].header.length--;
	bad[4].header.type = MSG_START;
	for (int i = 0; i < 5; i++) {
		send_raw(&bad[i], sizeof(bad[i]), 0);
		cr_assert_eq(msg_receive(ends[1], &message), -EPROTO, "case %d", i);
	}
}

Test(msg, refuses_every_truncation)
{
	for (size_t length = 1; length < sizeof(good_number); length++) {
		send_raw(&good_number, length, 0);
		cr_assert_eq(msg_receive(ends[1], &message), -EPROTO, "%zu bytes", length);
	}
}

Test(msg, refuses_what_is_larger_than_any_payload)
{
	static unsigned char large[sizeof(struct rk_msg_header) + RK_MSG_PAYLOAD_MAX + 1];

	memcpy(large, &good_number, sizeof(good_number));
	send_raw(large, sizeof(large), 0);
	cr_assert_eq(msg_receive(ends[1], &message), -EPROTO);
}

Test(msg, closes_descriptors_of_a_refused_message)
{
	int before = count_open_fds();

	send_raw(&good_number, sizeof(good_number), 3); // a signal carries none
	cr_assert_eq(msg_receive(ends[1], &message), -EPROTO);
	cr_assert_eq(message.fd_count, 0);
	cr_assert_eq(count_open_fds(), before);
}

Test(msg, flags_descriptors_that_did_not_fit)
{
	struct {
		struct rk_msg_header header;
		struct rk_msg_pool pool;
	} raw = {{RK_MSG_MAGIC, RK_MSG_VERSION, MSG_POOL_SOCKETS, sizeof(struct rk_msg_pool), 1},
		{SOCKET_UDP6, RK_MSG_FDS_MAX, 0}};
	int before = count_open_fds();

	send_raw(&raw, sizeof(raw), RK_MSG_FDS_MAX + 10);
	cr_assert_eq(msg_receive(ends[1], &message), 1);
	cr_assert(message.fds_lost);
	cr_assert_eq(message.fd_count, RK_MSG_FDS_MAX);
	msg_close_fds(&message);
	cr_assert_eq(count_open_fds(), before);
}

Test(msg, refuses_a_socket_count_that_is_not_true)
{
	struct rk_msg_pool pool = {.kind = SOCKET_TCP4, .count = 3};
	int fds[2] = {0, 0};
	int before = count_open_fds();

	cr_assert_eq(msg_send(ends[0], MSG_POOL_SOCKETS, &pool, sizeof(pool), fds, 2), 0);
	cr_assert_eq(msg_receive(ends[1], &message), -EPROTO);
	pool = (struct rk_msg_pool){.kind = SOCKET_KIND_COUNT};
	cr_assert_eq(msg_send(ends[0], MSG_POOL_SOCKETS, &pool, sizeof(pool), NULL, 0), 0);
	cr_assert_eq(msg_receive(ends[1], &message), -EPROTO);
	cr_assert_eq(msg_send(ends[0], MSG_POOL_REQUEST, &pool, sizeof(pool), NULL, 0), 0);
	cr_assert_eq(msg_receive(ends[1], &message), -EPROTO);
	cr_assert_eq(count_open_fds(), before);
}

// Fills one text of a network description to its last byte, without the NUL.
static void send_unterminated(size_t offset, size_t size)
{
	struct rk_network_info info = {0};

	memset((char *)&info + offset, 'x', size);
	cr_assert_eq(msg_send(ends[0], MSG_NETWORK, &info, sizeof(info), NULL, 0), 0);
}

Test(msg, refuses_texts_without_an_end)
{
	struct rk_error error = {.code = 1};
	struct rk_network_info *info = NULL;

#define CHECK_FIELD(field)                                                                         \
	do {                                                                                       \
		send_unterminated(offsetof(struct rk_network_info, field), sizeof(info->field));   \
		cr_assert_eq(msg_receive(ends[1], &message), -EPROTO, #field);                     \
	} while (0)
	CHECK_FIELD(driver);
	CHECK_FIELD(ifname);
	CHECK_FIELD(ip);
	CHECK_FIELD(ip6);
	CHECK_FIELD(gateway);
	CHECK_FIELD(gateway6);
	CHECK_FIELD(dns[0]);
	CHECK_FIELD(dns[RK_DNS_MAX - 1]);
	memset(error.text, 'x', sizeof(error.text));
	cr_assert_eq(msg_send(ends[0], MSG_ERROR, &error, sizeof(error), NULL, 0), 0);
	cr_assert_eq(msg_receive(ends[1], &message), -EPROTO);
	error.text[0] = '\0';
	memset(error.hint, 'x', sizeof(error.hint));
	cr_assert_eq(msg_send(ends[0], MSG_ERROR, &error, sizeof(error), NULL, 0), 0);
	cr_assert_eq(msg_receive(ends[1], &message), -EPROTO);
}

static int receive_error(int code, const char *text)
{
	struct rk_error error = {.code = code};

	strcpy(error.text, text);
	cr_assert_eq(msg_send(ends[0], MSG_ERROR, &error, sizeof(error), NULL, 0), 0);
	return msg_receive(ends[1], &message);
}

// A receiver returns -code, and 0 would say that all went well.
Test(msg, refuses_an_error_without_a_code)
{
	cr_expect_eq(receive_error(0, "x"), -EPROTO);
	cr_expect_eq(receive_error(-1, "x"), -EPROTO);
	cr_expect_eq(receive_error(INT_MIN, "x"), -EPROTO);
	cr_expect_eq(receive_error(4096, "x"), -EPROTO);
	cr_expect_eq(receive_error(4095, "x"), 1);
}

Test(msg, makes_one_line_of_foreign_words)
{
	cr_assert_eq(receive_error(1, "a\nroot: info: b\x1b[2J"), 1);
	cr_assert_str_eq(message.error.text, "a root: info: b?[2J");
}

static int receive_network(const struct rk_network_info *info)
{
	cr_assert_eq(msg_send(ends[0], MSG_NETWORK, info, sizeof(*info), NULL, 0), 0);
	return msg_receive(ends[1], &message);
}

Test(msg, refuses_a_network_with_impossible_numbers)
{
	cr_expect_eq(receive_network(&(struct rk_network_info){.prefix = 32, .prefix6 = 128}), 1);
	cr_expect_eq(receive_network(&(struct rk_network_info){.prefix = 33}), -EPROTO);
	cr_expect_eq(receive_network(&(struct rk_network_info){.prefix6 = 129}), -EPROTO);
	cr_expect_eq(receive_network(&(struct rk_network_info){.child_pid = -1}), -EPROTO);
}

static int receive_pool(const struct rk_msg_pool *pool)
{
	cr_assert_eq(msg_send(ends[0], MSG_POOL_SOCKETS, pool, sizeof(*pool), NULL, 0), 0);
	return msg_receive(ends[1], &message);
}

Test(msg, refuses_a_failure_of_the_pool_that_is_no_errno)
{
	cr_expect_eq(receive_pool(&(struct rk_msg_pool){.error = EMFILE}), 1);
	cr_expect_eq(receive_pool(&(struct rk_msg_pool){.error = -EMFILE}), -EPROTO);
	cr_expect_eq(receive_pool(&(struct rk_msg_pool){.error = 1 << 20}), -EPROTO);
}

Test(msg, says_again_when_nothing_is_there)
{
	cr_assert_eq(fd_set_nonblocking(ends[1], true), 0);
	cr_assert_eq(msg_receive(ends[1], &message), -EAGAIN);
}

Test(msg, knows_which_type_belongs_to_which_phase)
{
	cr_assert(msg_is_legal(PHASE_SETUP, MSG_NETWORK));
	cr_assert(msg_is_legal(PHASE_SETUP, MSG_ERROR));
	cr_assert_not(msg_is_legal(PHASE_SETUP, MSG_POOL_SOCKETS));
	cr_assert(msg_is_legal(PHASE_CHILD_SETUP, MSG_CHILD_READY));
	cr_assert_not(msg_is_legal(PHASE_RUNNING, MSG_CHILD_READY));
	cr_assert_not(msg_is_legal(PHASE_RUNNING, MSG_START));
	cr_assert(msg_is_legal(PHASE_RUNNING, MSG_EXITED));
	cr_assert(msg_is_legal(PHASE_POOL, MSG_POOL_REQUEST));
	cr_assert_not(msg_is_legal(PHASE_POOL, MSG_NETWORK));
	cr_assert_not(msg_is_legal(PHASE_COUNT, MSG_ERROR));
	cr_assert_not(msg_is_legal(PHASE_SETUP, 0));
	cr_assert_not(msg_is_legal(PHASE_SETUP, 1000));
	cr_assert_str_eq(msg_type_name(1000), "unknown");
	for (unsigned type = 1; type < MSG_TYPE_COUNT; type++)
		cr_assert_str_neq(msg_type_name(type), "unknown", "type %u", type);
}
