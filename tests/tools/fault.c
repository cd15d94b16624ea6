// fault.c: says which call of which process shall fail; see preload/fault.c, which does it.
//
//   fault FILE set CALL ERROR PROCESS [SKIP [COUNT [EVERY]]]
//                             ERROR: a name such as ENOMEM, or KILL, STOP; CALL and PROCESS: or
//                             "*"; makes the file when there is none
//   fault FILE off            prints how often it happened
//   fault FILE hits           the same, and the fault goes on
//   fault FILE seen           how often the call was made by that process
//   fault FILE clock SECONDS  CLOCK_REALTIME is that much ahead

#include "tests/tools/lib/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name;
	int error;
} errors[] = {
	{"KILL", FAULT_KILL},
	{"STOP", FAULT_STOP},
	{"E2BIG", E2BIG},
	{"EACCES", EACCES},
	{"EAGAIN", EAGAIN},
	{"EBADF", EBADF},
	{"EBUSY", EBUSY},
	{"ECONNABORTED", ECONNABORTED},
	{"ECONNREFUSED", ECONNREFUSED},
	{"ECONNRESET", ECONNRESET},
	{"EHOSTUNREACH", EHOSTUNREACH},
	{"EINTR", EINTR},
	{"EINVAL", EINVAL},
	{"EIO", EIO},
	{"EMFILE", EMFILE},
	{"ENETDOWN", ENETDOWN},
	{"ENETUNREACH", ENETUNREACH},
	{"ENFILE", ENFILE},
	{"ENOBUFS", ENOBUFS},
	{"ENOMEM", ENOMEM},
	{"ENOSPC", ENOSPC},
	{"ENOSYS", ENOSYS},
	{"EOPNOTSUPP", EOPNOTSUPP},
	{"EPERM", EPERM},
	{"EPIPE", EPIPE},
	{"EROFS", EROFS},
	{"ETIMEDOUT", ETIMEDOUT},
};

static int read_error(const char *name)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].error;
	}
	fprintf(stderr, "fault: %s: no such error\n", name);
	exit(2);
}

static struct fault_state *map_state(const char *path)
{
	struct fault_state *state = MAP_FAILED;
	int fd = open(path, O_RDWR | O_CREAT, 0666);

	// Every user writes its counters, whatever our umask.
	if (fd >= 0 && fchmod(fd, 0666) == 0 && ftruncate(fd, sizeof(*state)) == 0)
		state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (state != MAP_FAILED)
		return state;
	fprintf(stderr, "fault: %s: %s\n", path, strerror(errno));
	exit(1);
}

static uint32_t read_number(const char *text, uint32_t otherwise)
{
	return text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static int set(struct fault_state *state, char **words)
{
	atomic_store(&state->active, 0);
	snprintf(state->call, sizeof(state->call), "%s", words[0]);
	state->error = read_error(words[1]);
	snprintf(state->process, sizeof(state->process), "%s", words[2]);
	state->skip = read_number(words[3], 0);
	state->count = read_number(words[3] ? words[4] : NULL, UINT32_MAX);
	state->every = read_number(words[3] && words[4] ? words[5] : NULL, 1);
	atomic_store(&state->seen, 0);
	atomic_store(&state->hits, 0);
	atomic_store(&state->active, 1);
	return 0;
}

int main(int argc, char **argv)
{
	struct fault_state *state = argc > 2 ? map_state(argv[1]) : NULL;
	const char *command = argc > 2 ? argv[2] : "";

	if (argc > 5 && strcmp(command, "set") == 0)
		return set(state, argv + 3);
	if (argc == 4 && strcmp(command, "clock") == 0) {
		atomic_store(&state->clock_offset_s, strtoll(argv[3], NULL, 10));
		return 0;
	}
	if (argc == 3 && strcmp(command, "off") == 0) {
		atomic_store(&state->active, 0);
		command = "hits";
	}
	if (argc == 3 && (strcmp(command, "hits") == 0 || strcmp(command, "seen") == 0)) {
		printf("%u\n", atomic_load(command[0] == 'h' ? &state->hits : &state->seen));
		return 0;
	}
	fprintf(stderr, "usage: fault FILE set CALL ERROR PROCESS [SKIP [COUNT [EVERY]]] | off | "
			"hits | seen | clock SECONDS\n");
	return 2;
}
