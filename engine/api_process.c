// api_process.c: what the kernel says about this process, for GET /metrics (proc(5)).

#include "engine/api_process.h"

#include "base/clock.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// Fields of /proc/self/stat behind the name, counted from the state (field 3).
#define STAT_FIELDS 22
#define FIELD_START 19 // starttime, ticks after boot
#define FIELD_VSIZE 20 // bytes
#define FIELD_RSS   21 // pages
#define STAT_MAX    1024

static uint64_t count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	uint64_t count = 0;

	if (!directory)
		return PROCESS_UNKNOWN;
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count - 1; // the directory itself
}

static uint64_t cpu_ms(void)
{
	struct timespec used;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0)
		return PROCESS_UNKNOWN;
	return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

static uint64_t start_ms(uint64_t ticks)
{
	struct timespec boot;
	uint64_t since_boot_ms, started_ms = ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);

	clock_gettime(CLOCK_BOOTTIME, &boot);
	since_boot_ms = (uint64_t)boot.tv_sec * 1000 + (uint64_t)boot.tv_nsec / 1000000;
	return clock_wall_ms((uint64_t)clock_now_ms()) - (since_boot_ms - started_ms);
}

// The name may hold anything: what counts begins behind the last bracket.
static int read_stat(unsigned long long fields[STAT_FIELDS])
{
	char text[STAT_MAX];
	FILE *file = fopen("/proc/self/stat", "re");
	size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	char *rest;
	int i = 1;

	if (file)
		fclose(file);
	text[length] = '\0';
	rest = strrchr(text, ')');
	if (!rest || strlen(rest) < 4)
		return -1;
	rest += 3; // ") S"
	for (int used = 0; i < STAT_FIELDS && sscanf(rest, "%llu%n", &fields[i], &used) == 1; i++)
		rest += used;
	return i == STAT_FIELDS ? 0 : -1;
}

void process_read_figures(uint64_t figures[PROCESS_FIGURES])
{
	unsigned long long fields[STAT_FIELDS] = {0};
	struct rlimit limit;

	for (unsigned i = 0; i < PROCESS_FIGURES; i++)
		figures[i] = PROCESS_UNKNOWN;
	figures[PROCESS_CPU_MS] = cpu_ms();
	figures[PROCESS_OPEN_FDS] = count_descriptors();
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		figures[PROCESS_MAX_FDS] = limit.rlim_cur;
	if (read_stat(fields) < 0)
		return;
	figures[PROCESS_START_MS] = start_ms(fields[FIELD_START]);
	figures[PROCESS_VIRTUAL_BYTES] = fields[FIELD_VSIZE];
	figures[PROCESS_RESIDENT_BYTES] = fields[FIELD_RSS] * (uint64_t)sysconf(_SC_PAGESIZE);
}
