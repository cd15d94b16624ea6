// fuzz_datagram.c: a datagram as the ring delivers it, and the control messages in it.
// Pointers and lengths stay within what was received, whatever its headers say.

#include "engine/pktinfo.h"
#include "engine/ring.h"
#include "tests/fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_SIZE 1024

static struct rk_ring *open_ring(enum rk_io_mode io)
{
	struct rk_ring_options options = {.io = io, .entries = 8};
	struct rk_ring *ring = NULL;

	for (unsigned pool = 0; pool < RING_POOL_COUNT; pool++) {
		options.buffer_count[pool] = 8;
		options.buffer_size[pool] = BUFFER_SIZE;
	}
	return ring_open(&ring, &options) == 0 ? ring : NULL;
}

static void require_within(const void *part, size_t size, const uint8_t *data, size_t length)
{
	const uint8_t *at = part;

	FUZZ_REQUIRE(at >= data && size <= length && (size_t)(at - data) <= length - size);
}

static void parse(struct rk_ring *ring, const uint8_t *input, size_t size)
{
	struct msghdr shape = {
		.msg_namelen = sizeof(struct rk_addr), .msg_controllen = PKTINFO_SPACE};
	uint8_t *data = ring_buffer_data(ring, RING_POOL_DATAGRAM, 0);
	struct rk_datagram datagram;

	memcpy(data, input, size);
	if (ring_datagram_parse(ring, 0, size, &shape, &datagram) < 0)
		return;
	require_within(datagram.source, sizeof(struct rk_addr), data, size);
	require_within(datagram.control, datagram.control_length, data, size);
	require_within(datagram.payload, datagram.payload_length, data, size);
}

// From malloc(), so that what is behind it is guarded.
static void read_control(const uint8_t *data, size_t size)
{
	struct in6_pktinfo local;
	void *control = malloc(size);

	FUZZ_REQUIRE(control);
	memcpy(control, data, size);
	pktinfo_read(control, size, &local);
	free(control);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rk_ring *rings[2];

	if (size == 0 || size > BUFFER_SIZE)
		return 0;
	if (!rings[0]) {
		rings[0] = open_ring(IO_EPOLL);
		rings[1] = open_ring(IO_URING); // NULL where the machine has none
		FUZZ_REQUIRE(rings[0]);
	}
	parse(rings[0], data, size);
	if (rings[1])
		parse(rings[1], data, size);
	read_control(data, size);
	return 0;
}
