// cgroup.c: make room in our cgroup (version 2) for groups that the command will make.

#include "nsctl/cgroup.h"
#include "base/fd.h"
#include "base/log.h"
#include "nsctl/cgroup_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOVE_ROUNDS_MAX 100 // a process may fork while it is moved
#define FILE_TEXT_MAX   (256u << 10)

static int find_own_path(char *path, size_t size, struct rk_error *e)
{
	RK_CLEANUP_FREE char *text = malloc(FILE_TEXT_MAX);
	ssize_t length;

	if (!text)
		return error_errno(e, ENOMEM, "read /proc/self/cgroup");
	length = file_read_text("/proc/self/cgroup", text, FILE_TEXT_MAX);
	if (length < 0)
		return error_errno(e, (int)-length, "read /proc/self/cgroup");
	if (cgroup_parse_own(text, (size_t)length, path, size) == 0)
		return 0;
	return error_set(e, ENOTSUP, "this process is in no cgroup of version 2 that it can see");
}

static int find_mount(char root[PATH_MAX], char target[PATH_MAX], struct rk_error *e)
{
	RK_CLEANUP_FREE char *text = malloc(FILE_TEXT_MAX);
	ssize_t length;

	if (!text)
		return error_errno(e, ENOMEM, "read /proc/self/mountinfo");
	length = file_read_text("/proc/self/mountinfo", text, FILE_TEXT_MAX);
	if (length < 0)
		return error_errno(e, (int)-length, "read /proc/self/mountinfo");
	if (cgroup_parse_mount(text, (size_t)length, root, target, PATH_MAX) == 0)
		return 0;
	return error_set(e, ENOTSUP, "no cgroup tree of version 2 is mounted");
}

// Opens the directory of our group. The descriptor or -code.
static int open_own(struct rk_error *e)
{
	char own[PATH_MAX], root[PATH_MAX], target[PATH_MAX], path[2 * PATH_MAX];
	int rc = find_own_path(own, sizeof(own), e);
	int fd;

	if (rc == 0)
		rc = find_mount(root, target, e);
	if (rc < 0)
		return rc;
	if (cgroup_join(own, root, target, path, sizeof(path)) < 0)
		return error_set(
			e, ENOTSUP, "our cgroup %s is not below %s, which is mounted", own, root);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_errno(e, errno, "cgroup %s", path) : fd;
}

static ssize_t read_at(int dir, const char *name, char *text, size_t size)
{
	RK_CLEANUP_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd_read_text(fd, text, size);
}

static int write_at(int dir, const char *name, const char *text)
{
	RK_CLEANUP_FD int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
}

// One round; returns how many processes there were, or -errno.
static int move_round(int from, int to, char *text)
{
	ssize_t length = read_at(from, "cgroup.procs", text, FILE_TEXT_MAX);
	char *save = NULL;
	int count = 0;

	if (length < 0)
		return (int)length;
	for (char *pid = strtok_r(text, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save)) {
		int rc = write_at(to, "cgroup.procs", pid);

		if (rc < 0 && rc != -ESRCH)
			return rc;
		count++;
	}
	return count;
}

static int move_all(int from, int to)
{
	RK_CLEANUP_FREE char *text = malloc(FILE_TEXT_MAX);
	int count = text ? 1 : -ENOMEM;

	for (int round = 0; count > 0 && round < MOVE_ROUNDS_MAX; round++)
		count = move_round(from, to, text);
	return count > 0 ? -EBUSY : count;
}

// One by one: a controller that cannot be handed down must not keep the others back.
static void enable_controllers(int dir)
{
	char text[1024], request[128];
	char *save = NULL;

	if (read_at(dir, "cgroup.controllers", text, sizeof(text)) < 0)
		return;
	for (char *name = strtok_r(text, " \n", &save); name; name = strtok_r(NULL, " \n", &save)) {
		int rc;

		snprintf(request, sizeof(request), "+%s", name);
		rc = write_at(dir, "cgroup.subtree_control", request);
		if (rc < 0)
			log_warning("the cgroup controller %s cannot be handed down: %s", name,
				strerror(-rc));
	}
}

int cgroup_evacuate(const char *name, struct rk_error *e)
{
	RK_CLEANUP_FD int own = open_own(e);
	RK_CLEANUP_FD int group = -1;
	int rc;

	if (own < 0)
		return error_wrap(e, "[process] evacuate-cgroup2");
	if (mkdirat(own, name, 0755) == 0 || errno == EEXIST)
		group = openat(own, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = group < 0 ? -errno : move_all(own, group);
	if (rc < 0) {
		error_errno(e, -rc, "[process] evacuate-cgroup2: move to the group %s", name);
		return error_hint(e, "our cgroup must belong to the user: start it by "
				     "systemd-run --user --scope -p Delegate=yes");
	}
	enable_controllers(own);
	return 0;
}
