// supervisor.c: one run of the engine, from the state directory to the command's exit code.
//
// How it works: one thread, one poll loop over signals, the channel to nsctl, nsctl's life and the
// loss of the helper. What happens depends on the phase:
//
//   STARTING   nsctl makes namespaces and network. MSG_NETWORK: serve (data plane, ports, API),
//              write child_pid, send MSG_START -> RUNNING. Too late, MSG_ERROR, a stop signal, or
//              nsctl's end -> ENDED.
//   RUNNING    the command runs; signals go on to it. SIGTERM or SIGINT -> STOPPING.
//              MSG_ERROR (the command cannot be executed) -> KILLING, for its exit code follows.
//   STOPPING   the command was asked to end. stop-timeout over or a second stop signal: SIGKILL
//              to the command -> KILLING. (A stop-timeout of 0 skips this phase for ever.)
//   KILLING    waits a little for MSG_EXITED -> ENDED with or without it.
//   ENDED      tear down in order: API, data plane, channel, nsctl (which ends the network
//              daemon and the namespaces), state directory.
//
// In every phase MSG_EXITED carries the command's status and ends the run, and the end of nsctl
// without it is a failure. The same tear-down runs for every failure, with what there is by then.

#include "engine/supervisor.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/spawn.h"
#include "base/statedir.h"
#include "engine/launch.h"
#include "engine/lockdown.h"
#include "engine/plane.h"
#include "engine/service.h"
#include "engine/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TIMEOUT_MS 60000 // the drivers' own limits are shorter
#define KILL_TIMEOUT_MS  5000  // from SIGKILL to MSG_EXITED
#define NSCTL_EXIT_MS    10000 // nsctl's own tear-down
#define NSCTL_GRACE_MS   2000  // after SIGTERM
// Wait statuses (wait(2)): the number of a signal is that of a process it killed.
#define STATUS_KILLED SIGKILL
#define STATUS_FAILED W_EXITCODE(EXIT_FAILURE, 0)

enum run_phase { RUN_STARTING, RUN_RUNNING, RUN_STOPPING, RUN_KILLING, RUN_ENDED };

struct supervisor {
	struct rk_config *config;
	enum run_phase phase;
	int64_t deadline_ms; // of this phase on the monotonic clock, 0 = none
	struct rk_outcome *outcome;
	bool failed;   // *error says why
	bool reported; // ... and it was printed already
	struct rk_error *error;
	struct rk_state_dir dir;
	struct rk_process nsctl;
	int channel;
	int signal_fd;
	struct rk_service service;
	struct rk_message message; // the one received last
};

static void enter_phase(struct supervisor *s, enum run_phase phase, uint32_t limit_ms)
{
	s->phase = phase;
	s->deadline_ms = limit_ms ? clock_now_ms() + limit_ms : 0;
}

// Ends the run as failed; the caller has filled *s->error.
static void fail(struct supervisor *s)
{
	s->failed = true;
	enter_phase(s, RUN_ENDED, 0);
}

static void end(struct supervisor *s, int wait_status)
{
	s->outcome->wait_status = wait_status;
	enter_phase(s, RUN_ENDED, 0);
}

static void send_signal(struct supervisor *s, int signal)
{
	const struct rk_msg_number number = {.value = signal};
	int rc = msg_send(s->channel, MSG_SIGNAL, &number, sizeof(number), NULL, 0);

	// EPIPE: nsctl is ending, the loop sees that next.
	if (rc < 0 && rc != -EPIPE)
		log_warning("signal %d could not be passed on: %s", signal, strerror(-rc));
}

static void kill_command(struct supervisor *s)
{
	send_signal(s, SIGKILL);
	enter_phase(s, RUN_KILLING, KILL_TIMEOUT_MS);
}

static int write_child_pid(struct supervisor *s)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", s->service.network.child_pid);
	return state_dir_write(&s->dir, "child_pid", text, s->error);
}

// Ends with the engine locked down.
static int start_service(struct supervisor *s)
{
	bool starts_programs = lockdown_starts_programs(s->config);
	int rc;

	// Not before nsctl was started: the command keeps the limits that we were started with.
	fd_raise_limit();
	rc = lockdown_begin(s->config, &s->dir, starts_programs, s->error);
	if (rc < 0) {
		msg_close_fds(&s->message);
		return rc;
	}
	rc = service_start(&s->service, s->config, &s->dir, &s->message, s->error);
	return rc < 0 ? rc : lockdown_finish(s->config, starts_programs, s->error);
}

// The network is up: serve, then let the command start.
static void on_network(struct supervisor *s)
{
	int rc = start_service(s);

	if (rc == 0)
		rc = write_child_pid(s);
	if (rc == 0) {
		rc = msg_send(s->channel, MSG_START, NULL, 0, NULL, 0);
		if (rc < 0)
			error_errno(s->error, -rc, "start the command through nsctl");
	}
	if (rc < 0)
		fail(s);
	else
		enter_phase(s, RUN_RUNNING, 0);
}

static void on_helper(struct supervisor *s)
{
	struct rk_error e;

	if (service_set_helper(&s->service, s->config, &s->message, &e) < 0)
		log_failure(&e);
	else
		log_info("the namespace's helper was restarted");
}

// A command that cannot be executed still has an exit status, which follows; one that did not stop
// in time (EINTR) was killed by nsctl, whose timer runs beside ours: no failure of a part of us.
static void on_error(struct supervisor *s)
{
	*s->error = s->message.error;
	if (s->phase == RUN_STARTING) {
		fail(s);
		return;
	}
	log_failure(s->error);
	if (s->phase != RUN_STOPPING || s->error->code != EINTR)
		s->failed = s->reported = true;
	enter_phase(s, RUN_KILLING, KILL_TIMEOUT_MS);
}

static void on_exited(struct supervisor *s)
{
	s->outcome->not_executed = s->reported;
	s->outcome->stopped = s->phase != RUN_RUNNING;
	s->failed = false;
	end(s, s->message.number.value);
}

static void on_nsctl_gone(struct supervisor *s)
{
	char how[64] = "closed its channel and still runs";
	int status;

	if (s->phase == RUN_KILLING) {
		end(s, STATUS_KILLED);
		return;
	}
	status = process_wait(&s->nsctl, NSCTL_EXIT_MS);
	if (status >= 0)
		process_describe_status(status, how, sizeof(how));
	error_set(s->error, ECHILD, "nsctl %s before the command ended", how);
	fail(s);
}

static enum rk_msg_phase message_phase(const struct supervisor *s)
{
	return s->phase == RUN_STARTING ? PHASE_SETUP : PHASE_RUNNING;
}

static void dispatch(struct supervisor *s)
{
	switch (s->message.header.type) {
	case MSG_NETWORK:
		on_network(s);
		break;
	case MSG_HELPER:
		on_helper(s);
		break;
	case MSG_ERROR:
		on_error(s);
		break;
	case MSG_EXITED:
		on_exited(s);
		break;
	default:
		break; // message_phase() lets no other through
	}
}

static void on_channel(struct supervisor *s)
{
	int rc = msg_receive(s->channel, &s->message);

	if (rc == 0 || rc == -ECONNRESET) {
		on_nsctl_gone(s);
		return;
	}
	if (rc == -EINTR)
		return;
	if (rc < 0) {
		error_errno(s->error, -rc, "channel to nsctl");
		fail(s);
		return;
	}
	if (msg_is_legal(message_phase(s), s->message.header.type)) {
		dispatch(s);
		return;
	}
	error_set(s->error, EPROTO, "nsctl sent \"%s\" out of order",
		msg_type_name(s->message.header.type));
	msg_close_fds(&s->message);
	fail(s);
}

// A signal that was sent to us alone, or any stop signal before there is a command.
static void pass_on(struct supervisor *s, unsigned signal)
{
	bool stop = engine_signals_ask_to_stop(signal, s->phase != RUN_STARTING);

	if (s->phase == RUN_STARTING) {
		if (stop)
			end(s, (int)signal);
		return;
	}
	if (s->phase == RUN_STOPPING && stop) {
		kill_command(s);
		return;
	}
	send_signal(s, (int)signal);
	if (s->phase == RUN_RUNNING && stop && s->config->process.stop_timeout_ms > 0)
		enter_phase(s, RUN_STOPPING, s->config->process.stop_timeout_ms);
}

static void on_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (engine_signals_read(s->signal_fd, &info)) {
		enum rk_signal_action action = engine_signals_classify(&info);

		// Read it must be, or it would wake us for ever; nothing is left to ask for.
		if (s->phase >= RUN_KILLING)
			continue;
		if (action == SIGNAL_SUSPEND)
			raise(SIGSTOP);
		else if (action == SIGNAL_FORWARD || s->phase == RUN_STARTING)
			pass_on(s, info.ssi_signo);
	}
}

static void on_helper_lost(struct supervisor *s)
{
	char buffer[64];

	// Non-blocking and only a wake-up: how often it was written does not matter. No warning:
	// the helper ends with the command, too, and nsctl speaks up when it has to start another.
	if (read(service_helper_lost_fd(&s->service), buffer, sizeof(buffer)) > 0)
		log_debug("the namespace's helper ended: new connections wait for the next one");
	if (service_check(&s->service, s->error) < 0)
		fail(s);
}

// The network's own daemon is watched by nsctl, a port driver's processes by us.
static void on_backend_lost(struct supervisor *s)
{
	service_describe_death(&s->service, s->error);
	fail(s);
}

static void on_deadline(struct supervisor *s)
{
	switch (s->phase) {
	case RUN_STARTING:
		error_set(s->error, ETIMEDOUT, "nsctl did not bring the network up within %d s",
			START_TIMEOUT_MS / 1000);
		fail(s);
		break;
	case RUN_STOPPING:
		log_warning("the command did not end within its stop-timeout, killing it");
		kill_command(s);
		break;
	default:
		end(s, STATUS_KILLED);
		break;
	}
}

static int remaining_ms(const struct supervisor *s)
{
	int64_t left = s->deadline_ms - clock_now_ms();

	if (s->deadline_ms == 0)
		return -1;
	return left > 0 ? (int)left : 0;
}

// The channel goes before nsctl's pidfd: what nsctl said last counts more than that it ended.
static void serve_once(struct supervisor *s)
{
	struct pollfd fds[] = {
		{s->channel, POLLIN, 0},
		{s->signal_fd, POLLIN, 0},
		{service_helper_lost_fd(&s->service), POLLIN, 0},
		{s->nsctl.pidfd, POLLIN, 0},
		{service_backend_lost_fd(&s->service), POLLIN, 0},
		{service_owners_fd(&s->service), POLLIN, 0},
	};
	int ready = poll(fds, sizeof(fds) / sizeof(fds[0]), remaining_ms(s));

	if (ready < 0 && errno != EINTR) {
		error_errno(s->error, errno, "wait for events");
		fail(s);
	}
	if (ready == 0 && remaining_ms(s) == 0)
		on_deadline(s);
	if (ready <= 0)
		return;
	if (fds[0].revents)
		on_channel(s);
	else if (fds[3].revents)
		on_nsctl_gone(s);
	if (fds[2].revents && s->phase != RUN_ENDED)
		on_helper_lost(s);
	if (fds[4].revents && s->phase != RUN_ENDED)
		on_backend_lost(s);
	if (fds[5].revents && s->phase != RUN_ENDED)
		service_free_ended(&s->service);
	if (fds[1].revents && s->phase != RUN_ENDED)
		on_signals(s);
}

static int start(struct supervisor *s, char *const *command)
{
	struct rk_config *config = s->config;
	int rc;

	s->signal_fd = engine_signals_open();
	if (s->signal_fd < 0)
		return error_errno(s->error, -s->signal_fd, "signalfd");
	rc = state_dir_open(&s->dir, config->engine.state_dir, s->error);
	if (rc < 0)
		return rc;
	config->engine.workers = plane_choose_workers(config->engine.workers);
	rc = config_set(config, "engine", "state-dir", s->dir.path, s->error);
	if (rc == 0)
		rc = launch_nsctl(&s->nsctl, &s->channel, config, command, s->error);
	if (rc == 0)
		enter_phase(s, RUN_STARTING, START_TIMEOUT_MS);
	return rc;
}

static void tear_down(struct supervisor *s)
{
	service_stop(&s->service);
	fd_close(&s->channel);
	if (s->nsctl.pid > 0 && process_wait(&s->nsctl, NSCTL_EXIT_MS) == -ETIMEDOUT) {
		log_warning("nsctl did not end by itself, stopping it");
		process_stop(&s->nsctl, SIGTERM, NSCTL_GRACE_MS);
	}
	if (s->dir.lock_fd >= 0)
		state_dir_remove(&s->dir);
	fd_close(&s->signal_fd);
}

int supervisor_run(struct rk_config *config, char *const *command, struct rk_outcome *outcome,
	struct rk_error *e)
{
	struct supervisor s = {
		.config = config,
		.outcome = outcome,
		.error = e,
		.dir = RK_STATE_DIR_NONE,
		.nsctl = RK_PROCESS_NONE,
		.channel = -1,
		.signal_fd = -1,
	};
	int rc;

	memset(outcome, 0, sizeof(*outcome));
	rc = start(&s, command);
	while (rc == 0 && s.phase != RUN_ENDED)
		serve_once(&s);
	tear_down(&s);
	if (rc < 0)
		return rc;
	if (s.failed)
		outcome->wait_status = STATUS_FAILED;
	return s.failed && !s.reported ? -(e->code ? e->code : EIO) : 0;
}
