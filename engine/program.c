// program.c: where the family's other programs are.

#include "engine/program.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void program_find(char *path, size_t size, const char *name)
{
	ssize_t length = readlink("/proc/self/exe", path, size);
	char *slash;

	if (length > 0 && (size_t)length < size) {
		path[length] = '\0';
		slash = strrchr(path, '/');
		if (slash && (size_t)(slash + 1 - path) + strlen(name) < size) {
			strcpy(slash + 1, name);
			if (access(path, X_OK) == 0)
				return;
		}
	}
	snprintf(path, size, "%s", name);
}
