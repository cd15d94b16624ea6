// instance.c: a running instance, found through its state directory.
//
// How it works: the lock tells whether the instance lives. What is in child_pid or attached would
// not: after SIGKILL the file stays and the number may belong to somebody else.

#include "nsctl/instance.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

static int lock_is_held(const char *path, bool *held, struct rk_error *e)
{
	RK_CLEANUP_FD int fd = -1;
	char lock[PATH_MAX];

	*held = false;
	if (snprintf(lock, sizeof(lock), "%s/lock", path) >= (int)sizeof(lock))
		return error_errno(e, ENAMETOOLONG, "%s", path);
	fd = open(lock, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : error_errno(e, errno, "%s", lock);
	// Shared: two who ask at the same moment do not see each other.
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return error_errno(e, errno, "%s", lock);
	*held = true;
	return 0;
}

static pid_t read_child_pid(const char *path)
{
	char file[PATH_MAX];
	char text[32];
	long pid;

	if (snprintf(file, sizeof(file), "%s/child_pid", path) >= (int)sizeof(file) ||
		file_read_text(file, text, sizeof(text)) <= 0)
		return 0;
	pid = strtol(text, NULL, 10);
	return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

// As the engine writes it when it serves.
static void read_attached(struct instance *instance)
{
	char file[PATH_MAX];

	if (snprintf(file, sizeof(file), "%s/attached", instance->path) >= (int)sizeof(file) ||
		file_read_text(file, instance->attached, sizeof(instance->attached)) <= 0)
		instance->attached[0] = '\0';
}

int instance_find(struct instance *instance, const char *path, struct rk_error *e)
{
	bool held;
	int rc;

	instance->running = false;
	instance->child_pid = 0;
	instance->attached[0] = '\0';
	if (!realpath(path, instance->path))
		return error_errno(e, errno, "state directory %s", path);
	rc = lock_is_held(instance->path, &held, e);
	if (rc < 0 || !held)
		return rc;
	instance->child_pid = read_child_pid(instance->path);
	if (instance->child_pid == 0)
		read_attached(instance);
	instance->running = instance->child_pid > 0 || instance->attached[0];
	return 0;
}
