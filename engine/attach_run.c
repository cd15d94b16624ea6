// attach_run.c: `rk-engine --attach`: serve a namespace that exists already, until told to end.
//
// How it works: the same service as for a namespace of our own (data plane, ports, API), with the
// helper of attach.c; one thread, one poll loop over signals, the loss of the helper and the end of
// the target process.

#include "engine/attach_run.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/statedir.h"
#include "engine/attach.h"
#include "engine/lockdown.h"
#include "engine/plane.h"
#include "engine/service.h"
#include "engine/signals.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define STARTS_PROGRAMS true // another helper, when one dies

struct attached {
	struct rk_config *config;
	struct rk_state_dir dir;
	struct rk_attachment attachment;
	struct rk_service service;
	struct rk_message message; // as nsctl would have sent it
	int signal_fd;
	bool ended;
};

// The channels of a new helper, as the service takes them.
static int start_helper(struct attached *a, struct rk_error *e)
{
	int rc = attachment_start_helper(&a->attachment, a->message.fds, e);

	a->message.fd_count = rc == 0 ? a->attachment.workers : 0;
	return rc;
}

// The settings that decide about the data plane: a namespace of its own, and our forwarding.
static int adapt(struct rk_config *config, struct rk_error *e)
{
	int rc = config_set(config, "network", "driver", "none", e);

	if (rc == 0)
		rc = config_set(config, "port", "driver", "builtin", e);
	config->engine.workers = plane_choose_workers(config->engine.workers);
	return rc;
}

static void on_signals(struct attached *a)
{
	struct signalfd_siginfo info;

	while (engine_signals_read(a->signal_fd, &info))
		if (engine_signals_ask_to_stop(info.ssi_signo, false))
			a->ended = true;
}

static bool is_ended(void *context)
{
	struct attached *a = context;

	on_signals(a);
	return a->ended;
}

static int start(struct attached *a, const char *target, struct rk_error *e)
{
	int rc = adapt(a->config, e);

	a->signal_fd = engine_signals_open();
	if (rc == 0 && a->signal_fd < 0)
		rc = error_errno(e, -a->signal_fd, "signalfd");
	if (rc == 0)
		rc = attachment_open(&a->attachment, target, NULL, a->config->engine.workers, e);
	a->attachment.cancel = (struct rk_cancel){is_ended, a};
	if (rc == 0)
		rc = start_helper(a, e);
	if (rc < 0)
		return rc;
	fd_raise_limit();
	rc = state_dir_open(&a->dir, a->config->engine.state_dir, e);
	if (rc == 0)
		rc = lockdown_begin(a->config, &a->dir, STARTS_PROGRAMS, e);
	if (rc < 0) {
		msg_close_fds(&a->message);
		return rc;
	}
	a->message.network.child_pid = a->attachment.pid;
	rc = service_start(&a->service, a->config, &a->dir, &a->message, e);
	// For nsctl status: there is no child_pid.
	if (rc == 0)
		rc = state_dir_write(&a->dir, "attached", target, e);
	if (rc == 0)
		rc = lockdown_finish(a->config, STARTS_PROGRAMS, e);
	if (rc == 0)
		log_info("attached to %s%s; the API is in %s", a->attachment.pid ? "process " : "",
			target, a->dir.path);
	return rc;
}

static int replace_helper(struct attached *a, struct rk_error *e)
{
	int rc = start_helper(a, e);

	if (rc == 0)
		rc = service_set_helper(&a->service, a->config, &a->message, e);
	if (rc == 0)
		log_info("the namespace's helper was restarted");
	// The next turn sees why.
	if (rc == -ECANCELED)
		return 0;
	if (rc >= 0 || !attachment_helper_may_come(&a->attachment, -rc))
		return rc;
	log_failure(e);
	return 0;
}

static int serve_once(struct attached *a, struct rk_error *e)
{
	struct pollfd fds[] = {
		{a->signal_fd, POLLIN, 0},
		{service_helper_lost_fd(&a->service), POLLIN, 0},
		{a->attachment.pidfd, POLLIN, 0},
		{service_owners_fd(&a->service), POLLIN, 0},
	};
	uint64_t times;

	if (poll(fds, sizeof(fds) / sizeof(fds[0]), attachment_delay_ms(&a->attachment)) < 0)
		return errno == EINTR ? 0 : error_errno(e, errno, "wait for events");
	if (fds[0].revents)
		on_signals(a);
	if (fds[2].revents) {
		log_info("process %d has ended", a->attachment.pid);
		a->ended = true;
	}
	if (fds[3].revents)
		service_free_ended(&a->service);
	if (fds[1].revents && read(fds[1].fd, &times, sizeof(times)) > 0) {
		int rc = service_check(&a->service, e);

		if (rc < 0)
			return rc;
		attachment_helper_lost(&a->attachment);
	}
	if (a->ended || attachment_delay_ms(&a->attachment) != 0)
		return 0;
	return replace_helper(a, e);
}

int attach_run(struct rk_config *config, const char *target, struct rk_error *e)
{
	struct attached a = {
		.config = config,
		.dir = RK_STATE_DIR_NONE,
		.attachment = RK_ATTACHMENT_NONE,
		.signal_fd = -1,
	};
	int rc = start(&a, target, e);

	if (rc == -ECANCELED && a.ended)
		rc = 0;
	while (rc == 0 && !a.ended)
		rc = serve_once(&a, e);
	service_stop(&a.service);
	attachment_close(&a.attachment);
	if (a.dir.lock_fd >= 0)
		state_dir_remove(&a.dir);
	fd_close(&a.signal_fd);
	return rc;
}
