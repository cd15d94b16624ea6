// syscalls.h: limit the system calls of a process that has all it needs, with libseccomp.
//
// How it works: two kinds of filter. An allowlist, for a process that runs nothing but our own code
// from now on: what is not listed answers ENOSYS, so that a newer libc that tries a newer call
// falls back as on an older kernel. And a list of what is forbidden, for a process that still
// starts others. In both, what only an intruder would do (new programs, namespaces, mounts,
// tracing, kernel keys, modules...) has consequences: the whole process is killed, unless it starts
// the programs of others, which get EPERM.
//
// The kernel logs every kill (type=1326), and at log level debug what was answered with an error,
// too.
#pragma once

#include "base/error.h"

#include <stdbool.h>

enum rk_syscall_profile {
	SYSCALLS_ENGINE,  // allowlist: data plane, API, ports; no new process, ring or code
	SYSCALLS_HELPER,  // allowlist: internet sockets and the channels to the workers
	SYSCALLS_MANAGER, // forbidden list: waits, kills, forks, starts no program
	SYSCALLS_STARTER, // forbidden list: starts programs that enter namespaces
	SYSCALLS_PROFILES,
};

// Whether this build can be filtered: sanitizers make calls of their own at any time.
bool syscalls_can_restrict(void);

// From now on and for ever, for all threads of the process (and for what they fork or execute).
// Sets no_new_privs. When the kernel refuses: `required` or not decides between -code with *e, and
// 0 with a warning. A build that cannot be filtered stays as it is: 0.
int syscalls_restrict(enum rk_syscall_profile profile, bool required, struct rk_error *e);
