// mounts.c: everything that the child mounts, as a plan that is then carried out.
//
// How it works: plan[] lists the steps in their order; each says when it is wanted and whether the
// child can do without it. A step that fails and is optional leaves a debug line (the kernel
// refuses sysfs and proc where parts of the originals are covered, as inside containers).

#include "nsctl/mounts.h"
#include "base/fd.h"
#include "base/log.h"
#include "nsctl/copyup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct mount_request {
	const struct rk_config *config;
	const char *state_dir;
	bool own_netns;
};

struct mount_step {
	const char *name;
	bool (*wanted)(const struct mount_request *request);
	int (*run)(const struct mount_request *request, struct rk_error *e);
	bool optional;
};

static bool wanted_always(const struct mount_request *request)
{
	(void)request;
	return true;
}

// Not when it is detached: the command lives in the host's network.
static bool wanted_with_netns(const struct mount_request *request)
{
	return request->own_netns && !request->config->network.detach_netns;
}

static bool wanted_with_detached_netns(const struct mount_request *request)
{
	return request->own_netns && request->config->network.detach_netns;
}

static bool wanted_with_pidns(const struct mount_request *request)
{
	return request->config->process.pidns;
}

static bool wanted_with_cgroupns(const struct mount_request *request)
{
	return request->config->process.cgroupns;
}

static int set_propagation(const struct mount_request *request, struct rk_error *e)
{
	static const unsigned long flags[] = {
		[PROPAGATION_PRIVATE] = MS_PRIVATE,
		[PROPAGATION_RPRIVATE] = MS_PRIVATE | MS_REC,
		[PROPAGATION_SLAVE] = MS_SLAVE,
		[PROPAGATION_RSLAVE] = MS_SLAVE | MS_REC,
		[PROPAGATION_SHARED] = MS_SHARED,
		[PROPAGATION_RSHARED] = MS_SHARED | MS_REC,
	};

	if (mount(NULL, "/", NULL, flags[request->config->mount.propagation], NULL) < 0)
		return error_errno(e, errno, "set the mount propagation of /");
	return 0;
}

static int copy_up(const struct mount_request *request, struct rk_error *e)
{
	const struct rk_string_list *list = &request->config->mount.copy_up;

	for (size_t i = 0; i < list->count; i++) {
		int rc = copyup_directory(list->items[i], e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

// A new sysfs shows the interfaces of the new network namespace. What is mounted at
// /sys/fs/cgroup is carried over; without it the old /sys is better than the new one.
static int mount_sysfs(const struct mount_request *request, struct rk_error *e)
{
	RK_CLEANUP_FD int cgroup = open_tree(
		AT_FDCWD, "/sys/fs/cgroup", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	int code;

	(void)request;
	if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return error_errno(e, errno, "mount a new /sys");
	if (cgroup < 0)
		return 0;
	if (move_mount(cgroup, "", AT_FDCWD, "/sys/fs/cgroup", MOVE_MOUNT_F_EMPTY_PATH) == 0)
		return 0;
	code = errno;
	umount2("/sys", MNT_DETACH);
	return error_errno(e, code, "carry /sys/fs/cgroup over to the new /sys");
}

// Only the unified hierarchy shows the new namespace's root when it is mounted again. The kernel
// refuses a filesystem on top of itself (EBUSY), so something else goes between.
static int mount_cgroup(const struct mount_request *request, struct rk_error *e)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	const char *target = "/sys/fs/cgroup";
	struct statfs info;
	int code;

	(void)request;
	if (statfs(target, &info) < 0)
		return error_errno(e, errno, "%s", target);
	if (info.f_type != CGROUP2_SUPER_MAGIC)
		return 0;
	if (mount("tmpfs", target, "tmpfs", flags | MS_RDONLY, "size=4k") < 0)
		return error_errno(e, errno, "mount a tmpfs below the new %s", target);
	if (mount("cgroup2", target, "cgroup2", flags, NULL) == 0)
		return 0;
	code = errno;
	umount2(target, MNT_DETACH);
	return error_errno(e, code, "mount a new %s", target);
}

static int mount_proc(const struct mount_request *request, struct rk_error *e)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	(void)request;
	if (mount("proc", "/proc", "proc", flags, NULL) == 0)
		return 0;
	// Where the original is mounted read-only the kernel lets us have no more than that.
	if (mount("proc", "/proc", "proc", flags | MS_RDONLY, NULL) == 0)
		return 0;
	error_errno(e, errno, "mount /proc of the new pid namespace");
	return error_hint(e, "inside a container /proc is masked: run it with an unmasked /proc, "
			     "or set [process] pidns = false");
}

static bool etc_is_copied_up(const struct rk_config *config)
{
	const struct rk_string_list *list = &config->mount.copy_up;

	for (size_t i = 0; i < list->count; i++) {
		const char *path = list->items[i];

		if (strncmp(path, "/etc", 4) == 0 && path[4 + strspn(path + 4, "/")] == '\0')
			return true;
	}
	return false;
}

// In a copied-up /etc the name is a link to the host's file, or missing: an empty file of our own
// takes its place. In the host's own /etc nothing is ever changed.
static int make_mount_point(const char *path, struct rk_error *e)
{
	RK_CLEANUP_FD int fd = -1;

	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(e, errno, "replace the link %s", path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return fd < 0 ? error_errno(e, errno, "make %s", path) : 0;
}

static int bind_file(const struct mount_request *request, const char *name, struct rk_error *e)
{
	char source[PATH_MAX];
	char target[PATH_MAX];
	struct stat info;
	int rc;

	if (snprintf(source, sizeof(source), "%s/%s", request->state_dir, name) >=
		(int)sizeof(source))
		return error_errno(e, ENAMETOOLONG, "%s/%s", request->state_dir, name);
	snprintf(target, sizeof(target), "/etc/%s", name);
	rc = etc_is_copied_up(request->config) ? make_mount_point(target, e) : 0;
	if (rc < 0)
		return rc;
	if (stat(target, &info) < 0) {
		log_warning("%s is missing and cannot be made: the child does without it "
			    "(set [mount] copy-up = /etc)",
			target);
		return 0;
	}
	if (mount(source, target, NULL, MS_BIND, NULL) < 0)
		return error_errno(e, errno, "bind %s over %s", source, target);
	return 0;
}

static int bind_resolv_conf(const struct mount_request *request, struct rk_error *e)
{
	return bind_file(request, "resolv.conf", e);
}

static int bind_hosts(const struct mount_request *request, struct rk_error *e)
{
	return bind_file(request, "hosts", e);
}

// The file by which the command, and whoever enters its mount namespace, finds our network.
static int bind_netns(const struct mount_request *request, struct rk_error *e)
{
	RK_CLEANUP_FD int fd = -1;
	char target[PATH_MAX];

	if (snprintf(target, sizeof(target), "%s/netns", request->state_dir) >= (int)sizeof(target))
		return error_errno(e, ENAMETOOLONG, "%s/netns", request->state_dir);
	fd = open(target, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
	if (fd < 0)
		return error_errno(e, errno, "make %s", target);
	if (mount("/proc/self/ns/net", target, NULL, MS_BIND, NULL) < 0)
		return error_errno(e, errno, "bind the network namespace over %s", target);
	return 0;
}

static const struct mount_step plan[] = {
	{"propagation", wanted_always, set_propagation, false},
	{"copy-up", wanted_always, copy_up, false},
	{"netns", wanted_with_detached_netns, bind_netns, false},
	{"sysfs", wanted_with_netns, mount_sysfs, true},
	{"cgroup", wanted_with_cgroupns, mount_cgroup, true},
	{"proc", wanted_with_pidns, mount_proc, false},
	{"resolv.conf", wanted_with_netns, bind_resolv_conf, false},
	{"hosts", wanted_with_netns, bind_hosts, false},
};

int mounts_apply(
	const struct rk_config *config, const char *state_dir, bool own_netns, struct rk_error *e)
{
	const struct mount_request request = {config, state_dir, own_netns};

	for (size_t i = 0; i < sizeof(plan) / sizeof(plan[0]); i++) {
		const struct mount_step *step = &plan[i];
		int rc = step->wanted(&request) ? step->run(&request, e) : 0;

		if (rc < 0 && !step->optional)
			return rc;
		if (rc < 0)
			log_debug("mount step %s left out: %s", step->name, e->text);
	}
	return 0;
}
