// bulk.h: the two ways to move what a flow sends in bulk, and which of them costs less here.
//
// How it works: bytes are copied, into the worker's buffers and out again, or spliced: a pipe takes
// the pages that hold them from one socket to the other. What each costs depends on the machine (a
// third or three times the other, see docs/benchmarks.md), so a worker measures it on the traffic
// itself: the processor time of its thread over windows of WINDOW_BYTES that moved almost wholly in
// one way. It tries both as soon as there is bulk to move, keeps to the cheaper one, and tries the
// other again from time to time. Which flows are bulk, and how they change over, is up to
// tcp_splice.c.
//
// Pipes are opened when they are first wanted, kept, and lent to one direction of a flow each.
// Where none is to be had (all are lent, the kernel refuses, descriptors are short) the flow is
// copied.
#pragma once

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Pipes of one worker; and of all workers together, by what the kernel lets the pipes of a user
// without privileges take (fs.pipe-user-pages-soft, 16384 pages): a quarter of it.
#define BULK_PIPES_MAX 16u
#define BULK_PIPES_ALL 64u
// What a pipe may hold: this many pages, of which each slot may also take a larger piece (Linux
// keeps a socket's bytes in pieces of up to 32 KiB); the first bounds it in the kernel's accounts.
#define BULK_PIPE_SIZE (64u * 4096u)

enum rk_bulk_way { BULK_COPY, BULK_SPLICE, BULK_WAYS };

struct rk_bulk {
	enum rk_bulk_mode mode;
	enum rk_bulk_way way; // what flows in bulk should do now
	uint32_t after;       // bytes without a small receive that make a flow one in bulk
	bool refused;         // the kernel will not splice
	unsigned pipe_most, pipe_count, free_count; // that there may be, there are, nobody uses
	struct rk_pipe {
		int fds[2];
	} pipes[BULK_PIPES_MAX];
	uint8_t free[BULK_PIPES_MAX];
	uint64_t moved[BULK_WAYS]; // bytes, since the start
	struct rk_bulk_cost {
		uint64_t cost; // nanoseconds of processor time a MiB
		unsigned samples;
	} costs[BULK_WAYS];
	struct {
		bool open;
		uint64_t started_ms, started_cpu_ns;
		uint64_t bytes[BULK_WAYS];
	} window;
	uint64_t compared_ms;  // when both ways were last known
	uint64_t decide_by_ms; // when the trial of this way is given up
};

// There may be `pipes` pipes at most. Cannot fail.
void bulk_open(struct rk_bulk *bulk, enum rk_bulk_mode mode, unsigned pipes);
void bulk_close(struct rk_bulk *bulk);
// How many pipes a worker gets where `workers` share them, for which it may open `descriptors`.
unsigned bulk_pipes(enum rk_bulk_mode mode, unsigned workers, unsigned descriptors);

static inline bool bulk_splices(const struct rk_bulk *bulk)
{
	return bulk->way == BULK_SPLICE;
}
// The kernel will not splice: from now on everything is copied.
void bulk_refused(struct rk_bulk *bulk);
// A pipe that is empty, or -1. Opens one now and then.
int bulk_take_pipe(struct rk_bulk *bulk);
// `held`: bytes that are still in it, which are thrown away.
void bulk_give_pipe(struct rk_bulk *bulk, int pipe, size_t held);

// Counts bytes of a flow in bulk.
static inline void bulk_moved(struct rk_bulk *bulk, enum rk_bulk_way way, size_t bytes)
{
	bulk->moved[way] += bytes;
	bulk->window.bytes[way] += bytes;
}
// Call at the end of each turn, which does next to nothing in most of them.
void bulk_turn_end(struct rk_bulk *bulk, uint64_t now_ms);
// A window ended: `cpu_ns` of processor time for `bytes` in one way. Separate for tests.
void bulk_sample(struct rk_bulk *bulk, enum rk_bulk_way way, uint64_t cpu_ns, uint64_t bytes,
	uint64_t now_ms);
