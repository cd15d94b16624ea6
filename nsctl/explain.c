// explain.c: why the kernel refuses namespaces here, and which sysctl allows them.

#include "nsctl/explain.h"
#include "base/fd.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define APPARMOR_SYSCTL "kernel.apparmor_restrict_unprivileged_userns"

static bool sysctl_is(const char *path, long value)
{
	char text[32];

	return file_read_text(path, text, sizeof(text)) > 0 && strtol(text, NULL, 10) == value;
}

static bool apparmor_restricts(void)
{
	return sysctl_is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1);
}

static int hint_permission(struct rk_error *e)
{
	if (sysctl_is("/proc/sys/kernel/unprivileged_userns_clone", 0))
		return error_hint(e, "as root: sysctl -w kernel.unprivileged_userns_clone=1");
	if (apparmor_restricts())
		return error_hint(e, "as root: sysctl -w " APPARMOR_SYSCTL
				     "=0, or an AppArmor profile that allows userns for nsctl");
	return error_hint(e, "a container's seccomp profile or a chroot forbids user namespaces: "
			     "allow clone with CLONE_NEWUSER");
}

int explain_clone(int code, struct rk_error *e)
{
	error_errno(e, code, "create the namespaces");
	switch (code) {
	case EPERM:
	case EACCES:
		return hint_permission(e);
	case ENOSPC:
	case EUSERS:
		return error_hint(e, "the limit of namespaces is reached; as root: "
				     "sysctl -w user.max_user_namespaces=28633 "
				     "(and user.max_net_namespaces, user.max_mnt_namespaces)");
	case ENOSYS:
	case EINVAL:
		return error_hint(e, "needs Linux 5.10 with CONFIG_USER_NS, and a seccomp profile "
				     "that knows clone3");
	default:
		return -code;
	}
}

int explain_denied(struct rk_error *e)
{
	if ((e->code == EPERM || e->code == EACCES) && !e->hint[0] && apparmor_restricts())
		return error_hint(e,
			"AppArmor takes the capabilities of the user namespace away; as root: "
			"sysctl -w " APPARMOR_SYSCTL "=0");
	return -e->code;
}
