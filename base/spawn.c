// spawn.c: start a program with a defined set of descriptors, wait for it, end it.
//
// How it works: the parent blocks every signal, forks, and reads from a close-on-exec pipe. The
// child puts its descriptors in place and calls exec: success closes the pipe (EOF), failure sends
// the errno through it. Between fork and exec only async-signal-safe calls are made, because the
// parent may have threads. The process is known by its pidfd from then on, never by its number.

#include "base/spawn.h"
#include "base/clock.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// What the child reports through the pipe when it cannot become the program.
struct spawn_failure {
	int code;
	bool in_exec; // else in the set-up before it
};

// The kernel's struct sigaction with the default action: all zero.
struct default_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

bool spawn_hangup_is_ignored(void)
{
	struct sigaction action;

	return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void default_signals(void)
{
	static const struct default_action action;
	bool keep_hangup = spawn_hangup_is_ignored();
	sigset_t none;

	// Not signal(3): libc refuses the two signals that it keeps for itself, and whoever started
	// us may have left them ignored. SIGKILL and SIGSTOP are refused by the kernel, rightly.
	for (int number = 1; number < NSIG; number++) {
		if (number != SIGHUP || !keep_hangup)
			syscall(SYS_rt_sigaction, number, &action, NULL, sizeof(action.mask));
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

// PDEATHSIG tells nothing when the parent died before it was set: compare after setting.
static int tie_to_parent(int death_signal, pid_t parent)
{
	if (death_signal == 0)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, death_signal) < 0)
		return -errno;
	if (getppid() != parent)
		_exit(127);
	return 0;
}

static int close_others_on_exec(void)
{
	if (close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0)
		return 0;
	// Kernel before 5.11, or a seccomp filter that does not know the call.
	for (int fd = 3; fd < (int)sysconf(_SC_OPEN_MAX); fd++) {
		int rc = fd_set_cloexec(fd, true);

		if (rc < 0 && rc != -EBADF)
			return rc;
	}
	return 0;
}

// Source and target numbers may overlap in any way: every source goes above all targets first.
static int place_fds(const struct rk_spawn *spawn, int *report)
{
	int moved[RK_SPAWN_FDS_MAX];
	int above = STDERR_FILENO + 1;
	int rc;

	for (unsigned i = 0; i < spawn->fd_count; i++) {
		if (spawn->fds[i].to >= above)
			above = spawn->fds[i].to + 1;
	}
	*report = fcntl(*report, F_DUPFD_CLOEXEC, above);
	if (*report < 0)
		return -errno;
	for (unsigned i = 0; i < spawn->fd_count; i++) {
		moved[i] = fcntl(spawn->fds[i].from, F_DUPFD_CLOEXEC, above);
		if (moved[i] < 0)
			return -errno;
	}
	rc = close_others_on_exec();
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < spawn->fd_count; i++) {
		if (dup2(moved[i], spawn->fds[i].to) < 0)
			return -errno;
	}
	return 0;
}

// The child's side of spawn_start().
__attribute__((noreturn)) static void become_program(
	const struct rk_spawn *spawn, int report, pid_t parent)
{
	struct spawn_failure failure = {.in_exec = false};
	int original_report = report;

	default_signals();
	if (spawn->own_group)
		setpgid(0, 0);
	failure.code = -tie_to_parent(spawn->death_signal, parent);
	if (failure.code == 0)
		failure.code = -place_fds(spawn, &report);
	if (failure.code == 0) {
		execvp(spawn->argv[0], (char *const *)spawn->argv);
		failure.code = errno;
		failure.in_exec = true;
	}
	fd_write_all(report >= 0 ? report : original_report, &failure, sizeof(failure));
	_exit(127);
}

// execvp() answers EACCES when a directory of PATH may not be searched, also when the program is
// in none of them. True when some directory has it.
static bool exists_on_path(const char *program)
{
	const char *next = getenv("PATH");
	char candidate[PATH_MAX];

	if (strchr(program, '/'))
		return true;
	while (next) {
		int length = (int)strcspn(next, ":");

		snprintf(candidate, sizeof(candidate), "%.*s/%s", length, next, program);
		if (access(candidate, F_OK) == 0)
			return true;
		next = next[length] ? next + length + 1 : NULL;
	}
	return false;
}

static int failure_describe(
	const char *program, const struct spawn_failure *failure, struct rk_error *e)
{
	if (failure->in_exec &&
		(failure->code == ENOENT || (failure->code == EACCES && !exists_on_path(program))))
		return error_set(e, ENOENT, "%s: not found", program);
	if (failure->in_exec)
		return error_errno(e, failure->code, "%s: cannot be run", program);
	return error_errno(e, failure->code, "%s: cannot set up its descriptors", program);
}

// Reads the child's verdict: 0 = the program runs, else -code, and the child is reaped.
static int await_exec(int report, pid_t pid, const char *program, struct rk_error *e)
{
	struct spawn_failure failure;
	ssize_t got;

	do {
		got = read(report, &failure, sizeof(failure));
	} while (got < 0 && errno == EINTR);
	if (got == 0)
		return 0;
	if (got < 0)
		kill(pid, SIGKILL); // it may run, and nobody would know it
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (got != sizeof(failure))
		return error_set(e, EIO, "%s: no answer from its new process", program);
	return failure_describe(program, &failure, e);
}

static pid_t fork_with_signals_blocked(const struct rk_spawn *spawn, const int report[2])
{
	sigset_t all, before;
	pid_t parent = getpid();
	pid_t pid;
	int saved;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		become_program(spawn, report[1], parent);
	saved = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return pid;
}

int spawn_start(const struct rk_spawn *spawn, struct rk_process *process, struct rk_error *e)
{
	RK_CLEANUP_FD int report_in = -1;
	int report[2];
	pid_t pid;
	int rc;

	*process = RK_PROCESS_NONE;
	if (spawn->fd_count > RK_SPAWN_FDS_MAX)
		return error_set(e, EINVAL, "%s: too many descriptors", spawn->argv[0]);
	if (pipe2(report, O_CLOEXEC) < 0)
		return error_errno(e, errno, "%s: pipe", spawn->argv[0]);
	report_in = report[0];
	pid = fork_with_signals_blocked(spawn, report);
	rc = pid < 0 ? errno : 0;
	fd_close(&report[1]);
	if (rc != 0)
		return error_errno(e, rc, "%s: fork", spawn->argv[0]);
	rc = await_exec(report_in, pid, spawn->argv[0], e);
	if (rc < 0)
		return rc;
	process->pidfd = pidfd_open(pid, 0); // CLOEXEC by definition; the child is not reaped yet
	if (process->pidfd < 0) {
		error_errno(e, errno, "%s: pidfd_open", spawn->argv[0]);
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return error_hint(e, "Linux 5.3 or newer is needed");
	}
	process->pid = pid;
	return 0;
}

// poll() that a signal does not lengthen or end. `timeout_ms` < 0: for ever.
static int poll_until(struct pollfd *fds, nfds_t count, int64_t deadline_ms)
{
	int ready;

	do {
		int64_t left = deadline_ms < 0 ? -1 : deadline_ms - clock_now_ms();

		if (deadline_ms >= 0 && left < 0)
			left = 0;
		ready = poll(fds, count, (int)left);
	} while (ready < 0 && errno == EINTR);
	return ready;
}

static int64_t deadline_after(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : clock_now_ms() + timeout_ms;
}

int process_wait(struct rk_process *process, int timeout_ms)
{
	struct pollfd ended = {.fd = process->pidfd, .events = POLLIN};
	siginfo_t info = {0};
	int rc;

	if (process->pidfd < 0)
		return -ECHILD;
	if (poll_until(&ended, 1, deadline_after(timeout_ms)) == 0)
		return -ETIMEDOUT;
	do {
		rc = waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED);
	} while (rc < 0 && errno == EINTR);
	rc = rc < 0 ? -errno : 0;
	fd_close(&process->pidfd);
	*process = RK_PROCESS_NONE;
	if (rc < 0)
		return rc;
	if (info.si_code == CLD_EXITED)
		return W_EXITCODE(info.si_status & 0xff, 0);
	return W_EXITCODE(0, info.si_status) | (info.si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

void process_stop(struct rk_process *process, int signal, int grace_ms)
{
	if (process->pidfd < 0)
		return;
	// ESRCH: it ended by itself; process_wait() then returns at once.
	if (signal != 0)
		pidfd_send_signal(process->pidfd, signal, NULL, 0);
	if (process_wait(process, grace_ms) != -ETIMEDOUT)
		return;
	pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
	process_wait(process, -1);
}

// Appends what is readable now; what does not fit is read and dropped. False at the end.
static bool collect(int fd, char *output, size_t size, size_t *used)
{
	char spill[4096];
	size_t room = size - 1 - *used;
	ssize_t got = read(fd, room > 0 ? output + *used : spill, room > 0 ? room : sizeof(spill));

	if (got < 0)
		return errno == EINTR;
	if (room > 0)
		*used += (size_t)got;
	return got > 0;
}

// Collects until the program has ended, or -ETIMEDOUT. A grandchild may keep the pipe open, so
// the end of the program counts, not the end of the pipe.
static int collect_until_end(
	const struct rk_process *process, int pipe_in, char *output, size_t size, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = process->pidfd, .events = POLLIN}, {.fd = pipe_in, .events = POLLIN}};
	int64_t deadline_ms = deadline_after(timeout_ms);
	size_t used = 0;

	while (!fds[0].revents) {
		if (poll_until(fds, 2, deadline_ms) == 0)
			return -ETIMEDOUT;
		if (fds[1].revents && !collect(pipe_in, output, size, &used))
			fds[1].fd = -1;
		output[used] = '\0';
	}
	while (fds[1].fd >= 0 && collect(pipe_in, output, size, &used))
		;
	output[used] = '\0';
	return 0;
}

int spawn_run(
	const char *const *argv, char *output, size_t size, int timeout_ms, struct rk_error *e)
{
	RK_CLEANUP_FD int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	RK_CLEANUP_FD int pipe_in = -1;
	RK_CLEANUP_FD int pipe_out = -1;
	struct rk_spawn spawn = {.argv = argv, .fd_count = 3, .death_signal = SIGKILL};
	struct rk_process process;
	int ends[2];
	int rc;

	output[0] = '\0';
	if (null_fd < 0)
		return error_errno(e, errno, "/dev/null");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(e, errno, "%s: pipe", argv[0]);
	pipe_in = ends[0];
	pipe_out = ends[1];
	spawn.fds[0].from = null_fd;
	for (int i = 1; i < 3; i++) {
		spawn.fds[i].from = pipe_out;
		spawn.fds[i].to = i;
	}
	rc = fd_set_nonblocking(pipe_in, true);
	if (rc < 0)
		return error_errno(e, -rc, "%s: pipe", argv[0]);
	rc = spawn_start(&spawn, &process, e);
	if (rc < 0)
		return rc;
	fd_close(&pipe_out);
	rc = collect_until_end(&process, pipe_in, output, size, timeout_ms);
	if (rc == 0) {
		rc = process_wait(&process, -1);
		return rc < 0 ? error_errno(e, -rc, "%s: wait for its end", argv[0]) : rc;
	}
	process_stop(&process, SIGKILL, -1);
	return error_set(e, ETIMEDOUT, "%s: did not end within %d ms", argv[0], timeout_ms);
}

const char *process_describe_status(int wait_status, char *text, size_t size)
{
	if (WIFSIGNALED(wait_status))
		snprintf(text, size, "killed by signal %d (%s)", WTERMSIG(wait_status),
			strsignal(WTERMSIG(wait_status)));
	else
		snprintf(text, size, "exited with status %d", WEXITSTATUS(wait_status));
	return text;
}

int process_exit_code(int wait_status)
{
	if (WIFSIGNALED(wait_status))
		return 128 + WTERMSIG(wait_status);
	return WEXITSTATUS(wait_status);
}
