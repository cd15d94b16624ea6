// commands.h: what rootlessctl can do.
#pragma once

#include "base/error.h"
#include "engine/ctl/client.h"

#include <stdbool.h>

// What stands between a command's name and its words.
struct ctl_options {
	bool json;
	bool batch;
	const char *port;  // NULL or "" = not given, here and below
	const char *delay; // seconds
	const char *count;
};

// Which of them a command takes, bits: --json; --port; -d, -n and -b.
enum { TAKES_JSON = 1, TAKES_PORT = 2, TAKES_PACE = 4 };

struct ctl_command {
	const char *name;
	const char *arguments; // for --help
	const char *summary;
	unsigned takes;
	// `words` ends with NULL. 0 or -code with *e; what was done before is printed.
	int (*run)(struct ctl_client *client, char *const *words, const struct ctl_options *options,
		struct rk_error *e);
};

extern const struct ctl_command ctl_commands[];
extern const unsigned ctl_command_count;
