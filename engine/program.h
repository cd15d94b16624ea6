// program.h: where the family's other programs are.
#pragma once

#include <stddef.h>

// The path of `name` beside our own program, so that a build tree or a private installation fits
// together; `name` alone, to be looked up on PATH, when it is not there.
void program_find(char *path, size_t size, const char *name);
