// test_spawn.c: programs start with exactly the descriptors, signals and ties that were asked for.

#include "base/fd.h"
#include "base/spawn.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHELL(script) ((const char *const[]){"/bin/sh", "-c", script, NULL})

static struct rk_error e;
static char output[512];

static int run(const char *script, int timeout_ms)
{
	return spawn_run(SHELL(script), output, sizeof(output), timeout_ms, &e);
}

Test(spawn, collects_output_and_status)
{
	int status = run("echo out; echo err >&2; exit 3", -1);

	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 3);
	cr_assert_str_eq(output, "out\nerr\n");
}

Test(spawn, cuts_output_and_lets_the_program_finish)
{
	cr_assert_eq(
		run("i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done", 20000), 0);
	cr_assert_eq(strlen(output), sizeof(output) - 1);
}

Test(spawn, does_not_wait_for_grandchildren)
{
	time_t before = time(NULL);

	cr_assert_eq(run("sleep 40 & echo $!", 20000), 0);
	cr_assert_leq(time(NULL) - before, 20);
	cr_assert_eq(kill(atoi(output), SIGKILL), 0, "started: %s", output);
}

Test(spawn, kills_a_program_that_is_late)
{
	cr_assert_eq(run("echo before; exec sleep 30", 2000), -ETIMEDOUT);
	cr_assert_str_eq(output, "before\n");
	cr_assert(strstr(e.text, "2000 ms"));
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "the program must be reaped");
}

Test(spawn, names_a_missing_program)
{
	const char *const bare[] = {"rk-no-such-program", NULL};
	const char *const path[] = {"/nonexistent/program", NULL};
	const char *const closed[] = {"/etc/passwd", NULL};

	cr_assert_eq(spawn_run(bare, output, sizeof(output), -1, &e), -ENOENT);
	cr_assert_str_eq(e.text, "rk-no-such-program: not found");
	cr_assert_eq(spawn_run(path, output, sizeof(output), -1, &e), -ENOENT);
	cr_assert_eq(spawn_run(closed, output, sizeof(output), -1, &e), -EACCES);
	cr_assert_str_eq(e.text, "/etc/passwd: cannot be run: Permission denied");
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
}

// Starts spawn->argv with fds[] as given, standard output into a pipe; returns what it printed.
static const char *run_spawn(struct rk_spawn *spawn)
{
	struct rk_process process;
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	spawn->fds[spawn->fd_count].from = ends[1];
	spawn->fds[spawn->fd_count++].to = 1;
	cr_assert_eq(spawn_start(spawn, &process, &e), 0, "%s", e.text);
	fd_close(&ends[1]);
	cr_assert_geq(fd_read_text(ends[0], output, sizeof(output)), 0);
	fd_close(&ends[0]);
	cr_assert_eq(process_wait(&process, -1), 0);
	cr_assert_eq(process.pidfd, -1);
	return output;
}

static const char *run_with_fds(const char *script, struct rk_spawn *spawn)
{
	spawn->argv = SHELL(script);
	return run_spawn(spawn);
}

Test(spawn, places_descriptors_where_copies_would_land)
{
	struct rk_spawn spawn = {.fd_count = 10};
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int zero_fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	char script[512] = "";

	// The lowest free numbers are those that dup() would hand out on the way; taken downwards,
	// so that a copy that was put there would be overwritten before its turn.
	for (int i = 0; i < 10; i++) {
		size_t used = strlen(script);

		spawn.fds[i].from = i % 2 ? zero_fd : null_fd;
		spawn.fds[i].to = zero_fd + 10 - i;
		snprintf(script + used, sizeof(script) - used, "readlink /proc/$$/fd/%d; ",
			spawn.fds[i].to);
	}
	cr_assert_str_eq(run_with_fds(script, &spawn),
		"/dev/null\n/dev/zero\n/dev/null\n/dev/zero\n/dev/null\n"
		"/dev/zero\n/dev/null\n/dev/zero\n/dev/null\n/dev/zero\n");
}

Test(spawn, places_descriptors_that_overlap)
{
	struct rk_spawn spawn = {0};
	int a = open("/dev/null", O_RDWR | O_CLOEXEC);
	int b = open("/dev/zero", O_RDWR | O_CLOEXEC);
	char script[128];

	// a takes b's number and b takes a's.
	spawn.fds[0].from = a;
	spawn.fds[0].to = b;
	spawn.fds[1].from = b;
	spawn.fds[1].to = a;
	spawn.fd_count = 2;
	snprintf(script, sizeof(script), "readlink /proc/$$/fd/%d /proc/$$/fd/%d", a, b);
	cr_assert_str_eq(run_with_fds(script, &spawn), "/dev/zero\n/dev/null\n");
	cr_assert_eq(fcntl(a, F_GETFD), FD_CLOEXEC, "ours must not change");
}

Test(spawn, leaks_nothing_else)
{
	struct rk_spawn spawn = {0};
	int leaky = open("/dev/null", O_RDWR); // not CLOEXEC, as one that was inherited
	int high = fcntl(leaky, F_DUPFD, 200);

	cr_assert_geq(high, 200);
	// 10 and above are the shell's own.
	run_with_fds("for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ -e /proc/$$/fd/$fd ] && "
		     "[ \"$(readlink /proc/$$/fd/$fd)\" = /dev/null ] && [ $fd -gt 2 ] && "
		     "echo leaked $fd; done; true",
		&spawn);
	cr_assert_str_eq(output, "");
}

Test(spawn, gives_default_signals)
{
	// Not through a shell: it sets signals itself.
	const char *const argv[] = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};
	struct rk_spawn spawn = {.argv = argv};
	sigset_t set;

	signal(SIGHUP, SIG_DFL); // perhaps we were started by nohup
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	run_spawn(&spawn);
	cr_assert_str_eq(output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	sigprocmask(SIG_BLOCK, NULL, &set);
	cr_assert(sigismember(&set, SIGUSR1), "our mask must be back");
	cr_assert_not(sigismember(&set, SIGUSR2));
}

Test(spawn, leaves_a_hangup_ignored_as_nohup_wants_it)
{
	const char *const argv[] = {"grep", "-E", "^SigIgn", "/proc/self/status", NULL};
	struct rk_spawn spawn = {.argv = argv};

	signal(SIGHUP, SIG_IGN);
	run_spawn(&spawn);
	cr_assert_str_eq(output, "SigIgn:\t0000000000000001\n");
}

Test(spawn, dies_with_its_parent)
{
	int ends[2];
	pid_t middle;
	char byte;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	middle = fork();
	if (middle == 0) {
		struct rk_spawn spawn = {.argv = (const char *const[]){"/bin/sleep", "30", NULL},
			.fds = {{ends[1], 5}},
			.fd_count = 1,
			.death_signal = SIGKILL};
		struct rk_process process;

		_exit(spawn_start(&spawn, &process, &e) == 0 ? 0 : 1);
	}
	fd_close(&ends[1]);
	alarm(10);
	cr_assert_eq(read(ends[0], &byte, 1), 0, "the pipe ends when the sleeper dies");
	alarm(0);
	waitpid(middle, NULL, 0);
}

Test(spawn, waits_with_a_limit_and_stops)
{
	struct rk_spawn spawn = {.argv = SHELL("trap '' TERM; echo; while :; do sleep 1; done")};
	struct rk_process process;
	pid_t pid;
	int ends[2];
	char byte;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	spawn.fds[0].from = ends[1];
	spawn.fds[0].to = 1;
	spawn.fd_count = 1;
	cr_assert_eq(spawn_start(&spawn, &process, &e), 0);
	cr_assert_eq(read(ends[0], &byte, 1), 1); // the trap is set
	cr_assert_eq(process_wait(&process, 50), -ETIMEDOUT);
	cr_assert_geq(process.pidfd, 0);
	pid = process.pid;
	process_stop(&process, SIGTERM, 100);
	cr_assert_eq(process.pidfd, -1);
	cr_assert_eq(kill(pid, 0), -1);
	process_stop(&process, SIGTERM, 100); // nothing left: does nothing
	cr_assert_eq(process_wait(&process, -1), -ECHILD);
}

Test(spawn, describes_statuses)
{
	char text[64];
	int status = run("kill -9 $$", -1);

	cr_assert_str_eq(
		process_describe_status(status, text, sizeof(text)), "killed by signal 9 (Killed)");
	cr_assert_eq(process_exit_code(status), 137);
	status = run("exit 200", -1);
	cr_assert_str_eq(
		process_describe_status(status, text, sizeof(text)), "exited with status 200");
	cr_assert_eq(process_exit_code(status), 200);
}
