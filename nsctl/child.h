// child.h: the child side of nsctl: root of the new namespaces, parent of the command.
#pragma once

#include "base/error.h"
#include "config/config.h"
#include "drivers/driver.h"

#include <sys/types.h>

// What the child needs to know; all of it is the host side's, copied by clone(2).
struct child_options {
	const struct rk_config *config;
	const struct rk_net_driver *driver;
	const char *state_dir;
	char **command;      // argv, chosen already
	unsigned listen_fds; // activation descriptors 3.. that the command gets
	unsigned workers;    // pool channels to serve; 0 = no helper
	int channel;         // to the host side
	uid_t parent_euid;   // of the host side, for the command's environment
	gid_t parent_egid;
};

// Sets the namespaces up as the host side says, runs the command, ends with everything below it.
__attribute__((noreturn)) void child_main(const struct child_options *options);
