// signals.h: the engine's signals as descriptor events, and which of them the command gets.
#pragma once

#include <stdbool.h>
#include <sys/signalfd.h>

enum rk_signal_action {
	SIGNAL_NONE,    // the command got it from the terminal as well
	SIGNAL_FORWARD, // hand it to the command
	SIGNAL_SUSPEND, // the terminal stopped the command (^Z); stop ourselves, too
};

// Blocks every signal that is not a fault of our own, for this thread and those made later, and
// ignores SIGPIPE. A SIGHUP that is ignored (nohup) stays so. Returns a non-blocking signalfd, or
// -errno.
int engine_signals_open(void);
// Takes the next signal; false when there is none.
bool engine_signals_read(int fd, struct signalfd_siginfo *info);
enum rk_signal_action engine_signals_classify(const struct signalfd_siginfo *info);
// Whether a signal asks a program to end: SIGTERM, SIGINT (and before the command runs, SIGHUP
// and SIGQUIT).
bool engine_signals_ask_to_stop(unsigned signal, bool running);
