// signals.h: signals as events: blocked in nsctl's processes, read from a signalfd, passed on.
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>

enum signal_action {
	SIGNAL_IGNORE,    // noise, or the terminal gave it to the command as well
	SIGNAL_REAP,      // SIGCHLD
	SIGNAL_FORWARD,   // to the command
	SIGNAL_STOP_SELF, // terminal stop (^Z): the command got it too, now we stop
};

// Blocks everything except what a fault of our own raises, and a SIGHUP that is ignored (nohup);
// keeps the mask from before for signals_restore(). Call first in main.
void signals_block(void);
// The mask that the program was started with: for the command, after fork.
void signals_restore(void);
// A non-blocking CLOEXEC signalfd of the blocked signals; made anew after clone, since it reports
// those of the process that reads it. Returns -errno on failure.
int signals_open(void);
// Reads one. True when there was one.
bool signals_read(int fd, struct signalfd_siginfo *info);
enum signal_action signals_classify(const struct signalfd_siginfo *info);
