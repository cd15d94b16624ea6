// test_statedir.c: the state directory: who may use it, what is removed and what never is.

#include "base/fd.h"
#include "base/statedir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[64];
static char path[128];
static struct rk_state_dir dir;
static struct rk_error e;

static void make_base(void)
{
	strcpy(base, "/tmp/rk-statedir-XXXXXX");
	cr_assert(mkdtemp(base));
	snprintf(path, sizeof(path), "%s/state", base);
	dir = RK_STATE_DIR_NONE;
}

static void remove_base(void)
{
	char command[128];

	state_dir_remove(&dir);
	snprintf(command, sizeof(command), "rm -rf %s", base);
	cr_assert_eq(system(command), 0);
}

TestSuite(statedir, .init = make_base, .fini = remove_base);

static const char *in(const char *directory, const char *name)
{
	static char joined[2][256];
	static int turn;
	char text[sizeof(joined[0])]; // `directory` may be the other element of `joined`

	turn = !turn;
	snprintf(text, sizeof(text), "%s/%s", directory, name);
	return memcpy(joined[turn], text, sizeof(text));
}

static bool exists(const char *name)
{
	struct stat info;

	return lstat(name, &info) == 0;
}

static int open_in_child(const char *name)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct rk_state_dir other;

		_exit(-state_dir_open(&other, name, &e));
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

Test(statedir, makes_locks_and_removes)
{
	struct stat info;
	char text[32];

	cr_assert_eq(state_dir_open(&dir, path, &e), 0, "%s", e.text);
	cr_assert_str_eq(dir.path, path);
	cr_assert_eq(stat(path, &info), 0);
	cr_assert_eq(info.st_mode & 07777, 0700);
	cr_assert_gt(file_read_text(in(path, "lock"), text, sizeof(text)), 0);
	cr_assert_eq(atoi(text), getpid());
	state_dir_remove(&dir);
	cr_assert_not(exists(path));
	state_dir_remove(&dir); // a second time does nothing
}

Test(statedir, names_the_directory_and_its_holder)
{
	struct rk_state_dir second;
	char holder[32];

	cr_assert_eq(state_dir_open(&dir, path, &e), 0);
	cr_assert_eq(open_in_child(path), EBUSY);
	cr_assert_eq(state_dir_open(&second, path, &e), -EBUSY);
	snprintf(holder, sizeof(holder), "pid %d", getpid());
	cr_assert(strstr(e.text, path), "%s", e.text);
	cr_assert(strstr(e.text, holder), "%s", e.text);
	cr_assert(e.hint[0]);
}

// nsctl status looks like this whether somebody has the lock; so does a killed run that still ends.
Test(statedir, waits_for_a_lock_that_is_held_for_a_moment)
{
	int ends[2];
	pid_t pid;
	char byte;

	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(in(path, "lock"), O_RDWR | O_CREAT, 0600);

		flock(fd, LOCK_SH);
		_exit(write(ends[1], "", 1) != 1 || usleep(20000) < 0);
	}
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	cr_assert_eq(state_dir_open(&dir, path, &e), 0, "%s", e.text);
	waitpid(pid, NULL, 0);
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}

Test(statedir, works_at_once_after_a_killed_run)
{
	struct stat before, after;

	cr_assert_eq(open_in_child(path), 0); // ends without removing
	cr_assert_eq(file_write_text(in(path, "api.sock"), "x"), 0);
	cr_assert_eq(mkdir(in(path, "deep"), 0700), 0);
	cr_assert_eq(file_write_text(in(in(path, "deep"), "file"), "x"), 0);
	cr_assert_eq(stat(in(path, "lock"), &before), 0);
	cr_assert_eq(state_dir_open(&dir, path, &e), 0, "%s", e.text);
	cr_assert_eq(stat(in(path, "lock"), &after), 0);
	cr_assert_eq(before.st_ino, after.st_ino, "the lock file stays");
	cr_assert_not(exists(in(path, "api.sock")));
	cr_assert_not(exists(in(path, "deep")));
}

Test(statedir, never_follows_a_symbolic_link)
{
	const char *outside = in(base, "outside");

	cr_assert_eq(mkdir(outside, 0700), 0);
	cr_assert_eq(file_write_text(in(outside, "precious"), "x"), 0);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(symlink("../outside", in(path, "link")), 0);
	cr_assert_eq(symlink("../outside/precious", in(path, "link2")), 0);
	cr_assert_eq(state_dir_open(&dir, path, &e), 0, "%s", e.text);
	cr_assert_not(exists(in(path, "link")));
	snprintf(path, sizeof(path), "%s/outside/precious", base);
	cr_assert(exists(path));
}

Test(statedir, refuses_a_lock_that_is_a_link)
{
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(symlink("/dev/null", in(path, "lock")), 0);
	cr_assert_eq(state_dir_open(&dir, path, &e), -ELOOP);
}

// In a mount namespace of its own; the exit status says what happened.
static void in_namespace_with_bind(const char *outside, const char *mountpoint)
{
	if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0)
		_exit(100);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(101);
	// The same file system: only the mount tells it from a directory of ours.
	if (mount(outside, mountpoint, NULL, MS_BIND, NULL) < 0)
		_exit(102);
	_exit(-state_dir_open(&dir, path, &e));
}

Test(statedir, never_enters_a_mount)
{
	char outside[128], mountpoint[160];
	int status;
	pid_t pid;

	snprintf(outside, sizeof(outside), "%s/outside", base);
	snprintf(mountpoint, sizeof(mountpoint), "%s/mnt", path);
	cr_assert_eq(mkdir(outside, 0700), 0);
	cr_assert_eq(file_write_text(in(outside, "precious"), "x"), 0);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(mkdir(mountpoint, 0700), 0);
	pid = fork();
	if (pid == 0)
		in_namespace_with_bind(outside, mountpoint);
	waitpid(pid, &status, 0);
	cr_assert_eq(WEXITSTATUS(status), EBUSY, "status %d", WEXITSTATUS(status));
	cr_assert(exists(in(outside, "precious")));
}

Test(statedir, stops_at_a_bottomless_tree)
{
	char command[512];

	snprintf(command, sizeof(command),
		"mkdir -p %s && cd %s && i=0; while [ $i -lt 80 ]; do mkdir d; cd d; i=$((i+1)); "
		"done",
		path, path);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(state_dir_open(&dir, path, &e), -ELOOP);
}

Test(statedir, refuses_another_users_directory)
{
	const char *foreign = "/usr"; // root's

	if (geteuid() == 0) {
		cr_assert_eq(mkdir(path, 0700), 0);
		cr_assert_eq(chown(path, 65534, 65534), 0);
		foreign = path;
	}
	cr_assert_eq(state_dir_open(&dir, foreign, &e), -EPERM);
	cr_assert(strstr(e.text, "belongs to uid"), "%s", e.text);
}

Test(statedir, limits_the_path_so_that_a_socket_fits)
{
	char longest[256];
	size_t room = 107 - strlen("/api.sock");

	snprintf(longest, sizeof(longest), "%s/", base);
	memset(longest + strlen(longest), 'x', room - strlen(longest));
	longest[room] = '\0';
	cr_assert_eq(state_dir_open(&dir, longest, &e), 0, "%s", e.text);
	state_dir_remove(&dir);
	longest[room] = 'x';
	longest[room + 1] = '\0';
	cr_assert_eq(state_dir_open(&dir, longest, &e), -ENAMETOOLONG);
	cr_assert(strstr(e.text, "98"), "%s", e.text);
	cr_assert_not(exists(longest));
}

// Whatever they are called by.
Test(statedir, refuses_places_where_people_keep_things)
{
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(mkdir(in(path, "home"), 0700), 0);
	cr_assert_eq(setenv("HOME", in(path, "home"), 1), 0);
	cr_assert_eq(symlink(in(path, "home"), in(base, "link")), 0);
	cr_assert_eq(chdir(getenv("HOME")), 0);
	cr_assert_eq(state_dir_open(&dir, getenv("HOME"), &e), -EINVAL);
	cr_assert_eq(state_dir_open(&dir, in(getenv("HOME"), "//"), &e), -EINVAL);
	cr_assert_eq(state_dir_open(&dir, in(path, "home/../home/."), &e), -EINVAL);
	cr_assert_eq(state_dir_open(&dir, in(base, "link"), &e), -EINVAL);
	cr_assert_eq(state_dir_open(&dir, ".", &e), -EINVAL);
	cr_assert_eq(state_dir_open(&dir, path, &e), -EINVAL);
	cr_assert(strstr(e.text, path) && strstr(e.text, "home directory"), "%s", e.text);
	cr_assert_eq(state_dir_open(&dir, "/", &e), -EINVAL);
	unsetenv("HOME");
	cr_assert_eq(state_dir_open(&dir, "/", &e), -EINVAL);
	cr_assert(exists(in(path, "home")));
}

Test(statedir, leaves_an_empty_directory_that_it_did_not_make)
{
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(symlink("nowhere", in(path, "lock")), 0);
	cr_assert_neq(state_dir_open(&dir, path, &e), 0);
	cr_assert(exists(path));
	cr_assert_eq(unlink(in(path, "lock")), 0);
	setenv("HOME", path, 1);
	cr_assert_eq(state_dir_open(&dir, path, &e), -EINVAL);
	cr_assert(exists(path));
}

Test(statedir, makes_relative_paths_absolute)
{
	cr_assert_eq(chdir(base), 0);
	cr_assert_eq(state_dir_open(&dir, "a/b//", &e), 0, "%s", e.text);
	snprintf(path, sizeof(path), "%s/a/b", base);
	cr_assert_str_eq(dir.path, path);
}

Test(statedir, makes_a_fresh_one)
{
	char name[PATH_MAX];

	setenv("XDG_RUNTIME_DIR", base, 1);
	cr_assert_eq(state_dir_open(&dir, "", &e), 0, "%s", e.text);
	cr_assert_eq(strncmp(dir.path, base, strlen(base)), 0);
	strcpy(name, dir.path);
	state_dir_remove(&dir);
	cr_assert_not(exists(name));
	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	cr_assert_eq(state_dir_open(&dir, "", &e), 0, "%s", e.text);
	cr_assert_eq(strncmp(dir.path, "/tmp/", 5), 0);
}

Test(statedir, writes_files_whole)
{
	char text[32], joined[256], tiny[4];

	cr_assert_eq(state_dir_open(&dir, path, &e), 0);
	cr_assert_eq(state_dir_write(&dir, "child_pid", "123", &e), 0);
	cr_assert_eq(state_dir_write(&dir, "child_pid", "45", &e), 0);
	cr_assert_eq(state_dir_path(&dir, "child_pid", joined, sizeof(joined)), 0);
	cr_assert_eq(file_read_text(joined, text, sizeof(text)), 2);
	cr_assert_str_eq(text, "45");
	cr_assert_not(exists(in(path, ".child_pid.new")));
	cr_assert_eq(state_dir_path(&dir, "child_pid", tiny, sizeof(tiny)), -ENAMETOOLONG);
	cr_assert_eq(state_dir_write(&dir, "no/such", "x", &e), -ENOENT);
}
