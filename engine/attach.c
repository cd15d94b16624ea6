// attach.c: the engine's hold on a network namespace that others have made.

#include "engine/attach.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/msg.h"
#include "engine/program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define START_TIMEOUT_MS   10000
#define HELPER_INTERVAL_MS 1000
#define HELPER_GRACE_MS    2000
#define CHANNEL_FD         3 // the helper's number of our channel

static int open_process(struct rk_attachment *attachment, struct rk_error *e)
{
	char *end;
	long pid;

	errno = 0;
	pid = strtol(attachment->target, &end, 10);
	if (errno || pid < 1 || pid > INT_MAX)
		return error_set(e, EINVAL, "%s: not a process id", attachment->target);
	attachment->pid = (int)pid;
	attachment->pidfd = pidfd_open(attachment->pid, 0);
	if (attachment->pidfd < 0)
		return error_errno(e, errno, "process %s", attachment->target);
	return 0;
}

int attachment_open(struct rk_attachment *attachment, const char *target, const char *program,
	unsigned workers, struct rk_error *e)
{
	size_t length = strlen(target);

	*attachment = RK_ATTACHMENT_NONE;
	attachment->workers = workers;
	if (length == 0 || length >= sizeof(attachment->target))
		return error_set(e, EINVAL,
			"attach: a process id or the file of a network namespace is needed");
	memcpy(attachment->target, target, length + 1);
	if (program)
		snprintf(attachment->program, sizeof(attachment->program), "%s", program);
	else
		program_find(attachment->program, sizeof(attachment->program), "nsctl");
	return target[strspn(target, "0123456789")] ? 0 : open_process(attachment, e);
}

static int start_program(struct rk_attachment *attachment, int channel, struct rk_error *e)
{
	char number[16], workers[16];
	const char *const words[] = {
		attachment->program, "helper", number, workers, attachment->target, NULL};
	// No death signal: it would come at the end of this thread. The helper sees its channels
	// close instead.
	struct rk_spawn spawn = {
		.argv = words, .fds = {{.from = channel, .to = CHANNEL_FD}}, .fd_count = 1};
	int rc;

	snprintf(number, sizeof(number), "%d", CHANNEL_FD);
	snprintf(workers, sizeof(workers), "%u", attachment->workers);
	rc = spawn_start(&spawn, &attachment->helper, e);
	if (rc == -ENOENT)
		error_hint(e, "install nsctl beside the program or in a directory of $PATH");
	return rc;
}

// Until the channel has something to read. 0 or -code.
static int await_helper(const struct rk_attachment *attachment, int channel, struct rk_error *e)
{
	struct pollfd fds[] = {{channel, POLLIN, 0}, {attachment->pidfd, POLLIN, 0}};
	int rc = wait_poll(wait_within(START_TIMEOUT_MS, &attachment->cancel), fds, 2);

	switch (rc) {
	case 0:
		if (fds[0].revents)
			return 0;
		return error_set(e, ECANCELED, "process %d has ended", attachment->pid);
	case -ECANCELED:
		return error_set(e, ECANCELED, "the start of nsctl helper was given up");
	case -ETIMEDOUT:
		return error_set(e, ETIMEDOUT, "nsctl helper did not answer within %d s",
			START_TIMEOUT_MS / 1000);
	default:
		return error_errno(e, -rc, "wait for nsctl helper");
	}
}

// The helper's first and only message. 0 with the workers' channels in *message, or -code.
static int receive_channels(struct rk_attachment *attachment, int channel,
	struct rk_message *message, struct rk_error *e)
{
	int rc = await_helper(attachment, channel, e);

	if (rc < 0)
		return rc;
	rc = msg_receive(channel, message);
	if (rc == 0 || rc == -ECONNRESET)
		return error_set(e, ECHILD, "nsctl helper ended without a word");
	if (rc < 0)
		return error_errno(e, -rc, "channel to nsctl helper");
	if (message->header.type == MSG_ERROR) {
		*e = message->error;
		return error_wrap(e, "attach");
	}
	if (message->header.type == MSG_HELPER && message->fd_count == attachment->workers &&
		!message->fds_lost)
		return 0;
	msg_close_fds(message);
	return error_set(e, message->fds_lost ? EMFILE : EPROTO,
		"nsctl helper sent %u channels for %u workers", message->fd_count,
		attachment->workers);
}

int attachment_start_helper(struct rk_attachment *attachment, int *channels, struct rk_error *e)
{
	RK_CLEANUP_FREE struct rk_message *message = malloc(sizeof(*message));
	RK_CLEANUP_FD int ours = -1;
	int ends[2];
	int rc = message ? msg_channel(ends) : -ENOMEM;

	if (rc < 0)
		return error_errno(e, -rc, "channel to nsctl helper");
	ours = ends[0];
	process_stop(&attachment->helper, SIGKILL, HELPER_GRACE_MS);
	attachment->started_ms = clock_now_ms();
	attachment->helper_missing = false;
	rc = start_program(attachment, ends[1], e);
	fd_close(&ends[1]);
	if (rc == 0)
		rc = receive_channels(attachment, ours, message, e);
	if (rc == 0)
		memcpy(channels, message->fds, attachment->workers * sizeof(*channels));
	else
		process_stop(&attachment->helper, SIGKILL, HELPER_GRACE_MS);
	return rc;
}

void attachment_helper_lost(struct rk_attachment *attachment)
{
	attachment->helper_missing = true;
}

bool attachment_helper_may_come(struct rk_attachment *attachment, int code)
{
	attachment->helper_missing = error_is_shortage(code);
	return attachment->helper_missing;
}

int attachment_delay_ms(const struct rk_attachment *attachment)
{
	int64_t delay;

	if (!attachment->helper_missing)
		return -1;
	delay = attachment->started_ms + HELPER_INTERVAL_MS - clock_now_ms();
	return delay > 0 ? (int)delay : 0;
}

void attachment_close(struct rk_attachment *attachment)
{
	process_stop(&attachment->helper, 0, HELPER_GRACE_MS);
	fd_close(&attachment->pidfd);
}
