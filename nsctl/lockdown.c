// lockdown.c: the choice of rights and system calls for the processes of nsctl.

#include "nsctl/lockdown.h"
#include "base/lockdown/rights.h"
#include "base/lockdown/syscalls.h"
#include "base/log.h"

#include <linux/capability.h>

// The last is for killing processes of other users of the namespaces.
static const int network_and_kill[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_KILL};
static const int only_kill[] = {CAP_KILL};

static int restrict_calls(
	enum rk_syscall_profile profile, enum rk_tristate seccomp, struct rk_error *e)
{
	if (seccomp == TRISTATE_FALSE)
		return 0;
	return syscalls_restrict(profile, seccomp == TRISTATE_TRUE, e);
}

// The user owns the namespaces, so killing in there takes no capability.
int lockdown_host(const struct rk_config *config, struct rk_error *e)
{
	int rc = rights_keep(NULL, 0, e);

	return rc < 0 ? rc : restrict_calls(SYSCALLS_MANAGER, config->engine.seccomp, e);
}

void lockdown_child(const struct rk_config *config, bool keeps_network)
{
	struct rk_error e;
	int rc = keeps_network ? rights_keep(network_and_kill, 3, &e)
			       : rights_keep(only_kill, 1, &e);

	if (rc == 0)
		rc = restrict_calls(SYSCALLS_MANAGER, config->engine.seccomp, &e);
	if (rc < 0)
		log_failure(&e);
}

void lockdown_helper(bool keeps_network, enum rk_tristate seccomp)
{
	struct rk_error e;
	int rc = rights_keep(network_and_kill, keeps_network ? 2 : 0, &e);

	if (rc == 0)
		rc = restrict_calls(SYSCALLS_HELPER, seccomp, &e);
	if (rc < 0)
		log_failure(&e);
}
