// rootlesskit.h: the front end that takes RootlessKit's command line.
#pragma once

#include <stdbool.h>

// True when the program was started under the name rootlesskit or docker-rootlesskit.
bool rootlesskit_is_name(const char *program);
// Its main(); returns the exit status.
int rootlesskit_main(int argc, char **argv);
