// framing.c: how Ethernet frames are told apart on the socket between a backend and its tap relay.

#include "drivers/framing.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

size_t framing_prefix(enum rk_framing framing)
{
	static const size_t bytes[FRAMING_COUNT] = {
		[FRAMING_U16_LE] = 2, [FRAMING_U16_BE] = 2, [FRAMING_U32_BE] = 4};

	return bytes[framing];
}

void framing_put(enum rk_framing framing, uint8_t *prefix, size_t length)
{
	uint8_t high = (uint8_t)(length >> 8);
	uint8_t low = (uint8_t)length;

	switch (framing) {
	case FRAMING_U16_LE:
		prefix[0] = low;
		prefix[1] = high;
		break;
	case FRAMING_U16_BE:
		prefix[0] = high;
		prefix[1] = low;
		break;
	case FRAMING_U32_BE:
		memcpy(prefix, (uint8_t[]){0, 0, high, low}, 4);
		break;
	default:
		break;
	}
}

static size_t read_prefix(enum rk_framing framing, const uint8_t *at)
{
	switch (framing) {
	case FRAMING_U16_LE:
		return at[0] | (size_t)at[1] << 8;
	case FRAMING_U16_BE:
		return (size_t)at[0] << 8 | at[1];
	default:
		return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
	}
}

int framing_next(enum rk_framing framing, const uint8_t *stream, size_t available, size_t *length)
{
	size_t prefix = framing_prefix(framing);

	if (available < prefix)
		return 0;
	*length = read_prefix(framing, stream);
	if (*length > RK_FRAME_MAX)
		return -EPROTO;
	return available - prefix >= *length;
}

// One sendmsg or recvmsg when the socket is ready; bytes moved, 0 = try again, or -errno.
static ssize_t transfer_once(
	int fd, struct iovec *parts, size_t count, bool out, struct rk_wait wait)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
	int rc = wait_fd(wait, fd, out ? POLLOUT : POLLIN);
	ssize_t moved;

	if (rc < 0)
		return rc;
	moved = out ? sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT)
		    : recvmsg(fd, &message, MSG_DONTWAIT);
	if (moved < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (moved == 0 && !out)
		return -ECONNRESET;
	return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : moved;
}

static int stream_transfer(int fd, uint8_t *data, size_t length, bool out, struct rk_wait wait)
{
	while (length > 0) {
		struct iovec part = {data, length};
		ssize_t moved = transfer_once(fd, &part, 1, out, wait);

		if (moved < 0)
			return (int)moved;
		data += moved;
		length -= (size_t)moved;
	}
	return 0;
}

int stream_send(int fd, const uint8_t *data, size_t length, struct rk_wait wait)
{
	return stream_transfer(fd, (uint8_t *)data, length, true, wait);
}

int stream_receive(int fd, uint8_t *data, size_t length, struct rk_wait wait)
{
	return stream_transfer(fd, data, length, false, wait);
}

// A message goes or comes whole.
static ssize_t packet_transfer(int fd, uint8_t *data, size_t size, bool out, struct rk_wait wait)
{
	struct iovec part = {data, size};
	ssize_t moved;

	do {
		moved = transfer_once(fd, &part, 1, out, wait);
	} while (moved == 0);
	return moved;
}

int frame_send(
	int fd, enum rk_framing framing, const uint8_t *frame, size_t length, struct rk_wait wait)
{
	uint8_t prefix[RK_FRAME_PREFIX_MAX];
	ssize_t sent;
	int rc;

	if (framing == FRAMING_PACKET) {
		sent = packet_transfer(fd, (uint8_t *)frame, length, true, wait);
		return sent < 0 ? (int)sent : 0;
	}
	framing_put(framing, prefix, length);
	rc = stream_send(fd, prefix, framing_prefix(framing), wait);
	return rc < 0 ? rc : stream_send(fd, frame, length, wait);
}

ssize_t frame_receive(
	int fd, enum rk_framing framing, uint8_t *frame, size_t size, struct rk_wait wait)
{
	uint8_t prefix[RK_FRAME_PREFIX_MAX];
	size_t length;
	int rc;

	if (framing == FRAMING_PACKET)
		return packet_transfer(fd, frame, size, false, wait);
	rc = stream_receive(fd, prefix, framing_prefix(framing), wait);
	if (rc < 0)
		return rc;
	length = read_prefix(framing, prefix);
	if (length > RK_FRAME_MAX)
		return -EPROTO;
	if (length > size)
		return -EMSGSIZE;
	rc = stream_receive(fd, frame, length, wait);
	return rc < 0 ? rc : (ssize_t)length;
}
