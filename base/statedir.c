// statedir.c: the state directory: made, locked, cleaned, removed.
//
// How it works: the flock on the file `lock` says who owns the directory, and it is the last thing
// to be unlinked. A process that opened the file before it was unlinked gets a lock that means
// nothing: it sees the link count 0 and starts over. What is removed is reached from the
// directory's descriptor only, one component a time, without following a symbolic link or
// entering a mount, so a hostile or forgotten entry never leads out of it.

#include "base/statedir.h"
#include "base/fd.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_NAME        "lock"
#define LOCK_TRIES       8
#define LOCK_PATIENCE_MS 500
#define LOCK_PAUSE_MS    10
#define REMOVE_DEPTH_MAX 64
// The longest name that is a socket in the directory must still fit a socket address.
#define STATE_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/api.sock"))

static void directory_cleanup(DIR **stream)
{
	if (*stream)
		closedir(*stream);
}

// One tree that is being removed: what must not be left behind or crossed, and the first failure.
struct removal {
	const char *path;
	uint64_t mount_id;
	struct rk_error *e;
};

static int mount_id_of(int fd, uint64_t *id)
{
	struct statx info;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) < 0)
		return -errno;
	*id = info.stx_mask & STATX_MNT_ID ? info.stx_mnt_id : 0;
	return 0;
}

static int remove_contents(
	const struct removal *removal, int dir_fd, const char *keep, unsigned depth);

static int remove_directory(
	const struct removal *removal, int parent_fd, const char *name, unsigned depth)
{
	RK_CLEANUP_FD int fd =
		openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	uint64_t mount_id;
	int rc;

	if (fd < 0)
		return error_errno(removal->e, errno, "%s: open %s", removal->path, name);
	rc = mount_id_of(fd, &mount_id);
	if (rc < 0)
		return error_errno(removal->e, -rc, "%s: statx %s", removal->path, name);
	if (mount_id != removal->mount_id) {
		error_set(removal->e, EBUSY, "%s: something is mounted on %s in it", removal->path,
			name);
		return error_hint(removal->e, "umount it first");
	}
	rc = remove_contents(removal, fd, NULL, depth + 1);
	if (rc < 0)
		return rc;
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0)
		return error_errno(removal->e, errno, "%s: remove %s", removal->path, name);
	return 0;
}

static int remove_entry(const struct removal *removal, int dir_fd, const char *name, unsigned depth)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return error_errno(removal->e, errno, "%s: remove %s", removal->path, name);
	return remove_directory(removal, dir_fd, name, depth);
}

// Removes every entry of dir_fd but `keep` (NULL: all). 0, or -code at the first that stays.
static int remove_contents(
	const struct removal *removal, int dir_fd, const char *keep, unsigned depth)
{
	__attribute__((cleanup(directory_cleanup))) DIR *stream = NULL;
	RK_CLEANUP_FD int list_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;

	if (depth > REMOVE_DEPTH_MAX)
		return error_set(removal->e, ELOOP, "%s: nested deeper than %d directories",
			removal->path, REMOVE_DEPTH_MAX);
	stream = list_fd < 0 ? NULL : fdopendir(list_fd);
	if (!stream)
		return error_errno(removal->e, errno, "%s: list", removal->path);
	fd_take(&list_fd); // closedir() closes it
	while ((errno = 0, entry = readdir(stream))) {
		const char *name = entry->d_name;
		int rc;

		if (!strcmp(name, ".") || !strcmp(name, "..") || (keep && !strcmp(name, keep)))
			continue;
		rc = remove_entry(removal, dir_fd, name, depth);
		if (rc < 0)
			return rc;
	}
	return errno ? error_errno(removal->e, errno, "%s: list", removal->path) : 0;
}

static int clean(const struct rk_state_dir *dir, struct rk_error *e)
{
	struct removal removal = {.path = dir->path, .e = e};
	int rc = mount_id_of(dir->dir_fd, &removal.mount_id);

	if (rc < 0)
		return error_errno(e, -rc, "%s: statx", dir->path);
	return remove_contents(&removal, dir->dir_fd, LOCK_NAME, 0);
}

// No room, or none that may be written to: elsewhere there is.
static int hint_full(struct rk_error *e)
{
	if (e->code != ENOSPC && e->code != EDQUOT && e->code != EROFS)
		return -e->code;
	return error_hint(e,
		"choose an [engine] state-dir where there is room to write, such as in "
		"$XDG_RUNTIME_DIR");
}

static int check_length(const char *path, struct rk_error *e)
{
	if (strlen(path) <= STATE_PATH_MAX)
		return 0;
	error_set(e, ENAMETOOLONG,
		"%s: %zu bytes, but a state directory has at most %zu (its api.sock is a UNIX "
		"socket)",
		path, strlen(path), STATE_PATH_MAX);
	return error_hint(e, "choose a shorter [engine] state-dir");
}

static int make_fresh(struct rk_state_dir *dir, struct rk_error *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int rc;

	if (!runtime || runtime[0] != '/' || access(runtime, W_OK | X_OK) < 0)
		runtime = "/tmp";
	snprintf(dir->path, sizeof(dir->path), "%s/rk-engine-XXXXXX", runtime);
	rc = check_length(dir->path, e);
	if (rc < 0)
		return rc;
	if (!mkdtemp(dir->path))
		return error_errno(e, errno, "%s: make a state directory", runtime);
	return 0;
}

static int make_absolute(char *out, size_t size, const char *path, struct rk_error *e)
{
	char here[PATH_MAX];
	size_t length;
	int written;

	if (path[0] == '/') {
		written = snprintf(out, size, "%s", path);
	} else {
		if (!getcwd(here, sizeof(here)))
			return error_errno(e, errno, "working directory");
		written = snprintf(out, size, "%s/%s", here, path);
	}
	if (written >= (int)size)
		return error_set(e, ENAMETOOLONG, "%.64s...: path too long", path);
	length = strlen(out);
	while (length > 1 && out[length - 1] == '/')
		out[--length] = '\0';
	return check_length(out, e);
}

// mkdir -p with mode 0700. *made: the directory was not there before.
static int make_with_parents(const char *path, bool *made, struct rk_error *e)
{
	char part[PATH_MAX];

	for (size_t i = 1; i <= strlen(path); i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		*made = mkdir(part, 0700) == 0;
		if (*made || errno == EEXIST)
			continue;
		error_errno(e, errno, "%s: make directory %s", path, part);
		return hint_full(e);
	}
	return 0;
}

// Whether `dir` is the directory `path` or one above it, up to the root, whatever it is called by.
// 1, 0 (also when that cannot be reached: then it cannot be emptied, either), or -errno.
static int is_at_or_above(const struct stat *dir, const char *path)
{
	RK_CLEANUP_FD int at = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat below = {0};
	struct stat info;

	while (at >= 0 && fstat(at, &info) == 0) {
		int above;

		if (info.st_ino == dir->st_ino && info.st_dev == dir->st_dev)
			return 1;
		if (info.st_ino == below.st_ino && info.st_dev == below.st_dev)
			return 0; // the root is its own parent
		below = info;
		above = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		fd_close(&at);
		at = above;
	}
	return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
}

// Everything in a state directory is removed: not a place where people keep things.
static int refuse_precious(
	const struct rk_state_dir *dir, const struct stat *info, struct rk_error *e)
{
	const char *home = getenv("HOME");
	int rc = is_at_or_above(info, "/");

	if (rc == 0 && home)
		rc = is_at_or_above(info, home);
	if (rc < 0)
		return error_errno(e, -rc, "%s: look for the home directory in it", dir->path);
	if (rc == 0)
		return 0;
	error_set(e, EINVAL,
		"%s: cannot be the state directory, which is emptied: the home directory is in it",
		dir->path);
	return error_hint(e, "choose another [engine] state-dir");
}

static int open_directory(struct rk_state_dir *dir, struct rk_error *e)
{
	struct stat info;
	int rc;

	dir->dir_fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->dir_fd < 0 || fstat(dir->dir_fd, &info) < 0)
		return error_errno(e, errno, "%s: state directory", dir->path);
	rc = refuse_precious(dir, &info, e);
	if (rc < 0)
		return rc;
	if (info.st_uid != geteuid()) {
		error_set(e, EPERM, "%s: the state directory belongs to uid %u, not to %u",
			dir->path, info.st_uid, geteuid());
		return error_hint(e, "choose another [engine] state-dir, or chown it");
	}
	return 0;
}

static int describe_holder(const struct rk_state_dir *dir, struct rk_error *e)
{
	char pid[16] = "";

	if (pread(dir->lock_fd, pid, sizeof(pid) - 1, 0) < 0)
		pid[0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	error_set(e, EBUSY, "%s: the state directory is in use by pid %s", dir->path,
		pid[0] ? pid : "(unknown)");
	return error_hint(e, "stop that process, or choose another [engine] state-dir");
}

static int write_holder(const struct rk_state_dir *dir, struct rk_error *e)
{
	char pid[16];
	int length = snprintf(pid, sizeof(pid), "%d\n", getpid());

	if (ftruncate(dir->lock_fd, 0) == 0 &&
		pwrite(dir->lock_fd, pid, (size_t)length, 0) == length)
		return 0;
	error_errno(e, errno, "%s/" LOCK_NAME ": write", dir->path);
	return hint_full(e);
}

// A process that was killed, or a look at whether there is one (nsctl status), has the lock for a
// moment only. 0 or -errno.
static int lock_patiently(int fd)
{
	for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_ms += LOCK_PAUSE_MS) {
		if (errno != EWOULDBLOCK || waited_ms >= LOCK_PATIENCE_MS)
			return -errno;
		poll(NULL, 0, LOCK_PAUSE_MS);
	}
	return 0;
}

// -ESTALE: the directory was being removed by its last owner; make it again.
static int take_lock(struct rk_state_dir *dir, struct rk_error *e)
{
	struct stat info;
	int rc;

	dir->lock_fd =
		openat(dir->dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (dir->lock_fd < 0 && errno == ENOENT)
		return -ESTALE;
	if (dir->lock_fd < 0) {
		error_errno(e, errno, "%s/" LOCK_NAME, dir->path);
		return hint_full(e);
	}
	rc = lock_patiently(dir->lock_fd);
	if (rc == -EWOULDBLOCK)
		return describe_holder(dir, e);
	if (rc < 0)
		return error_errno(e, -rc, "%s/" LOCK_NAME ": lock", dir->path);
	if (fstat(dir->lock_fd, &info) < 0)
		return error_errno(e, errno, "%s/" LOCK_NAME, dir->path);
	return info.st_nlink == 0 ? -ESTALE : write_holder(dir, e);
}

static void release(struct rk_state_dir *dir)
{
	fd_close(&dir->lock_fd);
	fd_close(&dir->dir_fd);
}

static int open_and_lock(struct rk_state_dir *dir, bool *made, struct rk_error *e)
{
	int rc = -ESTALE;

	for (int i = 0; i < LOCK_TRIES && rc == -ESTALE; i++) {
		release(dir);
		rc = make_with_parents(dir->path, made, e);
		if (rc == 0)
			rc = open_directory(dir, e);
		if (rc == 0)
			rc = take_lock(dir, e);
	}
	if (rc == -ESTALE)
		return error_set(e, ESTALE, "%s: the state directory keeps vanishing", dir->path);
	return rc;
}

// After a failure: what was `made` here does not stay. The lock is unlinked only by who holds it,
// and only while it is the one that others see.
static void abandon(struct rk_state_dir *dir, bool made)
{
	struct stat info;

	if (dir->dir_fd < 0 || fstat(dir->dir_fd, &info) < 0 || info.st_uid != geteuid())
		return;
	if (dir->lock_fd >= 0 && flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0 &&
		fstat(dir->lock_fd, &info) == 0 && info.st_nlink > 0)
		unlinkat(dir->dir_fd, LOCK_NAME, 0);
	if (made)
		rmdir(dir->path); // refused when there is anything in it
}

int state_dir_open(struct rk_state_dir *dir, const char *path, struct rk_error *e)
{
	bool made = false;
	int rc;

	*dir = RK_STATE_DIR_NONE;
	rc = path[0] ? make_absolute(dir->path, sizeof(dir->path), path, e) : make_fresh(dir, e);
	if (rc == 0)
		rc = open_and_lock(dir, &made, e);
	if (rc == 0)
		rc = clean(dir, e);
	if (rc < 0) {
		abandon(dir, made || !path[0]);
		release(dir);
		return rc;
	}
	// systemd-tmpfiles skips a directory that somebody holds like this.
	if (flock(dir->dir_fd, LOCK_SH | LOCK_NB) < 0)
		log_warning("%s: cannot be guarded against tmp cleaners: %s", dir->path,
			strerror(errno));
	return 0;
}

void state_dir_remove(struct rk_state_dir *dir)
{
	struct rk_error e;

	if (dir->dir_fd < 0)
		return;
	if (clean(dir, &e) < 0)
		log_failure(&e);
	else if (unlinkat(dir->dir_fd, LOCK_NAME, 0) < 0 || rmdir(dir->path) < 0)
		log_warning("%s: not removed: %s", dir->path, strerror(errno));
	release(dir);
}

int state_dir_path(const struct rk_state_dir *dir, const char *name, char *out, size_t size)
{
	if (snprintf(out, size, "%s/%s", dir->path, name) >= (int)size)
		return -ENAMETOOLONG;
	return 0;
}

static int write_file(int dir_fd, const char *name, const char *text)
{
	RK_CLEANUP_FD int fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	return fd_write_all(fd, text, strlen(text));
}

int state_dir_write(
	const struct rk_state_dir *dir, const char *name, const char *text, struct rk_error *e)
{
	char temporary[NAME_MAX + 1];
	int rc;

	if (snprintf(temporary, sizeof(temporary), ".%s.new", name) >= (int)sizeof(temporary))
		return error_set(e, ENAMETOOLONG, "%s/%s", dir->path, name);
	rc = write_file(dir->dir_fd, temporary, text);
	if (rc == 0 && renameat(dir->dir_fd, temporary, dir->dir_fd, name) < 0)
		rc = -errno;
	if (rc == 0)
		return 0;
	unlinkat(dir->dir_fd, temporary, 0);
	error_errno(e, -rc, "%s/%s: write", dir->path, name);
	return hint_full(e);
}
