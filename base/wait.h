// wait.h: waiting for another program: until a time, and no longer than its answer is wanted.
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

// The question whether to give up. It is asked many times a second by whoever waits, in the thread
// that waits. `is_asked` NULL: never.
struct rk_cancel {
	bool (*is_asked)(void *context);
	void *context;
};

struct rk_wait {
	int64_t deadline_ms; // by clock_now_ms()
	struct rk_cancel cancel;
};

bool cancel_is_asked(const struct rk_cancel *cancel); // NULL: it is not

// Ends `timeout_ms` from now, or when `cancel` says so (NULL: never).
struct rk_wait wait_within(int timeout_ms, const struct rk_cancel *cancel);
// Ends `timeout_ms` from now, or with `wait` when that is earlier.
struct rk_wait wait_at_most(struct rk_wait wait, int timeout_ms);

// poll(2) until one of the descriptors is ready: 0, -ETIMEDOUT, -ECANCELED, or -errno. When it is
// too late or given up that counts, even if one is ready.
int wait_poll(struct rk_wait wait, struct pollfd *fds, nfds_t count);
// The same for `events` of one.
int wait_fd(struct rk_wait wait, int fd, short events);
