// copyup.c: tmpfs plus symbolic links over a directory.
//
// How it works: a detached copy of the mount tree at the directory is taken first, then a tmpfs is
// mounted over it, then the copy is attached to a hidden directory in that tmpfs. No path outside
// the directory is used, so nothing is left anywhere when a step fails (the mount namespace goes
// with the process). Links are relative: they stay right under any other root.

#include "nsctl/copyup.h"
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

// The prefix that RootlessKit uses too; nothing may depend on what follows it.
#define ORIGINAL_TEMPLATE ".roXXXXXX"

static void stream_close(DIR **stream)
{
	if (*stream)
		closedir(*stream);
}

static int copy_link(int from_dir, int to_dir, const char *name)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(from_dir, name, target, sizeof(target) - 1);

	if (length < 0)
		return -errno;
	target[length] = '\0';
	return symlinkat(target, to_dir, name) < 0 ? -errno : 0;
}

static int link_original(int to_dir, const char *original, const char *name)
{
	char target[NAME_MAX + sizeof(ORIGINAL_TEMPLATE) + 2];

	snprintf(target, sizeof(target), "%s/%s", original, name);
	return symlinkat(target, to_dir, name) < 0 ? -errno : 0;
}

static int link_entry(int from_dir, int to_dir, const char *original, const struct dirent *entry)
{
	bool is_link = entry->d_type == DT_LNK;
	struct stat info;

	if (entry->d_type == DT_UNKNOWN) {
		if (fstatat(from_dir, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? 0 : -errno;
		is_link = S_ISLNK(info.st_mode);
	}
	if (is_link)
		return copy_link(from_dir, to_dir, entry->d_name);
	return link_original(to_dir, original, entry->d_name);
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int link_entries(const char *path, const char *original, struct rk_error *e)
{
	RK_CLEANUP_FD int to_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__attribute__((cleanup(stream_close))) DIR *stream = NULL;
	int from_dir = openat(to_dir, original, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	int rc;

	stream = from_dir >= 0 ? fdopendir(from_dir) : NULL;
	if (!stream) {
		rc = errno;
		fd_close(&from_dir);
		return error_errno(e, rc, "copy-up %s: open the original", path);
	}
	while ((errno = 0, entry = readdir(stream))) {
		if (is_dot(entry->d_name))
			continue;
		rc = link_entry(from_dir, to_dir, original, entry);
		// EEXIST: the hidden directory of an earlier copy-up has our name.
		if (rc < 0 && rc != -EEXIST)
			return error_errno(e, -rc, "copy-up %s: link %s", path, entry->d_name);
	}
	return errno ? error_errno(e, errno, "copy-up %s: read the directory", path) : 0;
}

static int mount_tmpfs(const char *path, mode_t mode, struct rk_error *e)
{
	char options[32];

	snprintf(options, sizeof(options), "mode=%04o", mode & 07777);
	if (mount("tmpfs", path, "tmpfs", 0, options) < 0)
		return error_errno(e, errno, "copy-up %s: mount tmpfs", path);
	return 0;
}

static int check_path(const char *path, struct stat *info, struct rk_error *e)
{
	if (path[0] != '/' || path[strspn(path, "/")] == '\0')
		return error_set(e, EINVAL,
			"copy-up %s: must be an absolute path of a directory below /", path);
	if (stat(path, info) < 0)
		return error_errno(e, errno, "copy-up %s", path);
	if (!S_ISDIR(info->st_mode))
		return error_errno(e, ENOTDIR, "copy-up %s", path);
	return 0;
}

int copyup_directory(const char *path, struct rk_error *e)
{
	RK_CLEANUP_FD int tree = -1;
	char original[PATH_MAX];
	struct stat info;
	int rc;

	rc = check_path(path, &info, e);
	if (rc < 0)
		return rc;
	tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0)
		return error_errno(e, errno, "copy-up %s: copy the mount tree", path);
	rc = mount_tmpfs(path, info.st_mode, e);
	if (rc < 0)
		return rc;
	if (snprintf(original, sizeof(original), "%s/" ORIGINAL_TEMPLATE, path) >=
		(int)sizeof(original))
		return error_errno(e, ENAMETOOLONG, "copy-up %s", path);
	if (!mkdtemp(original) || chmod(original, 0755) < 0)
		return error_errno(e, errno, "copy-up %s: make the hidden directory", path);
	if (move_mount(tree, "", AT_FDCWD, original, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_errno(e, errno, "copy-up %s: attach the original", path);
	return link_entries(path, strrchr(original, '/') + 1, e);
}
