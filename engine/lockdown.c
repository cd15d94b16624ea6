// lockdown.c: the engine's own choice of rights, files and system calls.

#include "engine/lockdown.h"
#include "base/lockdown/files.h"
#include "base/lockdown/rights.h"
#include "base/lockdown/syscalls.h"
#include "base/log.h"
#include "drivers/driver.h"

#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

// For ports below 1024 that are published later, where the engine has it; and root's to remove its
// state directory from a directory of somebody else (with Landlock it reaches no other files).
static const int kept_rights[] = {CAP_NET_BIND_SERVICE, CAP_DAC_OVERRIDE};
// Root's engine that starts programs which enter a user's namespaces (socat's nsenter, nsctl
// helper).
static const int starter_rights[] = {CAP_NET_BIND_SERVICE, CAP_DAC_OVERRIDE, CAP_SYS_ADMIN,
	CAP_SYS_PTRACE, CAP_SETUID, CAP_SETGID};

bool lockdown_starts_programs(const struct rk_config *config)
{
	return port_driver_find(config->port.driver)->flags & PORT_STARTS_PROGRAMS;
}

// The directory that `path` is in; `copy` holds it.
static const char *parent_of(const char *path, char *copy, size_t size)
{
	snprintf(copy, size, "%s", path);
	return dirname(copy);
}

// The state directory is removed at the end, which is a change to its parent.
static int restrict_files(
	const struct rk_config *config, const struct rk_state_dir *dir, struct rk_error *e)
{
	char parent[PATH_MAX], api[PATH_MAX];
	const struct rk_files_rule rules[] = {
		{"/proc", FILES_READ},
		{dir->path, FILES_OWN},
		{parent_of(dir->path, parent, sizeof(parent)), FILES_REMOVE_EMPTY},
		{parent_of(config->api.socket, api, sizeof(api)), FILES_SOCKET},
	};
	// An empty setting stands for a socket in the state directory.
	unsigned count = COUNT_OF(rules) - (config->api.socket[0] ? 0 : 1);
	struct rk_error reason;

	if (files_restrict(rules, count, &reason) == 0)
		return 0;
	if (config->engine.landlock == TRISTATE_TRUE) {
		*e = reason;
		error_wrap(e, "[engine] landlock");
		return error_hint(e, "set it to auto to go on without");
	}
	log_debug("files are not restricted: %s", reason.text);
	return 0;
}

int lockdown_begin(const struct rk_config *config, const struct rk_state_dir *dir,
	bool starts_programs, struct rk_error *e)
{
	int rc = starts_programs ? rights_keep(starter_rights, COUNT_OF(starter_rights), e)
				 : rights_keep(kept_rights, COUNT_OF(kept_rights), e);

	// A restricted process may not look into /proc/PID/ns of others, which such programs do.
	if (rc < 0 || starts_programs || config->engine.landlock == TRISTATE_FALSE)
		return rc;
	return restrict_files(config, dir, e);
}

int lockdown_finish(const struct rk_config *config, bool starts_programs, struct rk_error *e)
{
	if (config->engine.seccomp == TRISTATE_FALSE)
		return 0;
	return syscalls_restrict(starts_programs ? SYSCALLS_STARTER : SYSCALLS_ENGINE,
		config->engine.seccomp == TRISTATE_TRUE, e);
}
