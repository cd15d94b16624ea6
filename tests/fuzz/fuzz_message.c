// fuzz_message.c: what a hostile process sends over a channel, with and without descriptors.
// An accepted message is sound in every member; of any other no descriptor stays.

#include "base/fd.h"
#include "base/msg.h"
#include "tests/fuzz/lib/fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define WIRE_MAX (sizeof(struct rk_msg_header) + RK_MSG_PAYLOAD_MAX + 64)

// How the first byte of the input is read: descriptors, and a header that is made valid, because
// the interesting part is behind it.
#define FD_COUNT(first)  ((first)&0x3f)
#define IS_HEADED(first) ((first)&0x40)

static void send_wire(int channel, const void *data, size_t size, unsigned fd_count)
{
	struct iovec part = {(void *)data, size};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(64 * sizeof(int))] = "";
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *c = (struct cmsghdr *)control;
	int fds[64];

	for (unsigned i = 0; i < fd_count; i++)
		fds[i] = channel;
	if (fd_count > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(fd_count * sizeof(int))};
		memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
	}
	FUZZ_REQUIRE(sendmsg(channel, &message, MSG_NOSIGNAL) == (ssize_t)size);
}

#define REQUIRE_TEXT(array) FUZZ_REQUIRE(memchr((array), '\0', sizeof(array)))

static void require_network(const struct rk_network_info *info)
{
	REQUIRE_TEXT(info->driver);
	REQUIRE_TEXT(info->ifname);
	REQUIRE_TEXT(info->ip);
	REQUIRE_TEXT(info->ip6);
	REQUIRE_TEXT(info->gateway);
	REQUIRE_TEXT(info->gateway6);
	REQUIRE_TEXT(info->source.ip);
	REQUIRE_TEXT(info->source.ip6);
	for (unsigned i = 0; i < RK_DNS_MAX; i++)
		REQUIRE_TEXT(info->dns[i]);
	for (unsigned kind = 0; kind < SOCKET_KIND_COUNT; kind++)
		FUZZ_REQUIRE(info->source.level[kind] < SOURCE_LEVEL_COUNT);
	FUZZ_REQUIRE(info->prefix <= 32 && info->prefix6 <= 128);
	FUZZ_REQUIRE(info->child_pid >= 0);
}

static void require_sound(const struct rk_message *message)
{
	const struct rk_msg_pool *pool = &message->pool;

	FUZZ_REQUIRE(message->fd_count <= RK_MSG_FDS_MAX);
	switch (message->header.type) {
	case MSG_ERROR:
		// A receiver returns -code, which must be a failure.
		FUZZ_REQUIRE(message->error.code > 0 && message->error.code < 4096);
		REQUIRE_TEXT(message->error.text);
		REQUIRE_TEXT(message->error.hint);
		fuzz_require_printable(message->error.text, "");
		fuzz_require_printable(message->error.hint, "");
		break;
	case MSG_NETWORK:
	case MSG_CHILD_CONFIGURE:
		require_network(&message->network);
		break;
	case MSG_POOL_REQUEST:
		FUZZ_REQUIRE(pool->kind < SOCKET_KIND_COUNT);
		break;
	case MSG_POOL_SOCKETS:
		FUZZ_REQUIRE(pool->kind < SOCKET_KIND_COUNT);
		FUZZ_REQUIRE(pool->count >= message->fd_count);
		FUZZ_REQUIRE(pool->error >= 0 && pool->error < 4096);
		break;
	default:
		break;
	}
}

// The length that a type has is found by asking: msg_send() takes no other.
static size_t length_of(unsigned type)
{
	static size_t lengths[MSG_TYPE_COUNT];
	static const char nothing[RK_MSG_PAYLOAD_MAX];

	for (size_t length = 0; type < MSG_TYPE_COUNT && !lengths[type]; length++) {
		if (length > RK_MSG_PAYLOAD_MAX)
			return 0;
		if (msg_send(-1, type, nothing, length, NULL, 0) != -EINVAL)
			lengths[type] = length + 1;
	}
	return type < MSG_TYPE_COUNT ? lengths[type] - 1 : 0;
}

// The input as it goes over the wire; with a header that is valid when that was asked for.
static size_t make_wire(struct fuzz_input *input, bool headed, unsigned char wire[WIRE_MAX])
{
	struct rk_msg_header header = {RK_MSG_MAGIC, RK_MSG_VERSION, 0, 0, 1};
	size_t size = input->left < WIRE_MAX ? input->left : WIRE_MAX;

	if (!headed) {
		fuzz_take(input, wire, size);
		return size;
	}
	header.type = fuzz_take_u8(input) % MSG_TYPE_COUNT;
	header.length = (uint32_t)length_of(header.type);
	memcpy(wire, &header, sizeof(header));
	fuzz_take(input, wire + sizeof(header), header.length);
	return sizeof(header) + header.length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	uint8_t first = fuzz_take_u8(&input);
	unsigned char wire[WIRE_MAX];
	struct rk_message message;
	int fd = fuzz_next_fd();
	int ends[2];
	int rc;

	size = make_wire(&input, IS_HEADED(first), wire);
	FUZZ_REQUIRE(msg_channel(ends) == 0);
	send_wire(ends[0], wire, size, FD_COUNT(first));
	rc = msg_receive(ends[1], &message);
	FUZZ_REQUIRE(rc == 1 || rc == 0 || rc == -EPROTO);
	if (rc == 1) {
		require_sound(&message);
		msg_close_fds(&message);
	}
	FUZZ_REQUIRE(message.fd_count == 0);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	FUZZ_REQUIRE(fuzz_next_fd() == fd);
	return 0;
}
