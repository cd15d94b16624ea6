// spawn.h: start a program with a defined set of descriptors, tied to the life of its parent.
#pragma once

#include "base/error.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#define RK_SPAWN_FDS_MAX 130 // 128 activation sockets and two of ours

struct rk_spawn {
	const char *const *argv; // argv[0] is looked up on PATH when it has no slash
	// Descriptors that the program keeps: `from` (ours) becomes `to` (its own). Nothing else of
	// ours survives except 0, 1, 2 unless they are replaced here.
	struct {
		int from;
		int to;
	} fds[RK_SPAWN_FDS_MAX];
	unsigned fd_count;
	int death_signal; // PR_SET_PDEATHSIG in the child; 0 = none
	bool own_group;   // a process group of its own: a terminal's signals pass it by
};

// A started program. `pidfd` becomes readable when it ends.
struct rk_process {
	pid_t pid;
	int pidfd;
};
#define RK_PROCESS_NONE ((struct rk_process){.pid = -1, .pidfd = -1})

// Whether this program was started with SIGHUP ignored: nohup(1) asks for it and all that it starts
// to outlive the terminal.
bool spawn_hangup_is_ignored(void);

// Starts the program; signal mask and dispositions are the defaults in it, except that a SIGHUP
// that is ignored stays so. A failing exec is reported here, with "PROGRAM: not found" and the code
// ENOENT where the file is missing, so that the caller can add the package as a hint.
int spawn_start(const struct rk_spawn *spawn, struct rk_process *process, struct rk_error *e);

// Runs to the end and collects at most `size - 1` bytes of its stderr+stdout (NUL-terminated).
// Returns the wait status (>= 0) or -code with *e filled. `timeout_ms` < 0 waits for ever; a
// program that is late is killed (ETIMEDOUT).
int spawn_run(
	const char *const *argv, char *output, size_t size, int timeout_ms, struct rk_error *e);

// Waits up to timeout_ms (< 0: for ever) for the end, reaps, closes the pidfd.
// Returns the wait status (>= 0), -ETIMEDOUT with the process untouched, or -ECHILD when there is
// no such child (RK_PROCESS_NONE, reaped by somebody else).
int process_wait(struct rk_process *process, int timeout_ms);

// Sends `signal` (0 = none), waits grace_ms, then SIGKILL; reaps. Does nothing for RK_PROCESS_NONE.
void process_stop(struct rk_process *process, int signal, int grace_ms);

// "exited with status 3", "killed by signal 9 (Killed)". Returns `text`.
const char *process_describe_status(int wait_status, char *text, size_t size);
// The status a shell would show: 0-255, 128 + signal for a killed program.
int process_exit_code(int wait_status);
