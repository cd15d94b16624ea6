// rights.c: capabilities, with libcap.

#include "base/lockdown/rights.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/capability.h>
#include <sys/prctl.h>

static bool contains(const int *list, size_t count, int value)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == value)
			return true;
	return false;
}

// EPERM: no CAP_SETPCAP; EINVAL: the kernel knows no such capability, nor any above it.
static void shrink_bounding_set(const int *keep, size_t count)
{
	for (int value = 0; cap_get_bound(value) >= 0; value++)
		if (!contains(keep, count, value) && cap_drop_bound(value) < 0)
			return;
}

// The intersection of what we have and what is to be kept; the inheritable set becomes empty.
static int intersect(cap_t had, cap_t left, const int *keep, size_t count)
{
	static const cap_flag_t sets[] = {CAP_PERMITTED, CAP_EFFECTIVE};
	cap_flag_value_t has;

	for (size_t i = 0; i < 2 * count; i++) {
		cap_value_t value = keep[i / 2];

		if (cap_get_flag(had, value, sets[i % 2], &has) < 0 ||
			(has && cap_set_flag(left, sets[i % 2], 1, &value, CAP_SET) < 0))
			return -errno;
	}
	return 0;
}

int rights_keep(const int *keep, size_t count, struct rk_error *e)
{
	cap_t had = cap_get_proc();
	cap_t left = cap_init();
	int rc = had && left ? intersect(had, left, keep, count) : -errno;

	shrink_bounding_set(keep, count);
	if (rc == 0 && (cap_reset_ambient() < 0 || cap_set_proc(left) < 0 ||
			       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0))
		rc = -errno;
	if (had)
		cap_free(had);
	if (left)
		cap_free(left);
	return rc < 0 ? error_errno(e, -rc, "give up capabilities") : 0;
}
