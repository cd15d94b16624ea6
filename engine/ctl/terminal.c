// terminal.c: the whole screen of a terminal, for as long as a live view has it.

#include "engine/ctl/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct termios saved_mode;
static bool has_screen;
static bool has_keys;
static volatile sig_atomic_t quit, resized;

static void on_signal(int signal)
{
	if (signal == SIGWINCH)
		resized = 1;
	else
		quit = 1;
}

void terminal_catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
	struct sigaction action = {.sa_handler = on_signal};

	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

void terminal_open(void)
{
	struct termios mode;

	has_keys = tcgetattr(STDIN_FILENO, &saved_mode) == 0;
	if (has_keys) {
		mode = saved_mode;
		mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &mode);
	}
	has_screen = true;
	fputs("\033[?1049h\033[?25l", stdout);
}

void terminal_close(void)
{
	if (!has_screen)
		return;
	has_screen = false;
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	if (has_keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved_mode);
}

void terminal_size(unsigned *columns, unsigned *rows)
{
	struct winsize size = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0) {
		size.ws_col = 80;
		size.ws_row = 24;
	}
	*columns = size.ws_col;
	*rows = size.ws_row;
}

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Any other key is passed over; the end of the input means that nobody is there any more.
static bool asks_to_quit(void)
{
	char key = 0;
	ssize_t length = read(STDIN_FILENO, &key, 1);

	return length == 0 || (length == 1 && (key == 'q' || key == 'Q'));
}

enum terminal_event terminal_wait(double seconds)
{
	double end = now_seconds() + seconds, left;

	while ((left = end - now_seconds()) > 0 && !quit) {
		struct pollfd keys = {has_screen && has_keys ? STDIN_FILENO : -1, POLLIN, 0};
		int ready = poll(&keys, 1, (int)(left * 1000) + 1);

		if (ready < 0 && errno != EINTR)
			return TERMINAL_QUIT;
		if (ready > 0 && asks_to_quit())
			return TERMINAL_QUIT;
		if (resized) {
			resized = 0;
			return TERMINAL_RESIZED;
		}
	}
	return quit ? TERMINAL_QUIT : TERMINAL_TIMEOUT;
}
