// ring_uring_probe.c: find out what this kernel's io_uring does by doing it.
//
// How it works: a pattern goes through a socket pair into provided buffers and must come back byte
// for byte. First with a limited multishot receive and bundles, then without the one or the other.
// Version numbers are not asked: bundles came with Linux 6.10 but were delivered out of order by
// some 6.13 and 6.14 kernels (liburing issue 1409), and the limit of a multishot receive came with
// 6.17; older kernels refuse it with EINVAL. Bundles without a limit are not used: such a receive
// may bring all that the socket holds, which no bounded lane can take.
//
// Then every other operation that not all kernels know is asked for where it has nothing to do, and
// cancelled in the two ways that there are. What the kernel does not know it refuses with EINVAL.

#include "engine/ring_uring.h"

#include "base/fd.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PROBE_TAG    1
#define PROBE_ROUNDS 3
#define PROBE_CHUNK  (128 * 1024)
#define PROBE_WAITS                                                                                \
	256 // turns of the ring at most, each with something received or nothing to come
#define PROBE_WAIT_MS 100

struct probe {
	struct rk_uring *uring;
	uint32_t sent;     // bytes of the pattern that went in
	uint32_t received; // bytes that came back as they were
	uint32_t waits;
	int error;
	bool armed;
	bool wrong;
};

// A pattern whose period is no power of two, so that swapped buffers show.
static unsigned char pattern_byte(uint32_t offset)
{
	return (unsigned char)(offset % 251 + offset / 65521);
}

static void probe_check(struct probe *probe, const unsigned char *data, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		if (data[i] != pattern_byte(probe->received + i))
			probe->wrong = true;
	probe->received += length;
}

static void probe_completion(void *context, const struct rk_completion *completion)
{
	struct probe *probe = context;
	struct rk_ring_buffers *pool = &probe->uring->pools[RING_POOL_STREAM];
	uint32_t buffer = completion->buffer;
	int32_t left = completion->result;

	if (completion->tag != PROBE_TAG)
		return;
	if (!(completion->flags & RING_MORE))
		probe->armed = false;
	if (completion->result < 0 && completion->result != -ENOBUFS)
		probe->error = completion->result;
	if (!(completion->flags & RING_BUFFER))
		return;
	while (left > 0) {
		uint32_t length = (uint32_t)left < pool->size ? (uint32_t)left : pool->size;
		uint32_t next = ring_buffers_next(pool, buffer);

		probe_check(probe, ring_buffers_data(pool, buffer), length);
		ring_buffers_release(pool, buffer);
		buffer = next;
		left -= (int32_t)length;
	}
}

static int probe_fill(struct probe *probe, int fd)
{
	unsigned char chunk[4096];
	uint32_t goal = probe->sent + PROBE_CHUNK;

	while (probe->sent < goal) {
		for (uint32_t i = 0; i < sizeof(chunk); i++)
			chunk[i] = pattern_byte(probe->sent + i);
		ssize_t written = send(fd, chunk, sizeof(chunk), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (written <= 0)
			break;
		probe->sent += (uint32_t)written;
	}
	return probe->sent > probe->received ? 0 : -EIO;
}

static bool probe_wait(struct probe *probe)
{
	return probe->waits++ < PROBE_WAITS &&
	       ring_wait(&probe->uring->base, PROBE_WAIT_MS, probe_completion, probe) == 0;
}

// Moves the pattern through `pair` in the form that the ring's two features select.
static int probe_transfer(struct rk_uring *uring, const int *pair)
{
	struct probe probe = {.uring = uring};

	for (int round = 0; round < PROBE_ROUNDS; round++) {
		if (probe_fill(&probe, pair[0]) < 0)
			return -EIO;
		while (probe.received < probe.sent && !probe.error && !probe.wrong) {
			if (!probe.armed)
				ring_receive(&uring->base, pair[1], PROBE_CHUNK, PROBE_TAG);
			probe.armed = true;
			if (!probe_wait(&probe))
				return -EIO;
		}
	}
	if (probe.armed) {
		ring_cancel(&uring->base, pair[1], 0);
		while (probe.armed && probe_wait(&probe))
			;
		probe.error = 0;
	}
	return probe.error ? probe.error : probe.wrong ? -EILSEQ : 0;
}

// --- operations that have nothing to do

enum { TRY_ACCEPT = PROBE_TAG + 1, TRY_RECEIVE_FROM, TRY_RECEIVE, TRY_POLL, TRY_CANCEL, TRY_END };

struct trial {
	unsigned left; // operations that have not completed
	int results[TRY_END];
	bool refused;
};

static void trial_completion(void *context, const struct rk_completion *completion)
{
	struct trial *trial = context;

	if (completion->tag < TRY_ACCEPT || completion->tag >= TRY_END)
		return;
	trial->left--;
	trial->results[completion->tag] = completion->result;
	trial->refused |= completion->result < 0 && completion->result != -ECANCELED &&
			  completion->tag != TRY_ACCEPT;
}

// `pair` are datagram sockets, which accept no connections and say so: EOPNOTSUPP, where an unknown
// form of accept would be EINVAL.
static int try_operations(struct rk_uring *uring, const int *pair)
{
	const struct msghdr shape = {.msg_namelen = sizeof(struct rk_addr)};
	struct rk_ring *ring = &uring->base;
	struct trial trial = {.left = 6};

	ring_accept(ring, pair[0], false, TRY_ACCEPT);
	ring_receive_from(ring, pair[0], &shape, TRY_RECEIVE_FROM);
	ring_receive_datagram(ring, pair[1], TRY_RECEIVE);
	ring_poll(ring, pair[0], POLLIN, TRY_POLL);
	ring_cancel_one(ring, pair[1], TRY_RECEIVE, TRY_CANCEL);
	ring_cancel(ring, pair[0], TRY_CANCEL);
	for (unsigned i = 0; i < PROBE_WAITS && trial.left > 0 && !trial.refused; i++) {
		int result = ring_wait(ring, PROBE_WAIT_MS, trial_completion, &trial);

		if (result < 0)
			return result;
	}
	uring->accepts_one = trial.results[TRY_ACCEPT] == -EINVAL;
	return trial.refused || trial.left > 0 ? -EINVAL : 0;
}

static int probe_operations(struct rk_uring *uring)
{
	int result, pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	result = try_operations(uring, pair);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	return result;
}

int uring_probe(struct rk_uring *uring)
{
	static const struct {
		bool limited, bundles;
	} forms[] = {{true, true}, {true, false}, {false, false}};
	int result = -ENOSYS;

	for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]) && result < 0; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
			return -errno;
		uring->limited = forms[i].limited;
		uring->bundles = forms[i].bundles;
		result = probe_transfer(uring, pair);
		fd_close(&pair[0]);
		fd_close(&pair[1]);
	}
	return result < 0 ? result : probe_operations(uring);
}
