// ring_support.h: what the tests of the ring interface share: one ring, the completions that it
// delivered, sockets and a pattern of bytes. Each test is a process of its own.
#pragma once

#include "engine/ring.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#define STREAM_BUFFERS   8
#define STREAM_SIZE      4096
#define DATAGRAM_BUFFERS 16
#define LIMIT            (1u << 20)

enum { TAG_READ = 1, TAG_WRITE, TAG_POLL, TAG_CANCEL, TAG_CLOSE };

extern struct rk_ring *test_ring;
extern bool test_receiving; // ring_test_next_received() has a receive in flight
extern const enum rk_io_mode ring_test_modes[2];

#define RING_TEST(name)                                                                            \
	ParameterizedTestParameters(ring, name)                                                    \
	{                                                                                          \
		return cr_make_param_array(                                                        \
			enum rk_io_mode, (enum rk_io_mode *)ring_test_modes, 2);                   \
	}                                                                                          \
	ParameterizedTest(enum rk_io_mode *mode, ring, name)

struct rk_ring_options ring_test_options(enum rk_io_mode mode);
// Opens test_ring; skips the test where this machine has no io_uring.
void ring_test_open(const enum rk_io_mode *mode);
void ring_test_wait(int64_t timeout_ms); // one turn
unsigned ring_test_seen(void);           // completions that came so far
// The next completion of that operation, which must come; and that none comes.
struct rk_completion ring_test_next(uint64_t tag);
void ring_test_expect_none(uint64_t tag);
// The next completion of a receive, which is asked for again when it has ended.
struct rk_completion ring_test_next_received(int fd, size_t limit);

// Byte `offset` of the pattern that the tests send.
unsigned char ring_test_pattern(size_t offset);
void ring_test_fill(unsigned char *data, size_t length, size_t offset);
void ring_test_write_pattern(int fd, size_t length, size_t offset);
// Checks and releases the buffers of a stream completion; returns how many bytes it had.
size_t ring_test_consume(const struct rk_completion *completion, size_t offset);

void ring_test_open_pair(int *pair);
void ring_test_open_tcp_pair(int *pair);
int ring_test_open_bound(int type, struct rk_addr *addr); // 127.0.0.1 and a free port
int ring_test_open_listener(struct rk_addr *addr);
int ring_test_open_client(const struct rk_addr *addr);
