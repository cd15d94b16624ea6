// command.h: the user's command: which one, and how it is started.
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>
#include <sys/types.h>

// The command after "--", or [process] command through /bin/sh -c, or $SHELL, or /bin/sh.
// `storage` holds the words of the latter three; the strings stay those of their source.
#define COMMAND_WORDS_MAX 4
char **command_choose(
	char **words, const struct rk_config *config, char *storage[COMMAND_WORDS_MAX]);

// How many descriptors from 3 on belong to the command (systemd socket activation,
// sd_listen_fds(3)). They count when LISTEN_PID is this process, or when `trusted` (the engine
// hands them on and leaves LISTEN_FDS set only then). They are made CLOEXEC here.
unsigned command_listen_fds(bool trusted);

// The command's process while it waits to become the command. It stays in the namespaces that the
// caller was in when it was forked.
struct command {
	pid_t pid;
	int gate;   // a byte lets it go on, the end of the pipe ends it
	int report; // errno when it cannot be executed
};
#define COMMAND_NONE ((struct command){.pid = -1, .gate = -1, .report = -1})

// Forks that process. It becomes root of the user namespace when it goes on, if `as_root`.
// 0 or -code.
int command_fork(char **argv, unsigned listen_fds, bool as_root, struct command *command,
	struct rk_error *e);
// Lets it execute argv[0], found on PATH, with standard input, output and error, the process
// group, the terminal, the signal mask nsctl was started with, and the activation descriptors;
// everything else is closed. It is killed when the caller dies. A failing exec is reported here
// with its errno as code; the process is reaped then. 0 or -code.
int command_release(struct command *command, const char *program, struct rk_error *e);
// Both at once. 0 with *pid, or -code.
int command_start(char **argv, unsigned listen_fds, pid_t *pid, struct rk_error *e);

// Replaces this process by argv; returns only on failure, -code with *e.
int command_exec(char **argv, struct rk_error *e);

// The exit status of a shell for a command that could not be executed: 127 or 126.
int command_failure_status(int code);
