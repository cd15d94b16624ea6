// inject-call PID NUMBER [ARG...]: makes another process make one system call, as an intruder would
// who has taken it over. An ARG is a number, or @TEXT for the address of that text. Prints
// "returned VALUE" (negative: an errno) and lets the process go on, or "killed by signal N". For
// root.
//
// How it works: the process is stopped with ptrace(2), which its filter of system calls cannot see.
// Its registers are set for the call and its program counter to a system call instruction, the one
// that it waits in; afterwards it gets its old registers back, and its interrupted wait goes on.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define SYSCALL_LENGTH 2   // of the instruction
#define RED_ZONE       256 // below the stack pointer; not ours to change
#define TEXT_MAX       256

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) < 0)
		fail("waitpid");
	if (WIFSIGNALED(status)) {
		printf("killed by signal %d\n", WTERMSIG(status));
		exit(0);
	}
	return status;
}

static unsigned long long place_text(pid_t pid, unsigned long long *stack, const char *text)
{
	size_t length = strlen(text) + 1;
	struct iovec local = {(void *)text, length};
	struct iovec remote;

	*stack -= (length + 15) & ~15ULL;
	remote = (struct iovec){(void *)*stack, length};
	if (process_vm_writev(pid, &local, 1, &remote, 1, 0) < 0)
		fail("write the text");
	return *stack;
}

static unsigned long long read_argument(pid_t pid, unsigned long long *stack, const char *word)
{
	if (word[0] == '@')
		return place_text(pid, stack, word + 1);
	return strtoull(word, NULL, 0);
}

// The filter's SIGSYS waits behind the exit of the call that it refused.
static int is_doomed(pid_t pid)
{
	unsigned long long pending = 0;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		fail(path);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "SigPnd: %llx", &pending) == 1)
			break;
	fclose(file);
	return pending >> (SIGSYS - 1) & 1;
}

// The registers of `before`, at the call that the command line asks for.
static struct user_regs_struct prepare(
	pid_t pid, const struct user_regs_struct *before, int argc, char **argv)
{
	unsigned long long stack = (before->rsp - RED_ZONE) & ~15ULL;
	unsigned long long arguments[6] = {0};
	struct user_regs_struct now = *before;

	for (int i = 3; i < argc; i++)
		arguments[i - 3] = read_argument(pid, &stack, argv[i]);
	now.rip -= SYSCALL_LENGTH;
	now.orig_rax = (unsigned long long)-1; // no call to go on with
	now.rax = strtoull(argv[2], NULL, 0);
	now.rdi = arguments[0];
	now.rsi = arguments[1];
	now.rdx = arguments[2];
	now.r10 = arguments[3];
	now.r8 = arguments[4];
	now.r9 = arguments[5];
	return now;
}

int main(int argc, char **argv)
{
	struct user_regs_struct before, now;
	pid_t pid;

	if (argc < 3 || argc > 9) {
		fprintf(stderr, "usage: inject-call PID NUMBER [ARG...]\n");
		return 2;
	}
	pid = atoi(argv[1]);
	if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD) < 0 ||
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
		fail("ptrace");
	wait_for(pid);
	if (ptrace(PTRACE_GETREGS, pid, NULL, &before) < 0)
		fail("registers");
	now = prepare(pid, &before, argc, argv);
	if (ptrace(PTRACE_SETREGS, pid, NULL, &now) < 0)
		fail("registers");
	for (int stops = 0; stops < 2; stops++) { // the call's entry and its exit
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0)
			fail("go on");
		wait_for(pid);
	}
	if (ptrace(PTRACE_GETREGS, pid, NULL, &now) < 0)
		fail("registers");
	if (is_doomed(pid)) {
		ptrace(PTRACE_CONT, pid, NULL, NULL);
		wait_for(pid);
	}
	if (ptrace(PTRACE_SETREGS, pid, NULL, &before) < 0 ||
		ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0)
		fail("detach");
	printf("returned %lld\n", (long long)now.rax);
	return 0;
}
