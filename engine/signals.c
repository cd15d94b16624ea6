// signals.c: the engine's signals as descriptor events, and which of them the command gets.
//
// How it works: a key on the terminal signals the whole foreground process group, so the command
// has its own already when we get ours (si_code SI_KERNEL); what somebody sent to us alone with
// kill(2) goes on to the command. Blocked signals are kept by the kernel until we read them, so
// none is lost while the network comes up.

#include "engine/signals.h"
#include "base/spawn.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

// Left as they are: faults of our own must end us, the others are about our own children, sockets
// and windows.
static const int untouched[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGCHLD, SIGPIPE,
	SIGURG, SIGWINCH, SIGKILL, SIGSTOP};

int engine_signals_open(void)
{
	sigset_t set;
	int fd;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(untouched) / sizeof(untouched[0]); i++)
		sigdelset(&set, untouched[i]);
	// Blocked, even an ignored signal would be kept for us.
	if (spawn_hangup_is_ignored())
		sigdelset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

bool engine_signals_read(int fd, struct signalfd_siginfo *info)
{
	return read(fd, info, sizeof(*info)) == (ssize_t)sizeof(*info);
}

enum rk_signal_action engine_signals_classify(const struct signalfd_siginfo *info)
{
	if (info->ssi_code != SI_KERNEL)
		return SIGNAL_FORWARD;
	switch (info->ssi_signo) {
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
		return SIGNAL_SUSPEND;
	default:
		return SIGNAL_NONE;
	}
}

bool engine_signals_ask_to_stop(unsigned signal, bool running)
{
	if (signal == SIGTERM || signal == SIGINT)
		return true;
	return !running && (signal == SIGHUP || signal == SIGQUIT);
}
