// wait.c: waiting for another program: until a time, and no longer than its answer is wanted.

#include "base/wait.h"
#include "base/clock.h"

#include <errno.h>

#define CANCEL_INTERVAL_MS 50

bool cancel_is_asked(const struct rk_cancel *cancel)
{
	return cancel && cancel->is_asked && cancel->is_asked(cancel->context);
}

struct rk_wait wait_within(int timeout_ms, const struct rk_cancel *cancel)
{
	struct rk_wait wait = {.deadline_ms = clock_now_ms() + timeout_ms};

	if (cancel)
		wait.cancel = *cancel;
	return wait;
}

struct rk_wait wait_at_most(struct rk_wait wait, int timeout_ms)
{
	struct rk_wait part = wait_within(timeout_ms, &wait.cancel);

	return part.deadline_ms < wait.deadline_ms ? part : wait;
}

int wait_poll(struct rk_wait wait, struct pollfd *fds, nfds_t count)
{
	int ready;

	do {
		int64_t left_ms = wait.deadline_ms - clock_now_ms();

		if (left_ms <= 0)
			return -ETIMEDOUT;
		if (cancel_is_asked(&wait.cancel))
			return -ECANCELED;
		if (wait.cancel.is_asked && left_ms > CANCEL_INTERVAL_MS)
			left_ms = CANCEL_INTERVAL_MS;
		ready = poll(fds, count, (int)left_ms);
	} while (ready == 0 || (ready < 0 && errno == EINTR));
	return ready < 0 ? -errno : 0;
}

int wait_fd(struct rk_wait wait, int fd, short events)
{
	struct pollfd pollfd = {.fd = fd, .events = events};

	return wait_poll(wait, &pollfd, 1);
}
