// rootlesskit_flags.h: RootlessKit's flags, and which setting each of them is.
#pragma once

#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

struct rootlesskit_flags {
	bool help;
	bool version;
	const char *print_semver; // NULL, or what it was given
	int command;              // index of the first word of the command; argc: there is none
};

// Sets RootlessKit's defaults where they differ from ours.
int rootlesskit_flags_set_defaults(struct rk_config *config, struct rk_error *e);
// Reads the command line into *config and *flags; strings stay those of argv. Stops at the first
// word that is no flag, or behind "--". 0 or -EINVAL with *e naming the flag.
int rootlesskit_flags_read(struct rootlesskit_flags *flags, struct rk_config *config, int argc,
	char **argv, struct rk_error *e);
// A check's message about "[section] key" becomes one about the flag, where there is one.
void rootlesskit_flags_translate(struct rk_error *e);
// The list of flags for --help, grouped by category.
void rootlesskit_flags_print(void);
