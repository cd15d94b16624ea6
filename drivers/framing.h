// framing.h: how Ethernet frames are told apart on the socket between a backend and its tap relay.
#pragma once

#include "base/wait.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Every framing carries the whole frame (header and payload, no checksum), preceded by its length.
enum rk_framing {
	FRAMING_PACKET, // none: SOCK_SEQPACKET, one message is one frame
	FRAMING_U16_LE, // VPNKit
	FRAMING_U16_BE, // vde_plug on a stream
	FRAMING_U32_BE, // QEMU
	FRAMING_COUNT
};

#define RK_FRAME_MAX        65535 // the largest a 16 bit length can say; MTU 65521 and a header
#define RK_FRAME_PREFIX_MAX 4

// Bytes before a frame: 0, 2 or 4.
size_t framing_prefix(enum rk_framing framing);
// Writes them for a frame of `length` <= RK_FRAME_MAX bytes.
void framing_put(enum rk_framing framing, uint8_t *prefix, size_t length);

// Looks at the start of a stream: a whole frame (its length goes to *length, the frame stands
// after the prefix), or not enough yet, or a length that no frame has.
// 1, 0, or -EPROTO. Not for FRAMING_PACKET.
int framing_next(enum rk_framing framing, const uint8_t *stream, size_t available, size_t *length);

// One whole frame on a connected socket, for what is said before the relay takes over.
// The descriptor blocks or not, as it likes.
// frame_send: 0 or -errno. frame_receive: the frame's length, -ETIMEDOUT, -ECANCELED, -ECONNRESET
// for the end of the stream, -EPROTO, -EMSGSIZE for a frame above `size`, or -errno.
int frame_send(
	int fd, enum rk_framing framing, const uint8_t *frame, size_t length, struct rk_wait wait);
ssize_t frame_receive(
	int fd, enum rk_framing framing, uint8_t *frame, size_t size, struct rk_wait wait);

// Exactly `length` bytes of a stream. 0 or -errno as above.
int stream_send(int fd, const uint8_t *data, size_t length, struct rk_wait wait);
int stream_receive(int fd, uint8_t *data, size_t length, struct rk_wait wait);
