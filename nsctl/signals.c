// signals.c: signals as events.
//
// How it works: nsctl and the command share a process group and the controlling terminal, so ^C
// reaches both. The kernel marks those with SI_KERNEL; passing them on would deliver them twice.
// Everything that a process sent on purpose (kill(2)) is passed on.

#include "nsctl/signals.h"
#include "base/spawn.h"

#include <errno.h>
#include <unistd.h>

static sigset_t original_mask;
static sigset_t blocked_mask;

void signals_block(void)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

	sigfillset(&blocked_mask);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&blocked_mask, faults[i]);
	// Blocked, even an ignored signal would be kept for us.
	if (spawn_hangup_is_ignored())
		sigdelset(&blocked_mask, SIGHUP);
	// Ignored by whoever started us, the end of a child would tell nobody its status.
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &blocked_mask, &original_mask);
}

void signals_restore(void)
{
	sigprocmask(SIG_SETMASK, &original_mask, NULL);
}

int signals_open(void)
{
	int fd = signalfd(-1, &blocked_mask, SFD_NONBLOCK | SFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool signals_read(int fd, struct signalfd_siginfo *info)
{
	return read(fd, info, sizeof(*info)) == (ssize_t)sizeof(*info);
}

enum signal_action signals_classify(const struct signalfd_siginfo *info)
{
	bool terminal = info->ssi_code == SI_KERNEL;

	switch (info->ssi_signo) {
	case SIGCHLD:
		return SIGNAL_REAP;
	case SIGPIPE:
	case SIGURG:
	case SIGWINCH:
		return SIGNAL_IGNORE;
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
		return terminal ? SIGNAL_STOP_SELF : SIGNAL_FORWARD;
	default:
		return terminal ? SIGNAL_IGNORE : SIGNAL_FORWARD;
	}
}
