// lane.c: one direction of a TCP flow.

#include "engine/lane.h"

#include <errno.h>
#include <string.h>

static struct rk_segment *segment_at(struct rk_lane *lane, unsigned index)
{
	return &lane->segments[(lane->head + index) % LANE_SEGMENTS];
}

size_t lane_room(const struct rk_lane *lane, uint32_t buffers_held)
{
	size_t fair = (size_t)(STREAM_BUFFER_COUNT - buffers_held) / 8 * STREAM_BUFFER_SIZE;
	size_t room;

	if (lane->bytes > LANE_LIMIT / 4)
		return 0;
	room = LANE_LIMIT / 2 - lane->bytes;
	if (fair < STREAM_BUFFER_SIZE)
		fair = STREAM_BUFFER_SIZE;
	return room < fair ? room : fair;
}

// Copies the bytes behind the last segment when there is room; true when it did.
static bool merge_small(
	struct rk_lane *lane, struct rk_ring *ring, uint32_t buffer, uint32_t length)
{
	struct rk_segment *last;
	unsigned char *data;

	if (lane->count == 0)
		return false;
	last = segment_at(lane, lane->count - 1u);
	if (last->length + length > STREAM_BUFFER_SIZE)
		return false;
	data = ring_buffer_data(ring, RING_POOL_STREAM, last->buffer);
	memcpy(data + last->length, ring_buffer_data(ring, RING_POOL_STREAM, buffer), length);
	last->length += (uint16_t)length;
	return true;
}

static bool push_one(struct rk_lane *lane, struct rk_ring *ring, uint32_t buffer, uint32_t length,
	uint32_t *held)
{
	if (merge_small(lane, ring, buffer, length)) {
		ring_buffer_release(ring, RING_POOL_STREAM, buffer);
		return true;
	}
	if (lane->count == LANE_SEGMENTS) {
		ring_buffer_release(ring, RING_POOL_STREAM, buffer);
		return false;
	}
	*segment_at(lane, lane->count++) = (struct rk_segment){(uint16_t)buffer, (uint16_t)length};
	++*held;
	return true;
}

int lane_push(struct rk_lane *lane, struct rk_ring *ring, uint32_t buffer, uint32_t length,
	uint32_t *held)
{
	int error = 0;

	while (length > 0) {
		uint32_t part = length < STREAM_BUFFER_SIZE ? length : STREAM_BUFFER_SIZE;
		uint32_t next = ring_buffer_next(ring, RING_POOL_STREAM, buffer);

		if (push_one(lane, ring, buffer, part, held))
			lane->bytes += part;
		else
			error = -ENOBUFS;
		buffer = next;
		length -= part;
	}
	return error;
}

void lane_discard(struct rk_ring *ring, uint32_t buffer, uint32_t length)
{
	while (length > 0) {
		uint32_t part = length < STREAM_BUFFER_SIZE ? length : STREAM_BUFFER_SIZE;
		uint32_t next = ring_buffer_next(ring, RING_POOL_STREAM, buffer);

		ring_buffer_release(ring, RING_POOL_STREAM, buffer);
		buffer = next;
		length -= part;
	}
}

unsigned lane_gather(struct rk_lane *lane, struct rk_ring *ring, struct iovec *iov)
{
	uint16_t start = lane->start;
	unsigned count = 0;

	for (unsigned i = 0; i < lane->count; i++) {
		const struct rk_segment *segment = segment_at(lane, i);
		unsigned char *data =
			(unsigned char *)ring_buffer_data(ring, RING_POOL_STREAM, segment->buffer) +
			start;
		size_t length = (size_t)segment->length - start;

		if (count > 0 &&
			(unsigned char *)iov[count - 1].iov_base + iov[count - 1].iov_len == data)
			iov[count - 1].iov_len += length;
		else if (count == RING_SEND_SEGMENTS)
			break;
		else
			iov[count++] = (struct iovec){data, length};
		start = 0;
	}
	return count;
}

void lane_pop(struct rk_lane *lane, struct rk_ring *ring, uint32_t length, uint32_t *held)
{
	lane->bytes -= length;
	while (lane->count > 0) {
		struct rk_segment *first = segment_at(lane, 0);
		uint32_t left = (uint32_t)first->length - lane->start;

		if (length < left) {
			lane->start += (uint16_t)length;
			break;
		}
		length -= left;
		lane->start = 0;
		ring_buffer_release(ring, RING_POOL_STREAM, first->buffer);
		lane->head = (uint16_t)((lane->head + 1u) % LANE_SEGMENTS);
		lane->count--;
		--*held;
	}
}
