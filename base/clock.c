// clock.c: moments of CLOCK_MONOTONIC, and how people are told of them.

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t read_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
	return (int64_t)read_ms(CLOCK_MONOTONIC);
}

uint64_t clock_wall_ms(uint64_t monotonic_ms)
{
	return read_ms(CLOCK_REALTIME) - (read_ms(CLOCK_MONOTONIC) - monotonic_ms);
}

const char *clock_format(uint64_t monotonic_ms, char *text, size_t size)
{
	uint64_t wall_ms = clock_wall_ms(monotonic_ms);
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(text, size, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + strlen(text), size - strlen(text), ".%03uZ", (unsigned)(wall_ms % 1000));
	return text;
}
