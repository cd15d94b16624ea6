// msg.c: send, receive and check the messages between the processes of the family.

#include "base/msg.h"
#include "base/fd.h"
#include "base/printable.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

// What a message of each type looks like on the wire; a type that is not here does not exist.
static const struct {
	const char *name;
	uint32_t length;
	unsigned fds_max;
} msg_forms[MSG_TYPE_COUNT] = {
	[MSG_ERROR] = {"error", sizeof(struct rk_error), 0},
	[MSG_NETWORK] = {"network", sizeof(struct rk_network_info), RK_MSG_FDS_MAX},
	[MSG_START] = {"start", 0, 0},
	[MSG_SIGNAL] = {"signal", sizeof(struct rk_msg_number), 0},
	[MSG_EXITED] = {"exited", sizeof(struct rk_msg_number), 0},
	[MSG_CHILD_READY] = {"child-ready", 0, 0},
	[MSG_CHILD_MAPPED] = {"child-mapped", 0, 0},
	[MSG_CHILD_CONFIGURE] = {"child-configure", sizeof(struct rk_network_info), 0},
	[MSG_POOL_REQUEST] = {"pool-request", sizeof(struct rk_msg_pool), 0},
	[MSG_POOL_SOCKETS] = {"pool-sockets", sizeof(struct rk_msg_pool), RK_MSG_FDS_MAX},
	[MSG_HELPER] = {"helper", 0, RK_MSG_FDS_MAX},
	[MSG_OPENED] = {"opened", 0, 1},
};

#define TYPE_BIT(type) (1u << (type))
static const uint32_t legal_types[PHASE_COUNT] = {
	[PHASE_CHILD_SETUP] = TYPE_BIT(MSG_ERROR) | TYPE_BIT(MSG_CHILD_READY) |
			      TYPE_BIT(MSG_CHILD_MAPPED) | TYPE_BIT(MSG_CHILD_CONFIGURE) |
			      TYPE_BIT(MSG_NETWORK),
	[PHASE_SETUP] = TYPE_BIT(MSG_ERROR) | TYPE_BIT(MSG_NETWORK),
	[PHASE_READY] = TYPE_BIT(MSG_ERROR) | TYPE_BIT(MSG_START) | TYPE_BIT(MSG_SIGNAL) |
			TYPE_BIT(MSG_EXITED) | TYPE_BIT(MSG_HELPER),
	[PHASE_RUNNING] = TYPE_BIT(MSG_ERROR) | TYPE_BIT(MSG_SIGNAL) | TYPE_BIT(MSG_EXITED) |
			  TYPE_BIT(MSG_HELPER),
	[PHASE_POOL] = TYPE_BIT(MSG_POOL_REQUEST) | TYPE_BIT(MSG_POOL_SOCKETS),
};
_Static_assert(MSG_TYPE_COUNT <= 32, "legal_types holds one bit per type");
_Static_assert(sizeof(struct rk_error) <= RK_MSG_PAYLOAD_MAX, "an error must fit a message");

// Room for the descriptors of one message, aligned for the control header.
union msg_control {
	struct cmsghdr align;
	unsigned char bytes[CMSG_SPACE(sizeof(int) * RK_MSG_FDS_MAX)];
};

static bool type_exists(unsigned type)
{
	return type < MSG_TYPE_COUNT && msg_forms[type].name;
}

const char *msg_type_name(unsigned type)
{
	return type_exists(type) ? msg_forms[type].name : "unknown";
}

bool msg_is_legal(enum rk_msg_phase phase, unsigned type)
{
	return phase < PHASE_COUNT && type_exists(type) && (legal_types[phase] & TYPE_BIT(type));
}

int msg_channel(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	return 0;
}

static void attach_fds(
	struct msghdr *msg, union msg_control *control, const int *fds, unsigned fd_count)
{
	struct cmsghdr *cmsg;

	memset(control, 0, sizeof(*control));
	msg->msg_control = control->bytes;
	msg->msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
}

int msg_send(int channel, enum rk_msg_type type, const void *payload, size_t length, const int *fds,
	unsigned fd_count)
{
	static atomic_uint next_id;
	struct rk_msg_header header = {RK_MSG_MAGIC, RK_MSG_VERSION, type, (uint32_t)length, 0};
	struct iovec parts[] = {{&header, sizeof(header)}, {(void *)payload, length}};
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = length > 0 ? 2 : 1};
	union msg_control control;
	ssize_t sent;

	if (!type_exists(type) || length != msg_forms[type].length ||
		fd_count > msg_forms[type].fds_max)
		return -EINVAL;
	header.id = atomic_fetch_add(&next_id, 1) + 1;
	if (fd_count > 0)
		attach_fds(&msg, &control, fds, fd_count);
	do {
		sent = sendmsg(channel, &msg, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

void msg_close_fds(struct rk_message *message)
{
	for (unsigned i = 0; i < message->fd_count; i++)
		fd_close(&message->fds[i]);
	message->fd_count = 0;
}

// The kernel puts at most RK_MSG_FDS_MAX descriptors into `control` and flags the rest as lost.
static void take_fds(struct msghdr *msg, struct rk_message *message)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t size = cmsg->cmsg_len - CMSG_LEN(0);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(message->fds + message->fd_count, CMSG_DATA(cmsg), size);
		message->fd_count += (unsigned)(size / sizeof(int));
	}
}

#define IS_TEXT(array) (memchr((array), '\0', sizeof(array)) != NULL)

// Receivers return -code: 0 would read as success. No errno of Linux is above MAX_ERRNO.
#define MAX_ERRNO 4095
static bool is_error_code(int code)
{
	return code > 0 && code <= MAX_ERRNO;
}

static bool error_is_sound(const struct rk_error *error)
{
	return is_error_code(error->code) && IS_TEXT(error->text) && IS_TEXT(error->hint);
}

static bool source_is_sound(const struct rk_source_info *source)
{
	for (unsigned kind = 0; kind < SOCKET_KIND_COUNT; kind++) {
		if (source->level[kind] >= SOURCE_LEVEL_COUNT)
			return false;
	}
	return IS_TEXT(source->ip) && IS_TEXT(source->ip6);
}

static bool network_is_sound(const struct rk_network_info *info)
{
	for (unsigned i = 0; i < RK_DNS_MAX; i++) {
		if (!IS_TEXT(info->dns[i]))
			return false;
	}
	if (info->prefix > 32 || info->prefix6 > 128 || info->child_pid < 0)
		return false;
	return IS_TEXT(info->driver) && IS_TEXT(info->ifname) && IS_TEXT(info->ip) &&
	       IS_TEXT(info->ip6) && IS_TEXT(info->gateway) && IS_TEXT(info->gateway6) &&
	       source_is_sound(&info->source);
}

// The sender's count must be what arrived, unless the kernel said that it dropped some.
static bool sockets_are_sound(const struct rk_message *message)
{
	const struct rk_msg_pool *pool = &message->pool;

	if (pool->kind >= SOCKET_KIND_COUNT || pool->count > RK_MSG_FDS_MAX)
		return false;
	if (pool->error != 0 && (pool->count > 0 || !is_error_code(pool->error)))
		return false;
	return pool->count == message->fd_count ||
	       (message->fds_lost && message->fd_count < pool->count);
}

static bool payload_is_sound(const struct rk_message *message)
{
	switch (message->header.type) {
	case MSG_ERROR:
		return error_is_sound(&message->error);
	case MSG_NETWORK:
	case MSG_CHILD_CONFIGURE:
		return network_is_sound(&message->network);
	case MSG_POOL_REQUEST:
		return message->pool.kind < SOCKET_KIND_COUNT;
	case MSG_POOL_SOCKETS:
		return sockets_are_sound(message);
	default:
		return true;
	}
}

static bool message_is_sound(const struct rk_message *message, size_t received)
{
	const struct rk_msg_header *header = &message->header;

	if (received < sizeof(*header))
		return false;
	if (header->magic != RK_MSG_MAGIC || header->version != RK_MSG_VERSION)
		return false;
	if (!type_exists(header->type) || header->length != msg_forms[header->type].length)
		return false;
	if (received - sizeof(*header) != header->length)
		return false;
	if (message->fd_count > msg_forms[header->type].fds_max)
		return false;
	return payload_is_sound(message);
}

// What people will read is one line, as it is for errors of our own.
static void clean_texts(struct rk_message *message)
{
	if (message->header.type != MSG_ERROR)
		return;
	printable_clean(message->error.text);
	printable_clean(message->error.hint);
}

int msg_receive(int channel, struct rk_message *message)
{
	struct iovec parts[] = {{&message->header, sizeof(message->header)},
		{message->bytes, sizeof(message->bytes)}};
	union msg_control control;
	struct msghdr msg = {.msg_iov = parts,
		.msg_iovlen = 2,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t received;

	message->fd_count = 0;
	do {
		received = recvmsg(channel, &msg, MSG_CMSG_CLOEXEC);
	} while (received < 0 && errno == EINTR);
	if (received < 0)
		return -errno;
	take_fds(&msg, message);
	message->fds_lost = msg.msg_flags & MSG_CTRUNC;
	if (received == 0 && message->fd_count == 0)
		return 0;
	if (!(msg.msg_flags & MSG_TRUNC) && message_is_sound(message, (size_t)received)) {
		clean_texts(message);
		return 1;
	}
	msg_close_fds(message);
	return -EPROTO;
}
