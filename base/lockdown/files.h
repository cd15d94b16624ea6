// files.h: limit the files that a process can reach, with Landlock.
//
// How it works: what a rule does not allow is refused with EACCES from then on, to this thread and
// to whatever threads and processes it makes afterwards; so it comes before the threads.
// Descriptors that are open stay of use, UNIX sockets can be connected to by path. Where the kernel
// knows how (6.12), abstract UNIX sockets of other processes are out of reach, too.
#pragma once

#include "base/error.h"

enum rk_files_right {
	FILES_READ,         // read files and list directories
	FILES_OWN,          // everything but executing and making device nodes
	FILES_REMOVE_EMPTY, // remove directories that are empty
	FILES_SOCKET,       // make a UNIX socket and remove files
};

// `path` and everything below it. What does not exist needs no rule and is passed over.
struct rk_files_rule {
	const char *path;
	enum rk_files_right right;
};

// Allows what the `count` rules say and nothing else; needs no_new_privs or CAP_SYS_ADMIN. 0, or
// -code with *e (ENOSYS, EOPNOTSUPP: the kernel has no Landlock; nothing is restricted then).
int files_restrict(const struct rk_files_rule *rules, unsigned count, struct rk_error *e);
