// lane.h: one direction of a TCP flow: bytes that came from one socket and wait to go to the other.
//
// How it works: a receive delivers bytes in ring buffers; the lane queues them as segments and
// sends all that it holds with one operation, while the next receive may already be running. A
// receive is given a limit (what the lane may still hold), so a slow reader stops its sender
// through the kernel's own flow control. A small segment is copied behind the last one when it
// fits there, so that many tiny reads cannot pin many buffers: two neighbours always hold more
// than one buffer's size together, which bounds the queue. A direction that sends in bulk may use a
// pipe instead, see tcp_splice.c.
#pragma once

#include "engine/ring.h"

// Stream buffers: see docs/limits.md.
#define STREAM_BUFFER_SIZE  (32u * 1024)
#define STREAM_BUFFER_COUNT 1024u
#define STREAM_BUFFER_READY 128u
// What one direction of a flow may hold, bytes. A receive is asked for half of it, less what is
// held, and may bring twice that.
#define LANE_LIMIT    (4u * 1024 * 1024)
#define LANE_SEGMENTS 256u
_Static_assert(LANE_SEGMENTS *(STREAM_BUFFER_SIZE / 2) >= LANE_LIMIT, "segments hold the limit");

enum rk_lane_flags {
	LANE_RECEIVING = 1 << 0, // a receive is in flight
	LANE_SENDING = 1 << 1,   // a send is in flight
	LANE_STARVED = 1 << 2,   // the pool was empty: receive again when a buffer is free
	LANE_EOF = 1 << 3,       // the source ended: nothing more will come
	LANE_BROKEN = 1 << 4,    // ... by a reset, which is passed on behind the queued bytes
	LANE_DONE = 1 << 5,      // FIN passed on: nothing more will happen
	LANE_BLOCKED = 1 << 6,   // the destination is full: go on when it is writable
	LANE_SPLICED = 1 << 7,   // has a pipe, receives nothing (tcp_splice.c)
};

struct rk_lane {
	uint16_t flags; // enum rk_lane_flags
	uint8_t pipe;   // LANE_SPLICED: number of the worker's pipe that it uses
	uint8_t small;  // ... and how often in a row it moved little
	uint32_t bulk;  // bytes received since a receive brought little
	uint32_t piped; // in the pipe
	uint16_t head;  // index of the first segment
	uint16_t count; // segments queued
	uint16_t start; // bytes of the first segment that are gone
	uint32_t bytes; // queued, until the kernel took them
	struct rk_segment {
		uint16_t buffer;
		uint16_t length; // from the buffer's beginning
	} segments[LANE_SEGMENTS];
};
_Static_assert(STREAM_BUFFER_SIZE <= UINT16_MAX, "a segment's length fits");

static inline bool lane_is_empty(const struct rk_lane *lane)
{
	return lane->bytes == 0 && lane->piped == 0;
}
// What to ask a receive for now; 0 = the lane is full.
size_t lane_room(const struct rk_lane *lane, uint32_t buffers_held);
// Queues `length` bytes that start in `buffer`; *held counts the buffers that lanes hold. 0, or
// -ENOBUFS when they do not fit (what did not fit is lost: the caller resets the flow).
int lane_push(struct rk_lane *lane, struct rk_ring *ring, uint32_t buffer, uint32_t length,
	uint32_t *held);
// Gives the buffers of a completion back unread.
void lane_discard(struct rk_ring *ring, uint32_t buffer, uint32_t length);
// Describes queued bytes for one ring_send(), adjacent buffers as one; returns the number of
// iovecs (at most RING_SEND_SEGMENTS, which may leave some bytes for the next).
unsigned lane_gather(struct rk_lane *lane, struct rk_ring *ring, struct iovec *iov);
// Drops the first `length` bytes and releases their buffers.
void lane_pop(struct rk_lane *lane, struct rk_ring *ring, uint32_t length, uint32_t *held);
