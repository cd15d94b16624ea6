// host.c: the host side's steady state, and the end of everything.
//
// How it works: one poll loop over the signalfd, the channels to child and engine, and the pidfds
// of the child and of the network daemon. Each event either passes something on or ends the run:
//
//	signal, MSG_SIGNAL      on to the child, once. SIGTERM and SIGINT also start the stop timer
//	                        ([process] stop-timeout); when it fires, or with a second SIGTERM,
//	                        everything is killed. A stop-timeout of 0 is none.
//	MSG_EXITED              the run is over, with the command's exit status.
//	MSG_ERROR, child died,  one error, exit status 1 (127 or 126 follow as MSG_EXITED when the
//	network process died    command could not be executed).
//	engine gone             everything is killed at once.
//
// host_end() undoes whatever exists by then, in the reverse order of its making.

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "nsctl/family.h"
#include "nsctl/host_private.h"
#include "nsctl/peer.h"
#include "nsctl/signals.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

// The same signal through the engine and directly (a whole group was signalled) is one signal.
#define SIGNAL_ECHO_MS   200
#define CHILD_END_MS     6000 // the child gives its descendants 5000 ms
#define KILL_PATIENCE_MS 5000
#define CHILD_STATUS_MS  500 // between the end of its channel and its own

static void report(struct host *host, const struct rk_error *e)
{
	if (host_is_alone(host)) {
		log_failure(e);
		return;
	}
	if (!host->engine_lost &&
		msg_send(host->options->engine, MSG_ERROR, e, sizeof(*e), NULL, 0) < 0)
		log_failure(e);
}

static int kill_all_now(struct host *host, struct rk_error *e)
{
	host->ended = true;
	host->exit_status = 128 + SIGKILL;
	return error_set(e, EINTR, "the command did not stop in time, everything is killed");
}

static bool is_echo(struct host *host, int number, bool from_engine)
{
	int64_t now = clock_now_ms();
	bool echo = host->last_signal.number == number &&
		    host->last_signal.from_engine != from_engine &&
		    now - host->last_signal.time_ms < SIGNAL_ECHO_MS;

	host->last_signal.number = number;
	host->last_signal.from_engine = from_engine;
	host->last_signal.time_ms = now;
	return echo;
}

static int forward_signal(struct host *host, int number, bool from_engine, struct rk_error *e)
{
	bool stops = (number == SIGTERM || number == SIGINT) &&
		     host->config->process.stop_timeout_ms > 0;

	if (is_echo(host, number, from_engine))
		return 0;
	if (number == SIGTERM && host->kill_deadline_ms != 0)
		return kill_all_now(host, e);
	if (stops && host->kill_deadline_ms == 0)
		host->kill_deadline_ms = clock_now_ms() + host->config->process.stop_timeout_ms;
	return peer_send_number(host->child_channel, MSG_SIGNAL, number, "child", e);
}

static int on_signals(struct host *host, struct rk_error *e)
{
	struct signalfd_siginfo info;
	int rc = 0;

	while (rc == 0 && signals_read(host->signal_fd, &info)) {
		switch (signals_classify(&info)) {
		case SIGNAL_FORWARD:
			rc = forward_signal(host, (int)info.ssi_signo, false, e);
			break;
		case SIGNAL_STOP_SELF:
			kill(getpid(), SIGSTOP);
			break;
		case SIGNAL_IGNORE:
		case SIGNAL_REAP: // the child's end is seen by its pidfd
			break;
		}
	}
	return rc;
}

static void on_exited(struct host *host, int wait_status)
{
	host->ended = true;
	host->exit_status = process_exit_code(wait_status);
	if (!host_is_alone(host))
		peer_send_number(host->options->engine, MSG_EXITED, wait_status, "engine", NULL);
}

static int describe_child_end(struct host *host, struct rk_error *e)
{
	pid_t pid = host->child.pid;
	char how[64];
	int status = process_wait(&host->child, CHILD_STATUS_MS);

	return error_set(e, EPIPE, "the child process %d, root of the namespaces, %s", pid,
		status < 0 ? "has closed its channel"
			   : process_describe_status(status, how, sizeof(how)));
}

// The engine gets the channels of a new helper. Where they do not get through, the helper ends for
// want of workers, and there will be another.
static void hand_on_helper(struct host *host, const struct rk_message *message)
{
	struct rk_error e;

	if (!host_is_alone(host) && peer_send(host->options->engine, MSG_HELPER, NULL, 0,
					    message->fds, message->fd_count, "engine", &e) < 0)
		log_failure(&e);
}

static int on_child_message(struct host *host, struct rk_error *e)
{
	static struct rk_message message;
	int rc = peer_receive(host->child_channel, PHASE_RUNNING, "child", &message, e);

	if (rc == 0)
		return describe_child_end(host, e);
	if (rc < 0)
		return rc;
	if (message.header.type == MSG_EXITED)
		on_exited(host, message.number.value);
	else if (message.header.type == MSG_ERROR)
		report(host, &message.error); // MSG_EXITED or EOF follows
	else if (message.header.type == MSG_HELPER)
		hand_on_helper(host, &message);
	msg_close_fds(&message);
	return 0;
}

static int on_engine_message(struct host *host, struct rk_error *e)
{
	static struct rk_message message;
	int rc = peer_receive(host->options->engine, host->phase, "engine", &message, e);

	if (rc == 0) {
		host->engine_lost = true;
		return error_set(e, EPIPE, "the engine has ended");
	}
	if (rc < 0)
		return rc;
	msg_close_fds(&message);
	switch (message.header.type) {
	case MSG_START:
		host->phase = PHASE_RUNNING;
		return peer_send(host->child_channel, MSG_START, NULL, 0, NULL, 0, "child", e);
	case MSG_SIGNAL:
		return forward_signal(host, message.number.value, true, e);
	default:
		return error_set(e, EPROTO, "unexpected message '%s' from the engine",
			msg_type_name(message.header.type));
	}
}

static int describe_network_end(struct host *host, struct rk_error *e)
{
	net_describe_death(&host->net, e);
	return error_wrap(e, "the network is gone");
}

static int poll_timeout_ms(const struct host *host)
{
	int64_t left;

	if (host->kill_deadline_ms == 0)
		return -1;
	left = host->kill_deadline_ms - clock_now_ms();
	return left < 0 ? 0 : (int)left;
}

// The channels come before the pidfds: a dying child's last message says why.
static int serve_once(struct host *host, struct rk_error *e)
{
	struct pollfd fds[] = {{host->signal_fd, POLLIN, 0}, {host->child_channel, POLLIN, 0},
		{host->options->engine, POLLIN, 0}, {host->net.daemon.pidfd, POLLIN, 0},
		{host->net.relay.pidfd, POLLIN, 0}};
	int rc = 0;

	if (poll(fds, 5, poll_timeout_ms(host)) < 0)
		return errno == EINTR ? 0 : error_errno(e, errno, "wait for events");
	if (fds[1].revents)
		rc = on_child_message(host, e);
	if (rc == 0 && fds[0].revents)
		rc = on_signals(host, e);
	if (rc == 0 && fds[2].revents && !host->ended)
		rc = on_engine_message(host, e);
	if (rc == 0 && (fds[3].revents || fds[4].revents) && !host->ended)
		rc = describe_network_end(host, e);
	if (rc == 0 && !host->ended && host->kill_deadline_ms != 0 && poll_timeout_ms(host) == 0)
		rc = kill_all_now(host, e);
	return rc;
}

// EOF tells the child to kill everything below it. When somebody waits for us to be gone at once,
// or a pid namespace does the work, it is killed straight away; what is left comes to us.
static void end_child(struct host *host)
{
	bool at_once = host->config->process.pidns;

	fd_close(&host->child_channel);
	if (host->child.pid < 0)
		return;
	if (at_once || process_wait(&host->child, CHILD_END_MS) == -ETIMEDOUT)
		process_stop(&host->child, SIGKILL, CHILD_END_MS);
}

static void host_end(struct host *host)
{
	size_t left;

	if (host->engine_lost && host->net_started && host->net.daemon.pidfd >= 0)
		pidfd_send_signal(host->net.daemon.pidfd, SIGKILL, NULL, 0);
	end_child(host);
	if (host->net_started)
		host->net.driver->stop(&host->net);
	left = family_kill(family_is_foreign, KILL_PATIENCE_MS);
	if (left > 0)
		log_error("%zu processes could not be killed", left);
	if (host_is_alone(host))
		state_dir_remove(&host->state_dir);
	else
		fd_close(&host->state_dir.dir_fd);
	fd_close(&host->signal_fd);
}

// What broke the set-up here may only follow from a failure of the child, whose message about it
// waits unread.
static void prefer_child_error(const struct host *host, struct rk_error *e)
{
	static struct rk_message message;
	struct pollfd channel = {host->child_channel, POLLIN, 0};

	if (host->ended || host->engine_lost)
		return;
	while (poll(&channel, 1, 0) > 0 && msg_receive(host->child_channel, &message) > 0) {
		msg_close_fds(&message);
		if (message.header.type == MSG_ERROR)
			*e = message.error;
	}
}

static int run_phases(struct host *host, struct rk_error *e)
{
	int rc;

	host->signal_fd = signals_open();
	if (host->signal_fd < 0)
		return error_errno(e, -host->signal_fd, "make a signalfd");
	rc = launch_all(host, e);
	if (rc < 0)
		prefer_child_error(host, e);
	while (rc == 0 && !host->ended)
		rc = serve_once(host, e);
	return rc;
}

int host_run(const struct host_options *options)
{
	struct host host = {
		.options = options,
		.config = options->config,
		.state_dir = RK_STATE_DIR_NONE,
		.net = {.driver = net_driver_find(options->config->network.driver),
			.daemon = RK_PROCESS_NONE,
			.relay = RK_PROCESS_NONE},
		.child = RK_PROCESS_NONE,
		.child_channel = -1,
		.signal_fd = -1,
		.phase = PHASE_SETUP,
		.exit_status = 1,
	};
	struct rk_error e;

	if (!host.net.driver) {
		error_set(&e, EINVAL, "[network] driver: %s is unknown, allowed: %s",
			options->config->network.driver, net_driver_names());
		report(&host, &e);
		return 1;
	}
	if (run_phases(&host, &e) < 0)
		report(&host, &e);
	host_end(&host);
	return host.exit_status;
}
