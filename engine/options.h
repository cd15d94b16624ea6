// options.h: rk-engine's command line.
#pragma once

#include "config/config.h"

enum rk_mode { MODE_RUN, MODE_CHECK, MODE_PRINT_CONFIG, MODE_VERSION, MODE_HELP };

struct rk_options {
	enum rk_mode mode;
	const char *attach; // a process id or a file, NULL = namespaces of our own
};

// Reads the command line into *options and *config, as config_read_arguments() does, with
// rk-engine's own options; strings stay those of argv. The index of the command's first word, or
// -code with *e.
int options_read(struct rk_options *options, struct rk_config *config, int argc, char **argv,
	struct rk_error *e);
