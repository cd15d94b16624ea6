// launch.c: the host side's set-up, step by step.
//
// How it works: clone3(2) makes the child in all its namespaces at once. The host side, still with
// the caller's ids, writes the id maps, starts the network driver on the child, writes the files
// that the child mounts, and tells it to configure. Each wait for the child also watches for
// signals and for the engine's end, so a set-up can be broken off at any time.

#include "base/fd.h"
#include "base/log.h"
#include "nsctl/cgroup.h"
#include "nsctl/child.h"
#include "nsctl/command.h"
#include "nsctl/explain.h"
#include "nsctl/host_private.h"
#include "nsctl/idmap.h"
#include "nsctl/lockdown.h"
#include "nsctl/netfiles.h"
#include "nsctl/peer.h"
#include "nsctl/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

bool host_is_alone(const struct host *host)
{
	return host->options->engine < 0;
}

static int open_state_dir(struct host *host, struct rk_error *e)
{
	const char *path = host->config->engine.state_dir;

	if (host_is_alone(host))
		return state_dir_open(&host->state_dir, path, e);
	if (strlen(path) >= sizeof(host->state_dir.path))
		return error_errno(e, ENAMETOOLONG, "state directory %s", path);
	strcpy(host->state_dir.path, path);
	host->state_dir.dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (host->state_dir.dir_fd < 0)
		return error_errno(e, errno, "state directory %s", path);
	return 0;
}

static uint64_t namespace_flags(const struct host *host)
{
	const struct rk_config *config = host->config;
	uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS;

	if ((host->net.driver->flags & NET_OWN_NETNS) && !config->network.detach_netns)
		flags |= CLONE_NEWNET;
	if (config->process.pidns)
		flags |= CLONE_NEWPID;
	if (config->process.cgroupns)
		flags |= CLONE_NEWCGROUP;
	if (config->process.utsns)
		flags |= CLONE_NEWUTS;
	if (config->process.ipcns)
		flags |= CLONE_NEWIPC;
	return flags;
}

// Like fork(2): the child goes on in a copy of our memory.
static int clone_child(struct host *host, const struct child_options *child, struct rk_error *e)
{
	struct clone_args args = {
		.flags = namespace_flags(host) | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&host->child.pidfd,
		.exit_signal = SIGCHLD,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		child_main(child);
	if (pid < 0)
		return explain_clone(errno, e);
	host->child.pid = (pid_t)pid;
	return 0;
}

// The workers that want sockets of the child's network.
static unsigned count_workers(const struct host *host)
{
	const struct rk_port_driver *port = port_driver_find(host->config->port.driver);

	if (host_is_alone(host) || !(host->net.driver->flags & NET_OWN_NETNS))
		return 0;
	return port && (port->flags & PORT_DATA_PLANE) ? host->config->engine.workers : 0;
}

static int start_child(struct host *host, struct rk_error *e)
{
	struct child_options child = {
		.config = host->config,
		.driver = host->net.driver,
		.state_dir = host->state_dir.path,
		.command = host->options->command,
		.listen_fds = command_listen_fds(!host_is_alone(host)),
		.workers = count_workers(host),
		.parent_euid = geteuid(),
		.parent_egid = getegid(),
	};
	int ends[2];
	int rc = msg_channel(ends);

	if (rc < 0)
		return error_errno(e, -rc, "make the channel to the child");
	child.channel = ends[1];
	rc = clone_child(host, &child, e);
	host->child_channel = ends[0];
	fd_close(&ends[1]);
	return rc;
}

// A signal during the set-up: the ones that stop a program break it off.
static int take_setup_signal(struct host *host, struct rk_error *e)
{
	struct signalfd_siginfo info;

	while (signals_read(host->signal_fd, &info)) {
		if (signals_classify(&info) == SIGNAL_STOP_SELF)
			kill(getpid(), SIGSTOP);
		if (info.ssi_signo != SIGTERM && info.ssi_signo != SIGINT &&
			info.ssi_signo != SIGHUP && info.ssi_signo != SIGQUIT)
			continue;
		host->ended = true;
		host->exit_status = 128 + (int)info.ssi_signo;
		return error_set(e, EINTR, "stopped by signal %u", info.ssi_signo);
	}
	return 0;
}

// The engine has nothing to say before MSG_NETWORK: readable means that it ended.
static int check_engine(struct host *host, short revents, struct rk_error *e)
{
	static struct rk_message message;
	int rc;

	if (!revents)
		return 0;
	rc = peer_receive(host->options->engine, PHASE_SETUP, "engine", &message, e);
	if (rc < 0)
		return rc;
	msg_close_fds(&message);
	if (rc > 0)
		return error_set(e, EPROTO, "the engine sent a message before it was due");
	host->engine_lost = true;
	return error_set(e, EPIPE, "the engine has ended");
}

// Waits for `type` from the child while watching signals and the engine.
static int await_child(
	struct host *host, enum rk_msg_type type, struct rk_message *message, struct rk_error *e)
{
	struct pollfd fds[] = {{host->signal_fd, POLLIN, 0}, {host->child_channel, POLLIN, 0},
		{host->options->engine, POLLIN, 0}};
	int rc = 0;

	do {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return error_errno(e, errno, "wait for the child");
		if (fds[0].revents)
			rc = take_setup_signal(host, e);
		if (rc == 0)
			rc = check_engine(host, fds[2].revents, e);
		if (rc < 0)
			return rc;
	} while (!fds[1].revents);
	return peer_expect(host->child_channel, PHASE_CHILD_SETUP, type, "child", message, e);
}

static int map_ids(struct host *host, struct rk_message *message, struct rk_error *e)
{
	int rc = await_child(host, MSG_CHILD_READY, message, e);

	if (rc == 0)
		rc = idmap_write(host->child.pid, host->config->process.subid_source, e);
	if (rc == 0)
		rc = peer_send(host->child_channel, MSG_CHILD_MAPPED, NULL, 0, NULL, 0, "child", e);
	return rc;
}

static bool is_readable(int fd)
{
	struct pollfd event = {fd, POLLIN, 0};

	return poll(&event, 1, 0) > 0;
}

// Asked by a driver that waits. Child and engine have nothing to say then but that they end. The
// signals are blocked and stay pending for the signalfd.
static bool start_is_cancelled(void *context)
{
	const struct host *host = context;
	sigset_t pending;

	if (sigpending(&pending) == 0 &&
		(sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT) ||
			sigismember(&pending, SIGHUP) || sigismember(&pending, SIGQUIT)))
		return true;
	return is_readable(host->child_channel) || is_readable(host->options->engine);
}

// When the driver gave up, the error is what made it.
static int start_driver(struct host *host, struct rk_network_info *info, struct rk_error *e)
{
	static struct rk_message message;
	struct rk_net *net = &host->net;
	int rc;

	net->cancel = (struct rk_cancel){start_is_cancelled, host};
	rc = net->driver->start(net, info, e);
	if (rc != -ECANCELED)
		return rc;
	rc = take_setup_signal(host, e);
	if (rc == 0)
		rc = check_engine(host, is_readable(host->options->engine), e);
	if (rc == 0)
		rc = peer_expect(
			host->child_channel, PHASE_CHILD_SETUP, MSG_NETWORK, "child", &message, e);
	return rc < 0 ? rc : -e->code;
}

static int start_network(struct host *host, struct rk_network_info *info, struct rk_error *e)
{
	struct rk_net *net = &host->net;
	int rc;

	net->config = host->config;
	net->state_dir = host->state_dir.path;
	net->child_pid = host->child.pid;
	rc = start_driver(host, info, e);
	if (rc < 0)
		return rc;
	host->net_started = true;
	info->child_pid = host->child.pid;
	if (net->driver->flags & NET_OWN_NETNS)
		rc = netfiles_write_names(&host->state_dir, info, e);
	if (rc == 0)
		rc = netfiles_write_network(&host->state_dir, info, e);
	return rc;
}

static int configure_child(struct host *host, struct rk_message *message, struct rk_error *e)
{
	struct rk_network_info info = {.driver = ""};
	int rc = start_network(host, &info, e);

	if (rc == 0)
		rc = peer_send(host->child_channel, MSG_CHILD_CONFIGURE, &info, sizeof(info), NULL,
			0, "child", e);
	if (rc == 0)
		rc = await_child(host, MSG_NETWORK, message, e);
	return rc;
}

// The engine's next message starts the command; alone, we do.
static int report_ready(struct host *host, const struct rk_message *message, struct rk_error *e)
{
	char pid[16];
	int rc;

	host->phase = PHASE_READY;
	if (!host_is_alone(host))
		return peer_send(host->options->engine, MSG_NETWORK, &message->network,
			sizeof(message->network), message->fds, message->fd_count, "engine", e);
	snprintf(pid, sizeof(pid), "%d", host->child.pid);
	rc = state_dir_write(&host->state_dir, "child_pid", pid, e);
	if (rc < 0)
		return rc;
	host->phase = PHASE_RUNNING;
	return peer_send(host->child_channel, MSG_START, NULL, 0, NULL, 0, "child", e);
}

int launch_all(struct host *host, struct rk_error *e)
{
	static struct rk_message message;
	int rc;

	// Orphans of a child that was killed come to us, to be killed too.
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return error_errno(e, errno, "become the reaper of orphans");
	rc = host->net.driver->check(host->config, e);
	if (rc == 0)
		rc = open_state_dir(host, e);
	if (rc == 0)
		rc = start_child(host, e);
	if (rc == 0)
		rc = map_ids(host, &message, e);
	// The child's cgroup namespace keeps as its root the group that we now leave.
	if (rc == 0 && host->config->process.evacuate_cgroup2[0])
		rc = cgroup_evacuate(host->config->process.evacuate_cgroup2, e);
	if (rc == 0)
		rc = configure_child(host, &message, e);
	if (rc < 0)
		return rc;
	rc = lockdown_host(host->config, e);
	if (rc == 0)
		rc = report_ready(host, &message, e);
	msg_close_fds(&message);
	return rc;
}
