// netns_helper.c: `nsctl helper`: the helper of a network namespace that others have made.
//
// How it works: `rk-engine --attach` and librkengine start this. It joins the user namespace that
// owns the network namespace (unless that is ours already), then the network namespace, makes one
// channel for each worker, sends their ends to the engine as MSG_HELPER (or MSG_ERROR), and becomes
// the helper of helper.c, which ends when the engine has closed all of them.
//
// Root that joins somebody's user namespace must not lend its identity to the processes in there,
// who may trace whatever is in their namespace: it is made untraceable first, and becomes root of
// that namespace.

#include "base/fd.h"
#include "base/log.h"
#include "base/msg.h"
#include "nsctl/helper.h"
#include "nsctl/peer.h"
#include "nsctl/run.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGUMENT_COUNT 4 // helper CHANNEL-FD WORKERS PID|NETNS-FILE

// How a target is called in messages: "process 17", "/run/netns/x".
static const char *describe(const char *target, char *text, size_t size)
{
	bool is_pid = target[strspn(target, "0123456789")] == '\0';

	snprintf(text, size, "%s%s", is_pid ? "process " : "", target);
	return text;
}

static int open_netns(const char *target, int *netns, struct rk_error *e)
{
	char path[PATH_MAX], name[PATH_MAX];
	bool is_pid = target[strspn(target, "0123456789")] == '\0';
	int type;

	snprintf(path, sizeof(path), is_pid ? "/proc/%s/ns/net" : "%s", target);
	describe(target, name, sizeof(name));
	*netns = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*netns < 0) {
		error_errno(e, errno, "%s", name);
		if (e->code == EACCES || e->code == EPERM)
			error_hint(e, "attach as the user who started it, or as root");
		return -e->code;
	}
	type = ioctl(*netns, NS_GET_NSTYPE);
	if (type == CLONE_NEWNET)
		return 0;
	return error_set(e, EINVAL, "%s is not a network namespace", name);
}

// Whether `fd` is a namespace that we are in.
static bool is_own(int fd, const char *kind)
{
	struct stat own, other;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	return stat(path, &own) == 0 && fstat(fd, &other) == 0 && own.st_ino == other.st_ino &&
	       own.st_dev == other.st_dev;
}

static int become_root_inside(struct rk_error *e)
{
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return error_errno(e, errno, "drop the supplementary groups");
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return error_errno(e, errno, "become root of the user namespace");
	return 0;
}

// The user namespace that owns the network namespace gives the right to join it.
static int join_owner(int netns, const char *name, struct rk_error *e)
{
	RK_CLEANUP_FD int owner = ioctl(netns, NS_GET_USERNS);
	bool was_root = geteuid() == 0;

	if (owner < 0) {
		error_errno(e, errno, "%s: find its user namespace", name);
		return error_hint(e, "it belongs to a user namespace outside of ours");
	}
	if (is_own(owner, "user"))
		return 0;
	if (setns(owner, CLONE_NEWUSER) < 0) {
		error_errno(e, errno, "%s: join its user namespace", name);
		return error_hint(e, "attach as the user who started it, or as root");
	}
	return was_root ? become_root_inside(e) : 0;
}

static int join(const char *target, struct rk_error *e)
{
	RK_CLEANUP_FD int netns = -1;
	char name[PATH_MAX];
	int rc = open_netns(target, &netns, e);

	if (rc < 0)
		return rc;
	describe(target, name, sizeof(name));
	if (is_own(netns, "net")) {
		error_set(e, EINVAL, "%s is in the network namespace that the engine is in", name);
		return error_hint(
			e, "with a detached network namespace, attach to STATE-DIR/netns");
	}
	prctl(PR_SET_DUMPABLE, 0);
	rc = join_owner(netns, name, e);
	if (rc < 0)
		return rc;
	if (setns(netns, CLONE_NEWNET) == 0)
		return 0;
	error_errno(e, errno, "%s: join its network namespace", name);
	return e->code == EPERM
		       ? error_hint(e, "it belongs to the user namespace that we are in: only "
				       "root of that may join it")
		       : -e->code;
}

// Returns only on failure, -code.
static int serve(int channel, unsigned count, const char *target, struct rk_error *e)
{
	int workers[RK_MSG_FDS_MAX], helpers[RK_MSG_FDS_MAX];
	int rc = join(target, e);

	if (rc == 0)
		rc = helper_make_channels(workers, helpers, count, e);
	if (rc == 0)
		rc = peer_send(channel, MSG_HELPER, NULL, 0, workers, count, "engine", e);
	if (rc < 0)
		return rc;
	helper_serve(helpers, count, NULL, TRISTATE_AUTO, 0);
}

static int read_number(const char *text, int least, int most)
{
	char *end;
	long value = strtol(text, &end, 10);

	return *end || end == text || value < least || value > most ? -EINVAL : (int)value;
}

int netns_helper_main(int argc, char **argv)
{
	int channel = argc == ARGUMENT_COUNT ? read_number(argv[1], 3, INT_MAX) : -EINVAL;
	int count = argc == ARGUMENT_COUNT ? read_number(argv[2], 1, RK_MSG_FDS_MAX) : -EINVAL;
	struct rk_error e = {0};

	if (channel < 0 || count < 0 || fd_set_cloexec(channel, true) < 0) {
		log_error("helper: started by rk-engine --attach only");
		return 1;
	}
	serve(channel, (unsigned)count, argv[3], &e);
	if (peer_send(channel, MSG_ERROR, &e, sizeof(e), NULL, 0, "engine", NULL) < 0)
		log_failure(&e);
	return 1;
}
