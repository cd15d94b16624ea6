// family.c: end every process below this one.
//
// How it works: a subreaper inherits orphans, so killing only our direct children is enough: when
// they die, their children become ours, and the next round takes those. A process that forks while
// we kill only adds rounds. Children are read from /proc/thread-self/children, which costs one
// read a round and needs no walk of all processes (the callers have one thread).

#include "nsctl/family.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN_TEXT_MAX (64u << 10) // about 8000 children a round

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void close_between(int first, int last)
{
	if (first > last || close_range((unsigned)first, (unsigned)last, 0) == 0)
		return;
	// A kernel or a seccomp filter without close_range: one by one up to the limit.
	for (int fd = first; fd <= last && fd < (int)sysconf(_SC_OPEN_MAX); fd++)
		close(fd);
}

void family_close_fds(int *keep, size_t count)
{
	int next = STDERR_FILENO + 1;

	qsort(keep, count, sizeof(*keep), compare_fds);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < next)
			continue;
		close_between(next, keep[i] - 1);
		next = keep[i] + 1;
	}
	close_between(next, INT_MAX);
}

bool family_is_foreign(pid_t pid)
{
	struct stat own, other;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	if (stat("/proc/self/ns/user", &own) < 0 || stat(path, &other) < 0)
		return false;
	return own.st_ino != other.st_ino;
}

// The list was cut at the end of the buffer: its last number may be a part of one.
static void drop_last_number(char *text)
{
	size_t length = CHILDREN_TEXT_MAX;

	while (length > 0 && text[length - 1] != ' ')
		length--;
	text[length > 0 ? length - 1 : 0] = '\0';
}

// One round: SIGKILL to every chosen child. Returns how many there were.
static size_t kill_children(char *text, bool (*chosen)(pid_t pid))
{
	ssize_t length = file_read_text("/proc/thread-self/children", text, CHILDREN_TEXT_MAX);
	size_t count = 0;
	char *next = text;

	if (length == -EFBIG)
		drop_last_number(text);
	else if (length < 0)
		return 0;
	for (;;) {
		char *end;
		long pid = strtol(next, &end, 10);

		if (end == next)
			return count;
		next = end;
		if (chosen && !chosen((pid_t)pid))
			continue;
		kill((pid_t)pid, SIGKILL);
		count++;
	}
}

static void reap_all(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
}

size_t family_kill(bool (*chosen)(pid_t pid), int patience_ms)
{
	RK_CLEANUP_FREE char *text = malloc(CHILDREN_TEXT_MAX);
	int64_t deadline_ms = clock_now_ms() + patience_ms;
	size_t left;

	if (!text) {
		log_error("no memory to read the list of processes to kill");
		return 1;
	}
	for (;;) {
		reap_all();
		left = kill_children(text, chosen);
		if (left == 0 || clock_now_ms() >= deadline_ms)
			return left;
		poll(NULL, 0, 1);
	}
}
