// worker_mailbox.c: a worker's mailbox: the commands of the control thread, sent and carried out.

#include "base/fd.h"
#include "engine/listener.h"
#include "engine/udp.h"
#include "engine/worker_internal.h"
#include "engine/worker_report.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

// --- the worker's end

void worker_poll_mailbox(struct rk_worker *worker)
{
	ring_poll(worker->ring, worker->mailbox[0], POLLIN, tag_make(OP_MAILBOX, 0, 0));
}

void worker_answer(struct rk_command *command, int result)
{
	command->result = result;
	sem_post(&command->done);
}

static void share_stop(struct rk_worker *worker, struct rk_share *share, struct rk_command *removal)
{
	unsigned count = share->listener_count;

	share->removal = removal;
	if (share->forward.socktype == SOCK_DGRAM)
		udp_close_flows(worker, share);
	// A range may have more ports than workers, and fewer: a share without listeners.
	if (count == 0)
		worker_share_closed(worker, share);
	// The last one that closes may retire the share.
	for (unsigned i = 0; i < count; i++)
		listener_stop(worker, &share->listeners[i]);
}

static void want_sockets(struct rk_worker *worker, const struct rk_forward *forward)
{
	for (unsigned i = 0; i < forward->target_count; i++)
		pool_want(&worker->pool, &worker->timers,
			pool_kind(forward->socktype, forward->targets[i].sa.sa_family),
			worker->options.pool_size);
	scout_want(&worker->pool, &worker->timers, forward);
}

static void command_add(struct rk_worker *worker, struct rk_command *command)
{
	struct rk_share *share = command->share;
	int result = 0;

	want_sockets(worker, &share->forward);
	list_append(&worker->shares, &share->node);
	for (unsigned i = 0; i < share->listener_count && result == 0; i++)
		result = listener_start(worker, &share->listeners[i]);
	worker_answer(command, result);
}

static struct rk_share *find_share(struct rk_worker *worker, uint32_t id)
{
	struct rk_node *node = worker->shares.head.next;

	for (; node != &worker->shares.head; node = node->next) {
		struct rk_share *share = RK_CONTAINER_OF(node, struct rk_share, node);

		if (share->forward.id == id)
			return share;
	}
	return NULL;
}

static void command_remove(struct rk_worker *worker, struct rk_command *command)
{
	struct rk_share *share = find_share(worker, command->id);

	if (share)
		share_stop(worker, share, command);
	else
		worker_answer(command, -ENOENT);
}

// Between two events of this worker, so no client meets half of the change. Flows that have not
// reached their target yet see the new generation and begin anew (see route.h).
static void command_retarget(struct rk_worker *worker, struct rk_command *command)
{
	struct rk_share *share = find_share(worker, command->id);

	if (share) {
		share->forward = *command->forward;
		share->targets_generation++;
		memset(share->preferred_targets, 0, sizeof(share->preferred_targets));
		want_sockets(worker, &share->forward);
	}
	worker_answer(command, share ? 0 : -ENOENT);
}

static void command_helper(struct rk_worker *worker, struct rk_command *command)
{
	worker_change_helper(worker, command->channel);
	worker->helper_channels++;
	worker_poll_helper(worker);
	worker_answer(command, 0);
}

static void mailbox_read(struct rk_worker *worker)
{
	struct rk_command *command;
	ssize_t got;

	while ((got = read(worker->mailbox[0], &command, sizeof(command))) == sizeof(command)) {
		switch (command->type) {
		case COMMAND_ADD:
			command_add(worker, command);
			break;
		case COMMAND_RETARGET:
			command_retarget(worker, command);
			break;
		case COMMAND_REMOVE:
			command_remove(worker, command);
			break;
		case COMMAND_HELPER:
			command_helper(worker, command);
			break;
		case COMMAND_STATS:
			worker_report_stats(worker, command->stats);
			worker_answer(command, 0);
			break;
		case COMMAND_FLOWS:
			worker_report_flows(worker, command->flows);
			worker_answer(command, 0);
			break;
		case COMMAND_STOP:
			worker->stopping = true;
			worker_answer(command, 0);
			break;
		}
	}
	if (got == 0) // the control thread could not send its last command
		worker->stopping = true;
	else if (got < 0 && errno != EAGAIN)
		worker_break(worker, errno);
}

void worker_mailbox_complete(struct rk_worker *worker, const struct rk_completion *completion)
{
	// A late one while the worker drains: nobody asks any more, and the mailbox may block by
	// now.
	if (worker->stopping)
		return;
	mailbox_read(worker);
	if (completion->flags & RING_MORE)
		return;
	if (completion->result < 0)
		timer_start(&worker->timers, &worker->mailbox_poll, TIMER_POLL);
	else
		worker_poll_mailbox(worker);
}

void worker_refuse_commands(struct rk_worker *worker)
{
	struct rk_command *command;

	worker_state_changed(worker);
	fd_set_nonblocking(worker->mailbox[0], false);
	while (!worker->stopping &&
		read(worker->mailbox[0], &command, sizeof(command)) == sizeof(command)) {
		worker->stopping = command->type == COMMAND_STOP;
		worker_answer(command, -worker->broken);
	}
}

// --- the control thread's end

int worker_command(struct rk_worker *worker, struct rk_command *command)
{
	int result;

	sem_init(&command->done, 0, 0);
	result = fd_write_all(worker->mailbox[1], &command, sizeof(command));
	while (result == 0 && sem_wait(&command->done) < 0)
		;
	sem_destroy(&command->done);
	return result == 0 ? command->result : result;
}
