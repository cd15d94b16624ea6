// files.c: Landlock by its system calls, which libc has no functions for.

#include "base/lockdown/files.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

// Newer than Debian 12's headers (values from the kernel's include/uapi/linux/landlock.h).
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) // ABI 3, Linux 6.2
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15) // ABI 5, Linux 6.10
#endif
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0) // ABI 6, Linux 6.12

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_ABI1 (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1) // the bits up to it, all of ABI 1
#define ACCESS_OWN                                                                                 \
	((ACCESS_ABI1 | LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE) &                  \
		~(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                      \
			LANDLOCK_ACCESS_FS_MAKE_BLOCK))

// The kernel takes a longer struct than it knows when the rest is zero.
struct ruleset {
	uint64_t handled_fs;
	uint64_t handled_net;
	uint64_t scoped;
};

static const uint64_t right_access[] = {
	[FILES_READ] = ACCESS_READ,
	[FILES_OWN] = ACCESS_OWN,
	[FILES_REMOVE_EMPTY] = LANDLOCK_ACCESS_FS_REMOVE_DIR,
	[FILES_SOCKET] = LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE,
};

// What this kernel can refuse.
static struct ruleset known_rights(long abi)
{
	struct ruleset ruleset = {.handled_fs = ACCESS_ABI1};

	if (abi >= 2)
		ruleset.handled_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		ruleset.handled_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi >= 5)
		ruleset.handled_fs |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	if (abi >= 6)
		ruleset.scoped = SCOPE_ABSTRACT_UNIX_SOCKET;
	return ruleset;
}

static int add_rule(int ruleset_fd, const struct ruleset *known, const struct rk_files_rule *rule,
	struct rk_error *e)
{
	RK_CLEANUP_FD int path_fd = open(rule->path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr attribute = {
		.allowed_access = right_access[rule->right] & known->handled_fs,
		.parent_fd = path_fd,
	};

	if (path_fd < 0 && errno == ENOENT)
		return 0;
	if (path_fd < 0)
		return error_errno(e, errno, "Landlock: %s", rule->path);
	if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &attribute, 0) <
		0)
		return error_errno(e, errno, "Landlock: rule for %s", rule->path);
	return 0;
}

int files_restrict(const struct rk_files_rule *rules, unsigned count, struct rk_error *e)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset known = known_rights(abi);
	RK_CLEANUP_FD int ruleset_fd = -1;
	int rc = 0;

	if (abi < 0)
		return error_errno(e, errno, "Landlock");
	ruleset_fd = (int)syscall(SYS_landlock_create_ruleset, &known, sizeof(known), 0);
	if (ruleset_fd < 0)
		return error_errno(e, errno, "Landlock: make a set of rules");
	for (unsigned i = 0; i < count && rc == 0; i++)
		rc = add_rule(ruleset_fd, &known, &rules[i], e);
	if (rc < 0)
		return rc;
	if (syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0)
		return error_errno(e, errno, "Landlock: restrict ourselves");
	return 0;
}
