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
	uint32_t free_buffers = STREAM_BUFFER_COUNT - buffers_held;
	size_t fair = (size_t)free_buffers / 8 * STREAM_BUFFER_SIZE;
	size_t room = lane->bytes < LANE_LIMIT ? LANE_LIMIT - lane->bytes : 0;

	if (room < LANE_LIMIT / 2)
		return 0;
	if (fair < STREAM_BUFFER_SIZE)
		fair = STREAM_BUFFER_SIZE;
	return room < fair ? room : fair;
}

// Copies the bytes behind the last segment when there is room; true when it did.
static bool merge_small(
	struct rk_lane *lane, struct rk_ring *ring, uint32_t buffer, uint32_t length)
{
	struct rk_segment *last;
	unsigned char *end;

	if (lane->count == 0)
		return false;
	last = segment_at(lane, lane->count - 1u);
	if (last->start + last->length + length > STREAM_BUFFER_SIZE)
		return false;
	end = (unsigned char *)ring_buffer_data(ring, RING_POOL_STREAM, last->buffer) +
	      last->start + last->length;
	memcpy(end, ring_buffer_data(ring, RING_POOL_STREAM, buffer), length);
	last->length += length;
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
	*segment_at(lane, lane->count++) =
		(struct rk_segment){.buffer = (uint16_t)buffer, .length = length};
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
	for (unsigned i = 0; i < lane->count; i++) {
		const struct rk_segment *segment = segment_at(lane, i);
		unsigned char *data = ring_buffer_data(ring, RING_POOL_STREAM, segment->buffer);

		iov[i] = (struct iovec){data + segment->start, segment->length};
	}
	return lane->count;
}

void lane_pop(struct rk_lane *lane, struct rk_ring *ring, uint32_t length, uint32_t *held)
{
	lane->bytes -= length;
	while (lane->count > 0) {
		struct rk_segment *first = segment_at(lane, 0);

		if (length < first->length) {
			first->start += (uint16_t)length;
			first->length -= length;
			break;
		}
		length -= first->length;
		ring_buffer_release(ring, RING_POOL_STREAM, first->buffer);
		lane->head = (uint8_t)((lane->head + 1) % LANE_SEGMENTS);
		lane->count--;
		--*held;
	}
}
