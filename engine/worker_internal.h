// worker_internal.h: what the parts of a worker ask of each other; for worker*.c only.
#pragma once

#include "engine/worker.h"

// --- the loop (worker.c)

// The control thread ends what cannot go on, and says so.
void worker_break(struct rk_worker *worker, int error);
// Makes one of the plane's eventfds readable.
void worker_wake(struct rk_worker *worker, int fd);

// --- the mailbox (worker_mailbox.c)

void worker_poll_mailbox(struct rk_worker *worker);
void worker_mailbox_complete(struct rk_worker *worker, const struct rk_completion *completion);
void worker_answer(struct rk_command *command, int result);
// Until the control thread stops it: a worker whose ring broke still answers.
void worker_refuse_commands(struct rk_worker *worker);

// --- the helper (worker_helper.c)

void worker_poll_helper(struct rk_worker *worker);
void worker_helper_complete(struct rk_worker *worker, const struct rk_completion *completion);
// Takes the channel over, -1 = none.
void worker_change_helper(struct rk_worker *worker, int channel);
// Takes all sockets that are there. False when the helper is gone.
bool worker_drain_helper(struct rk_worker *worker);
