// commands.h: what rootlessctl can do.
#pragma once

#include "base/error.h"
#include "engine/ctl/client.h"

#include <stdbool.h>

struct ctl_command {
	const char *name;
	const char *arguments; // for --help
	const char *summary;
	bool has_json; // takes --json
	// `words` ends with NULL. 0 or -code with *e; what was done before is printed.
	int (*run)(struct ctl_client *client, char *const *words, bool json, struct rk_error *e);
};

extern const struct ctl_command ctl_commands[];
extern const unsigned ctl_command_count;
