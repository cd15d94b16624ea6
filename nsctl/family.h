// family.h: the processes below us: give them no descriptor too many, leave none behind.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Closes every descriptor above stderr that is not in `keep` (sorted ascending in place).
void family_close_fds(int *keep, size_t count);

// Kills the children of this process (`chosen` says which; NULL = all), and theirs as they are
// handed up to us, until none is left or patience_ms has passed. The caller must be pid 1 of its
// pid namespace or have PR_SET_CHILD_SUBREAPER, so that orphans come to it. Returns the number of
// processes that would not die.
size_t family_kill(bool (*chosen)(pid_t pid), int patience_ms);

// True when `pid` is in another user namespace than the caller.
bool family_is_foreign(pid_t pid);
