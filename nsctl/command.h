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

// Forks and executes argv[0], found on PATH, with standard input, output and error, the process
// group, the terminal, the signal mask nsctl was started with, and the activation descriptors;
// everything else is closed. It is killed when the caller dies. A failing exec is reported here
// with its errno as code. 0 with *pid, or -code.
int command_start(char **argv, unsigned listen_fds, pid_t *pid, struct rk_error *e);

// Replaces this process by argv; returns only on failure, -code with *e.
int command_exec(char **argv, struct rk_error *e);

// The exit status of a shell for a command that could not be executed: 127 or 126.
int command_failure_status(int code);
