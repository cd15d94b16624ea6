// init.c: the child's steady state.
//
// How it works: one poll loop over the channel to the host side and a signalfd. The command is
// started by MSG_START; SIGCHLD reaps it, the helper, and orphans (we are pid 1 of the new pid
// namespace, or a subreaper). Signals to the command come as MSG_SIGNAL only: the host side has
// removed the doubles. The command's end, or EOF on the channel (the host side died), ends
// everything: in a pid namespace the kernel kills the rest when we exit, without one
// family_kill() does.
//
// The helper is replaced when it has ended, at most once a second; its new pool channels go up as
// MSG_HELPER. One that ends by itself has lost all workers: then the engine ends, and we with it
// before the second is over, or the channels did not get through (a shortage on their way), and the
// next ones may.

#include "nsctl/init.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "nsctl/command.h"
#include "nsctl/family.h"
#include "nsctl/helper.h"
#include "nsctl/lockdown.h"
#include "nsctl/peer.h"
#include "nsctl/signals.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELPER_INTERVAL_MS 1000
#define KILL_PATIENCE_MS   5000

static void close_ends(int *ends, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fd_close(&ends[i]);
}

int init_start_helper(struct init *init, int *ends, struct rk_error *e)
{
	unsigned count = init->options->workers;
	int helpers[RK_MSG_FDS_MAX];
	int rc;

	init->helper_started_ms = clock_now_ms();
	rc = helper_make_channels(ends, helpers, count, e);
	if (rc < 0)
		return rc;
	rc = helper_start(helpers, count, &init->srcip, init->options->config->engine.seccomp,
		&init->helper_pid, e);
	close_ends(helpers, count);
	if (rc < 0)
		close_ends(ends, count);
	return rc;
}

static void replace_helper(struct init *init)
{
	int ends[RK_MSG_FDS_MAX];
	struct rk_error e;
	int rc;

	rc = init_start_helper(init, ends, &e);
	if (rc == 0) {
		rc = peer_send(init->options->channel, MSG_HELPER, NULL, 0, ends,
			init->options->workers, "host side", &e);
		close_ends(ends, init->options->workers);
		init->helper_missing = false;
	}
	if (rc < 0)
		log_failure(&e);
	else
		log_warning("the helper ended and was started again, pid %d", init->helper_pid);
}

// Milliseconds until the next helper may be started; -1 = none is due.
static int helper_delay_ms(const struct init *init)
{
	int64_t delay;

	if (!init->helper_missing)
		return -1;
	delay = init->helper_started_ms + HELPER_INTERVAL_MS - clock_now_ms();
	return delay > 0 ? (int)delay : 0;
}

static void on_child_ended(struct init *init, pid_t pid, int status)
{
	if (pid == init->command.pid) {
		init->command_status = status;
		init->ended = true;
	} else if (pid == init->helper_pid) {
		init->helper_pid = -1;
		init->helper_missing = true;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			init->helper_started_ms = clock_now_ms();
	}
}

// Without a pid namespace of ours an orphan would be a zombie for the host.
static bool reaps_orphans(const struct rk_config *config)
{
	return config->process.reaper != TRISTATE_FALSE || !config->process.pidns;
}

// Takes the ends of process `pid`, -1 = of any, as far as there are some.
static void reap(struct init *init, pid_t pid)
{
	int status;
	pid_t ended;

	while ((ended = waitpid(pid, &status, WNOHANG)) > 0 || (ended < 0 && errno == EINTR)) {
		if (ended > 0)
			on_child_ended(init, ended, status);
	}
}

static void reap_one(struct init *init, pid_t pid)
{
	if (pid > 0)
		reap(init, pid);
}

static void on_signal(struct init *init)
{
	struct signalfd_siginfo info;

	while (signals_read(init->signal_fd, &info)) {
		if (signals_classify(&info) == SIGNAL_STOP_SELF)
			kill(getpid(), SIGSTOP);
	}
	if (reaps_orphans(init->options->config)) {
		reap(init, -1);
	} else {
		reap_one(init, init->command.pid);
		reap_one(init, init->helper_pid);
	}
}

// An exec that fails ends the family as a command that exits with 127 or 126 does.
static void on_start(struct init *init)
{
	const struct child_options *options = init->options;
	struct rk_error e;
	int rc = 0;

	if (init->command.pid < 0)
		rc = command_fork(options->command, options->listen_fds, true, &init->command, &e);
	if (rc == 0)
		rc = command_release(&init->command, options->command[0], &e);
	if (rc == 0) {
		init->running = true;
		lockdown_child(options->config, init->srcip.enabled);
		return;
	}
	peer_send(options->channel, MSG_ERROR, &e, sizeof(e), NULL, 0, "host side", NULL);
	init->command_status = W_EXITCODE(command_failure_status(-rc), 0);
	init->ended = true;
}

// False when the host side is gone or broke the protocol.
static bool on_message(struct init *init)
{
	static struct rk_message message;
	enum rk_msg_phase phase = init->running ? PHASE_RUNNING : PHASE_READY;
	struct rk_error e;
	int rc = peer_receive(init->options->channel, phase, "host side", &message, &e);

	if (rc < 0)
		log_failure(&e);
	if (rc <= 0)
		return false;
	msg_close_fds(&message);
	if (message.header.type == MSG_START)
		on_start(init);
	else if (message.header.type == MSG_SIGNAL && init->running)
		kill(init->command.pid, message.number.value);
	return true;
}

// One turn; false when the host side is gone.
static bool serve_once(struct init *init)
{
	struct pollfd fds[] = {{init->options->channel, POLLIN, 0}, {init->signal_fd, POLLIN, 0}};

	if (poll(fds, 2, helper_delay_ms(init)) < 0 && errno != EINTR) {
		log_error("wait for events: %s", strerror(errno));
		return false;
	}
	if (fds[1].revents)
		on_signal(init);
	if (helper_delay_ms(init) == 0 && !init->ended)
		replace_helper(init);
	return fds[0].revents && !init->ended ? on_message(init) : true;
}

void init_serve(struct init *init)
{
	bool connected = true;

	while (connected && !init->ended)
		connected = serve_once(init);
	if (!init->options->config->process.pidns) {
		size_t left = family_kill(NULL, KILL_PATIENCE_MS);

		if (left > 0)
			log_error("%zu processes could not be killed", left);
	}
	if (connected)
		peer_send_number(init->options->channel, MSG_EXITED, init->command_status,
			"host side", NULL);
}
