// terminal.h: the whole screen of a terminal, for as long as a live view has it.
#pragma once

#include <stdbool.h>

enum terminal_event { TERMINAL_TIMEOUT, TERMINAL_RESIZED, TERMINAL_QUIT };

// Takes the screen (standard output) and single keys (standard input); ends with terminal_close(),
// which also runs after SIGINT, SIGTERM and SIGHUP, for those become TERMINAL_QUIT.
void terminal_open(void);
void terminal_close(void);
void terminal_size(unsigned *columns, unsigned *rows);
// Waits for a key q, a signal, a new size, or `seconds`. Also without terminal_open().
enum terminal_event terminal_wait(double seconds);
// SIGINT, SIGTERM and SIGHUP end the next wait instead of the program.
void terminal_catch_signals(void);
