// attach.h: the engine's hold on a network namespace that others have made.
//
// How it works: the engine stays where it is. `nsctl helper` joins the namespace and makes sockets
// there for the workers. A helper that dies is replaced, at most once a second; a shortage of
// descriptors, memory or processes only delays that. What was attached by process id ends with that
// process.
#pragma once

#include "base/error.h"
#include "base/spawn.h"
#include "base/wait.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct rk_attachment {
	char target[PATH_MAX];  // PID or NETNS-FILE, as given
	char program[PATH_MAX]; // nsctl
	unsigned workers;
	int pid;   // of the target, 0 = a file
	int pidfd; // readable when that process has ended, -1 = a file
	// Of the start of a helper, with -ECANCELED. The end of the target's process is a reason
	// without it.
	struct rk_cancel cancel;
	struct rk_process helper;
	int64_t started_ms; // when the last helper was started
	bool helper_missing;
};
#define RK_ATTACHMENT_NONE ((struct rk_attachment){.pidfd = -1, .helper = RK_PROCESS_NONE})

// Digits are a process id, anything else is a file (/run/netns/NAME, STATE-DIR/netns). `program`
// NULL: nsctl beside us, or on PATH. Starts nothing yet. 0 or -code with *e.
int attachment_open(struct rk_attachment *attachment, const char *target, const char *program,
	unsigned workers, struct rk_error *e);
// Starts a helper in place of the one before; channels[0..workers) become the caller's, for
// plane_set_helper(). 0, or -code with *e saying why the namespace cannot be joined.
int attachment_start_helper(struct rk_attachment *attachment, int *channels, struct rk_error *e);
// plane_helper_lost_fd() was readable: another helper is due after attachment_delay_ms(), which is
// -1 when none is.
void attachment_helper_lost(struct rk_attachment *attachment);
// A helper could not be started in place of one that was lost, with errno `code`. True: that was a
// shortage, which passes, and the next try is due after attachment_delay_ms().
bool attachment_helper_may_come(struct rk_attachment *attachment, int code);
int attachment_delay_ms(const struct rk_attachment *attachment);
// After the workers have closed their channels, by which the helper ends.
void attachment_close(struct rk_attachment *attachment);
