// command.c: choose and start the user's command.

#include "nsctl/command.h"
#include "base/fd.h"
#include "nsctl/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LISTEN_FDS_START 3
#define LISTEN_FDS_MAX   1024

char **command_choose(
	char **words, const struct rk_config *config, char *storage[COMMAND_WORDS_MAX])
{
	char *shell = getenv("SHELL");

	if (words && words[0])
		return words;
	storage[0] = shell && shell[0] ? shell : (char *)"/bin/sh";
	storage[1] = NULL;
	if (config && config->process.command[0]) {
		storage[0] = (char *)"/bin/sh";
		storage[1] = (char *)"-c";
		storage[2] = config->process.command;
		storage[3] = NULL;
	}
	return storage;
}

unsigned command_listen_fds(bool trusted)
{
	const char *count_text = getenv("LISTEN_FDS");
	const char *pid_text = getenv("LISTEN_PID");
	unsigned long count;

	if (!count_text || (!trusted && (!pid_text || strtol(pid_text, NULL, 10) != getpid())))
		return 0;
	count = strtoul(count_text, NULL, 10);
	if (count > LISTEN_FDS_MAX)
		return 0;
	for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + (int)count; fd++) {
		if (fd_set_cloexec(fd, true) < 0)
			return 0;
	}
	return (unsigned)count;
}

static void hand_over_fds(unsigned listen_fds)
{
	unsigned first_other = LISTEN_FDS_START + listen_fds;
	char pid[16];

	// Ours are CLOEXEC already: this takes what our starter left open by mistake.
	close_range(first_other, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	for (unsigned fd = LISTEN_FDS_START; fd < first_other; fd++)
		fd_set_cloexec((int)fd, false);
	if (listen_fds == 0)
		return;
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("LISTEN_PID", pid, 1);
}

__attribute__((noreturn)) static void fail(int report)
{
	int code = errno;

	fd_write_all(report, &code, sizeof(code));
	_exit(command_failure_status(code));
}

__attribute__((noreturn)) static void become_command(
	char **argv, unsigned listen_fds, bool as_root, int gate, int report, pid_t parent)
{
	pid_t now;
	char byte;

	if (read(gate, &byte, 1) != 1)
		_exit(127);
	if (as_root && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		fail(report);
	// After the change of ids, which clears the setting.
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	now = getppid();
	// 0: the parent lives outside our pid namespace (nsctl enter).
	if (now != 0 && now != parent)
		_exit(127);
	hand_over_fds(listen_fds);
	signals_restore();
	execvp(argv[0], argv);
	fail(report);
}

static int describe_failure(const char *program, int code, struct rk_error *e)
{
	if (code == ENOENT && !strchr(program, '/'))
		return error_set(e, ENOENT, "%s: command not found", program);
	return error_errno(e, code, "execute %s", program);
}

int command_fork(
	char **argv, unsigned listen_fds, bool as_root, struct command *command, struct rk_error *e)
{
	pid_t self = getpid();
	int gate[2], report[2];
	int code;

	if (pipe2(gate, O_CLOEXEC) < 0)
		return error_errno(e, errno, "start %s", argv[0]);
	if (pipe2(report, O_CLOEXEC) < 0) {
		code = errno;
		fd_close(&gate[0]);
		fd_close(&gate[1]);
		return error_errno(e, code, "start %s", argv[0]);
	}
	command->pid = fork();
	code = errno;
	if (command->pid == 0) {
		close(gate[1]);
		become_command(argv, listen_fds, as_root, gate[0], report[1], self);
	}
	fd_close(&gate[0]);
	fd_close(&report[1]);
	command->gate = gate[1];
	command->report = report[0];
	if (command->pid > 0)
		return 0;
	fd_close(&command->gate);
	fd_close(&command->report);
	return error_errno(e, code, "start %s", argv[0]);
}

// A process that is gone already takes no byte; whoever reaps it learns how it ended.
int command_release(struct command *command, const char *program, struct rk_error *e)
{
	int code = 0;
	ssize_t got;

	fd_write_all(command->gate, "", 1);
	fd_close(&command->gate);
	got = read(command->report, &code, sizeof(code));
	fd_close(&command->report);
	if (got != (ssize_t)sizeof(code))
		return 0;
	waitpid(command->pid, NULL, 0);
	command->pid = -1;
	return describe_failure(program, code, e);
}

int command_start(char **argv, unsigned listen_fds, pid_t *pid, struct rk_error *e)
{
	struct command command = COMMAND_NONE;
	int rc = command_fork(argv, listen_fds, false, &command, e);

	if (rc == 0)
		rc = command_release(&command, argv[0], e);
	*pid = command.pid;
	return rc;
}

int command_exec(char **argv, struct rk_error *e)
{
	int code;

	signals_restore();
	execvp(argv[0], argv);
	code = errno;
	return describe_failure(argv[0], code, e);
}

int command_failure_status(int code)
{
	return code == ENOENT ? 127 : 126;
}
