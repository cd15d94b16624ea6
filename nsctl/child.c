// child.c: from clone(2) to the steady state, in the child.
//
// How it works: the child exists in all its namespaces from birth, but owns no id until the host
// side has written the maps (MSG_CHILD_MAPPED). Then it becomes root in there and waits for the
// network's description (MSG_CHILD_CONFIGURE), mounts, configures interfaces, starts the helper and
// answers MSG_NETWORK. The first failure goes up as MSG_ERROR and ends the child.

#include "nsctl/child.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/netlink.h"
#include "nsctl/explain.h"
#include "nsctl/family.h"
#include "nsctl/init.h"
#include "nsctl/mounts.h"
#include "nsctl/peer.h"
#include "nsctl/signals.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

// Copies of the host side's descriptors: while we held them, its end would go unnoticed, and the
// state directory would stay locked after it.
static void close_inherited(const struct child_options *options)
{
	int *keep = calloc(options->listen_fds + 1, sizeof(*keep));

	if (!keep)
		return;
	keep[0] = options->channel;
	for (unsigned i = 0; i < options->listen_fds; i++)
		keep[1 + i] = 3 + (int)i;
	family_close_fds(keep, options->listen_fds + 1);
	free(keep);
}

static int become_root(const struct child_options *options, struct rk_error *e)
{
	if (setresgid(0, 0, 0) < 0)
		return error_errno(e, errno, "become group 0 of the user namespace");
	if (setresuid(0, 0, 0) < 0)
		return error_errno(e, errno, "become user 0 of the user namespace");
	// After the change of ids, which clears the setting. In a pid namespace our death is
	// everybody's; without one we must live to see EOF and kill the rest.
	if (options->config->process.pidns)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	else if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return error_errno(e, errno, "become the reaper of orphans");
	return 0;
}

// The names are RootlessKit's: launchers and rootlessctl look for them.
static int set_environment(const struct child_options *options, struct rk_error *e)
{
	char euid[16];
	char egid[16];

	snprintf(euid, sizeof(euid), "%u", options->parent_euid);
	snprintf(egid, sizeof(egid), "%u", options->parent_egid);
	if (setenv("ROOTLESSKIT_STATE_DIR", options->state_dir, 1) < 0 ||
		setenv("ROOTLESSKIT_PARENT_EUID", euid, 1) < 0 ||
		setenv("ROOTLESSKIT_PARENT_EGID", egid, 1) < 0)
		return error_errno(e, errno, "set the environment of the command");
	return 0;
}

static int configure_network(
	const struct child_options *options, const struct rk_network_info *info, struct rk_error *e)
{
	int rc;

	if (!(options->driver->flags & NET_OWN_NETNS))
		return 0;
	rc = link_set_up("lo", e);
	if (rc < 0)
		return rc;
	if (options->driver->configure)
		return options->driver->configure(info, e);
	return net_configure_static(info, e);
}

static int apply(
	const struct child_options *options, const struct rk_network_info *info, struct rk_error *e)
{
	bool own_netns = options->driver->flags & NET_OWN_NETNS;
	int rc = mounts_apply(options->config, options->state_dir, own_netns, e);

	return rc < 0 ? explain_denied(e) : configure_network(options, info, e);
}

// Sockets for clients' own addresses are for the engine's data plane alone.
static void prepare_source_address(struct init *init, struct rk_network_info *info)
{
	const struct child_options *options = init->options;

	if (options->workers > 0 && options->driver->flags & NET_OWN_NETNS &&
		options->config->port.source_ip != SOURCE_IP_OFF)
		srcip_set_up(&init->srcip, options->config->engine.udp_idle_timeout_ms, info);
}

static int announce(struct init *init, const struct rk_network_info *info, struct rk_error *e)
{
	const struct child_options *options = init->options;
	int ends[RK_MSG_FDS_MAX];
	int rc = 0;

	if (options->workers > 0)
		rc = init_start_helper(init, ends, e);
	if (rc < 0)
		return rc;
	rc = peer_send(options->channel, MSG_NETWORK, info, sizeof(*info), ends, options->workers,
		"host side", e);
	for (unsigned i = 0; i < options->workers; i++)
		fd_close(&ends[i]);
	return rc;
}

// A way back into the host's network there is none: the command's process is forked before we
// leave it.
static int leave_network(struct init *init, struct rk_error *e)
{
	const struct child_options *options = init->options;
	int rc;

	if (!options->config->network.detach_netns)
		return 0;
	rc = command_fork(options->command, options->listen_fds, true, &init->command, e);
	if (rc < 0)
		return rc;
	if (unshare(CLONE_NEWNET) < 0)
		return error_errno(e, errno, "make a network namespace");
	return 0;
}

static int set_up(struct init *init, struct rk_error *e)
{
	static struct rk_message message;
	const struct child_options *options = init->options;
	int channel = options->channel;
	int rc = set_environment(options, e);

	if (rc == 0)
		rc = leave_network(init, e);
	if (rc == 0)
		rc = peer_send(channel, MSG_CHILD_READY, NULL, 0, NULL, 0, "host side", e);

	if (rc == 0)
		rc = peer_expect(
			channel, PHASE_CHILD_SETUP, MSG_CHILD_MAPPED, "host side", &message, e);
	if (rc == 0)
		rc = become_root(options, e);
	if (rc == 0)
		rc = peer_expect(
			channel, PHASE_CHILD_SETUP, MSG_CHILD_CONFIGURE, "host side", &message, e);
	if (rc == 0)
		rc = apply(options, &message.network, e);
	if (rc == 0)
		prepare_source_address(init, &message.network);
	if (rc == 0)
		rc = announce(init, &message.network, e);
	return rc;
}

void child_main(const struct child_options *options)
{
	struct init init = {
		.options = options, .command = COMMAND_NONE, .helper_pid = -1, .srcip = SRCIP_NONE};
	struct rk_error e;
	int rc;

	prctl(PR_SET_NAME, "nsctl-child");
	close_inherited(options);
	init.signal_fd = signals_open();
	if (init.signal_fd < 0)
		rc = error_errno(&e, -init.signal_fd, "make a signalfd");
	else
		rc = set_up(&init, &e);
	if (rc < 0) {
		peer_send(options->channel, MSG_ERROR, &e, sizeof(e), NULL, 0, "host side", NULL);
		_exit(1);
	}
	init_serve(&init);
	_exit(0);
}
