// bulk.c: the worker's pipes, and the choice between copying and splicing.

#include "engine/bulk.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024u * 1024u)

// Bulk is what takes long enough to be worth a pipe; who wants splicing gets it early.
#define AFTER        (4u * MIB)
#define AFTER_WANTED (256u * 1024u)

// A window is long enough that its processor time is known well, and short beside a transfer that
// anybody waits for. Slower traffic is not measured: other work would count for it.
#define WINDOW_BYTES   (32u * MIB)
#define WINDOW_MOST_MS 1000u
#define WINDOW_PURITY  8u // the other way may have 1/8 of the bytes
#define SAMPLES        3u
#define TRIAL_MOST_MS  5000u
#define COMPARE_MS     60000u
// The other way must be better by a tenth: less is noise.
#define BETTER_NUMERATOR   9u
#define BETTER_DENOMINATOR 10u
#define COST_UNKNOWN       ((uint64_t)UINT32_MAX)

// --- pipes

unsigned bulk_pipes(enum rk_bulk_mode mode, unsigned workers, unsigned descriptors)
{
	unsigned pipes = BULK_PIPES_ALL / workers;

	if (mode == BULK_MODE_COPY)
		return 0;
	if (pipes > BULK_PIPES_MAX)
		pipes = BULK_PIPES_MAX;
	// A pipe has two descriptors; flows keep most of them.
	return pipes < descriptors / 32 ? pipes : descriptors / 32;
}

static bool open_pipe(struct rk_pipe *pipe)
{
	if (pipe2(pipe->fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	// A smaller one works, too, but hardly better than copying.
	if (fcntl(pipe->fds[1], F_SETPIPE_SZ, BULK_PIPE_SIZE) >= (int)BULK_PIPE_SIZE)
		return true;
	close(pipe->fds[0]);
	close(pipe->fds[1]);
	return false;
}

void bulk_open(struct rk_bulk *bulk, enum rk_bulk_mode mode, unsigned pipes)
{
	memset(bulk, 0, sizeof(*bulk));
	bulk->mode = mode;
	bulk->after = mode == BULK_MODE_SPLICE ? AFTER_WANTED : AFTER;
	bulk->pipe_most = pipes < BULK_PIPES_MAX ? pipes : BULK_PIPES_MAX;
	if (mode == BULK_MODE_SPLICE && pipes > 0)
		bulk->way = BULK_SPLICE;
}

void bulk_close(struct rk_bulk *bulk)
{
	for (unsigned i = 0; i < bulk->pipe_count; i++) {
		close(bulk->pipes[i].fds[0]);
		close(bulk->pipes[i].fds[1]);
	}
	bulk->pipe_count = bulk->free_count = 0;
}

int bulk_take_pipe(struct rk_bulk *bulk)
{
	if (bulk->free_count > 0)
		return bulk->free[--bulk->free_count];
	if (bulk->pipe_count == bulk->pipe_most || !open_pipe(&bulk->pipes[bulk->pipe_count]))
		return -1;
	return (int)bulk->pipe_count++;
}

void bulk_give_pipe(struct rk_bulk *bulk, int pipe, size_t held)
{
	char waste[16 * 1024];

	while (held > 0) {
		ssize_t gone = read(bulk->pipes[pipe].fds[0], waste, sizeof(waste));

		// One that cannot be emptied is lent to nobody any more.
		if (gone <= 0)
			return;
		held -= (size_t)gone;
	}
	bulk->free[bulk->free_count++] = (uint8_t)pipe;
}

void bulk_refused(struct rk_bulk *bulk)
{
	bulk->refused = true;
	bulk->way = BULK_COPY;
}

// --- the choice

static bool is_known(const struct rk_bulk *bulk, enum rk_bulk_way way)
{
	return bulk->costs[way].samples >= SAMPLES;
}

static void try_way(struct rk_bulk *bulk, enum rk_bulk_way way, uint64_t now_ms)
{
	bulk->way = way;
	bulk->decide_by_ms = now_ms + TRIAL_MOST_MS;
}

// This way could not be measured in time, because too much went the other way: as it was.
static void give_up_trial(struct rk_bulk *bulk, uint64_t now_ms)
{
	struct rk_bulk_cost *cost = &bulk->costs[bulk->way];

	if (cost->cost == 0)
		cost->cost = COST_UNKNOWN;
	cost->samples = SAMPLES;
	bulk->compared_ms = now_ms;
}

static void choose(struct rk_bulk *bulk, uint64_t now_ms)
{
	enum rk_bulk_way other = bulk->way == BULK_COPY ? BULK_SPLICE : BULK_COPY;

	if (bulk->mode != BULK_MODE_AUTO || bulk->pipe_most == 0 || bulk->refused)
		return;
	if (!is_known(bulk, bulk->way)) {
		if (!is_known(bulk, other) || now_ms < bulk->decide_by_ms)
			return;
		give_up_trial(bulk, now_ms);
	} else if (!is_known(bulk, other)) {
		try_way(bulk, other, now_ms);
		return;
	} else if (bulk->compared_ms == 0) {
		bulk->compared_ms = now_ms;
	}
	if (bulk->costs[other].cost <
		bulk->costs[bulk->way].cost * BETTER_NUMERATOR / BETTER_DENOMINATOR)
		bulk->way = other;
	else if (now_ms - bulk->compared_ms >= COMPARE_MS) {
		bulk->costs[other].samples = 0;
		bulk->compared_ms = 0;
		try_way(bulk, other, now_ms);
	}
}

void bulk_sample(struct rk_bulk *bulk, enum rk_bulk_way way, uint64_t cpu_ns, uint64_t bytes,
	uint64_t now_ms)
{
	struct rk_bulk_cost *cost = &bulk->costs[way];
	uint64_t sample = cpu_ns * 1024 / (bytes / 1024 + 1);

	// A mean of the last few.
	if (cost->samples < SAMPLES)
		cost->samples++;
	cost->cost = cost->samples == 1
			     ? sample
			     : (cost->cost * (cost->samples - 1) + sample) / cost->samples;
	choose(bulk, now_ms);
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void open_window(struct rk_bulk *bulk, uint64_t now_ms, uint64_t cpu_ns)
{
	bulk->window.open = true;
	bulk->window.started_ms = now_ms;
	bulk->window.started_cpu_ns = cpu_ns;
	memset(bulk->window.bytes, 0, sizeof(bulk->window.bytes));
}

void bulk_turn_end(struct rk_bulk *bulk, uint64_t now_ms)
{
	const uint64_t *bytes = bulk->window.bytes;
	uint64_t total = bytes[BULK_COPY] + bytes[BULK_SPLICE];
	uint64_t cpu_ns, started = bulk->window.started_cpu_ns;

	if (total == 0 || bulk->pipe_most == 0)
		return;
	if (!bulk->window.open) {
		open_window(bulk, now_ms, thread_cpu_ns());
		return;
	}
	if (now_ms - bulk->window.started_ms > WINDOW_MOST_MS) {
		bulk->window.open = false;
		memset(bulk->window.bytes, 0, sizeof(bulk->window.bytes));
		choose(bulk, now_ms);
		return;
	}
	if (total < WINDOW_BYTES)
		return;
	cpu_ns = thread_cpu_ns();
	if (bytes[BULK_SPLICE] <= total / WINDOW_PURITY)
		bulk_sample(bulk, BULK_COPY, cpu_ns - started, total, now_ms);
	else if (bytes[BULK_COPY] <= total / WINDOW_PURITY)
		bulk_sample(bulk, BULK_SPLICE, cpu_ns - started, total, now_ms);
	else
		choose(bulk, now_ms);
	open_window(bulk, now_ms, cpu_ns);
}
