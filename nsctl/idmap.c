// idmap.c: write uid_map and gid_map of the child, through newuidmap(1) and newgidmap(1).
//
// How it works: a process without privilege may map only its own id itself; the two set-uid
// programs of the package uidmap write longer maps after checking /etc/subuid and /etc/subgid, and
// leave setgroups(2) usable. Root of this namespace may write any map of ids that it has: without
// ranges of its own it gets the identity, so that nothing changes owner for it.

#include "nsctl/idmap.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/spawn.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAP_PROGRAM_TIMEOUT_MS 10000
#define MAP_TEXT_MAX           (IDMAP_EXTENTS_MAX * 36) // three numbers of 10 digits a line
#define MAP_ARGUMENTS_MAX      (2 + 3 * IDMAP_EXTENTS_MAX + 1)

// One of the two maps.
struct map_kind {
	const char *program;
	const char *subid_file;
	const char *proc_name;
	bool groups;
};

static const struct map_kind uid_kind = {"newuidmap", "/etc/subuid", "uid_map", false};
static const struct map_kind gid_kind = {"newgidmap", "/etc/subgid", "gid_map", true};

void idmap_from_ranges(struct idmap *map, uint32_t own, const struct subid_list *ranges)
{
	uint32_t next = 1;

	map->extents[0] = (struct rk_id_extent){0, own, 1};
	map->count = 1;
	for (size_t i = 0; i < ranges->count && next < UINT32_MAX; i++) {
		struct rk_id_extent *extent = &map->extents[map->count++];

		extent->inside = next;
		extent->outside = ranges->ranges[i].start;
		extent->count = ranges->ranges[i].count;
		if (extent->count > UINT32_MAX - next)
			extent->count = UINT32_MAX - next;
		next += extent->count;
	}
}

int idmap_from_identity(struct idmap *map, const char *text, size_t length)
{
	const char *end = text + length;
	int rc = 1;

	map->count = 0;
	while (rc > 0 && map->count < IDMAP_EXTENTS_MAX) {
		struct rk_id_extent *extent = &map->extents[map->count];

		rc = id_map_next(&text, end, extent);
		if (rc < 0)
			return rc;
		extent->outside = extent->inside;
		map->count += (size_t)rc;
	}
	return map->count > 0 ? 0 : -EINVAL;
}

static void format_map(const struct idmap *map, char *text, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < map->count; i++) {
		const struct rk_id_extent *extent = &map->extents[i];

		used += (size_t)snprintf(text + used, size - used, "%u %u %u\n", extent->inside,
			extent->outside, extent->count);
	}
}

static int write_directly(
	const struct map_kind *kind, pid_t child, const struct idmap *map, struct rk_error *e)
{
	char text[MAP_TEXT_MAX];
	char path[64];
	int rc;

	format_map(map, text, sizeof(text));
	snprintf(path, sizeof(path), "/proc/%d/%s", child, kind->proc_name);
	rc = file_write_text(path, text);
	return rc < 0 ? error_errno(e, -rc, "write %s", path) : 0;
}

static int explain_program(const struct map_kind *kind, int code, struct rk_error *e)
{
	if (code == ENOENT)
		return error_hint(e, "install the package uidmap");
	return error_hint(e,
		"%s must be set-uid root or have its file capability (package uidmap), and %s must "
		"list the range",
		kind->program, kind->subid_file);
}

// PROGRAM PID INSIDE OUTSIDE COUNT ...
static int run_program(
	const struct map_kind *kind, pid_t child, const struct idmap *map, struct rk_error *e)
{
	char numbers[1 + 3 * IDMAP_EXTENTS_MAX][12];
	const char *argv[MAP_ARGUMENTS_MAX];
	char output[256];
	char how[64];
	size_t used = 0;
	int status;

	snprintf(numbers[used++], sizeof(numbers[0]), "%d", child);
	for (size_t i = 0; i < map->count; i++) {
		const struct rk_id_extent *extent = &map->extents[i];

		snprintf(numbers[used++], sizeof(numbers[0]), "%u", extent->inside);
		snprintf(numbers[used++], sizeof(numbers[0]), "%u", extent->outside);
		snprintf(numbers[used++], sizeof(numbers[0]), "%u", extent->count);
	}
	argv[0] = kind->program;
	for (size_t i = 0; i < used; i++)
		argv[1 + i] = numbers[i];
	argv[1 + used] = NULL;
	status = spawn_run(argv, output, sizeof(output), MAP_PROGRAM_TIMEOUT_MS, e);
	if (status == 0)
		return 0;
	if (status < 0)
		return explain_program(kind, -status, e);
	output[strcspn(output, "\n")] = '\0';
	error_set(e, EPERM, "%s %s: %s", kind->program,
		process_describe_status(status, how, sizeof(how)), output);
	return explain_program(kind, EPERM, e);
}

static int explain_no_range(const struct map_kind *kind, const char *user, struct rk_error *e)
{
	error_set(e, ENOENT, "no range of subordinate %s ids for user %s",
		kind->groups ? "group" : "user", user);
	return error_hint(e,
		"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s",
		user);
}

static int write_identity(const struct map_kind *kind, pid_t child, struct rk_error *e)
{
	char text[MAP_TEXT_MAX];
	char path[64];
	struct idmap map;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/%s", kind->proc_name);
	length = file_read_text(path, text, sizeof(text));
	if (length < 0)
		return error_errno(e, (int)-length, "read %s", path);
	if (idmap_from_identity(&map, text, (size_t)length) < 0)
		return error_set(e, EINVAL, "%s: not understood", path);
	return write_directly(kind, child, &map, e);
}

// auto: what getsubids cannot tell (it is missing, it knows no user without a name) stands in the
// files or nowhere.
static int read_ranges(const struct map_kind *kind, enum rk_subid_source source, const char *user,
	struct subid_list *list, struct rk_error *e)
{
	struct rk_error *program_error = source == SUBID_DYNAMIC ? e : NULL;
	int rc;

	list->count = 0;
	rc = source == SUBID_STATIC ? 0
				    : subid_read_program(list, user, kind->groups, program_error);
	if (source == SUBID_DYNAMIC || list->count > 0)
		return rc;
	rc = subid_read_file(list, kind->subid_file, user, geteuid());
	return rc < 0 ? error_errno(e, -rc, "read %s", kind->subid_file) : 0;
}

static int write_one(const struct map_kind *kind, pid_t child, uint32_t own,
	enum rk_subid_source source, const char *user, bool *identity, struct rk_error *e)
{
	struct subid_list list;
	struct idmap map;
	int rc;

	if (*identity)
		return write_identity(kind, child, e);
	rc = read_ranges(kind, source, user, &list, e);
	if (rc < 0)
		return rc;
	if (list.count == 0 && geteuid() != 0)
		return explain_no_range(kind, user, e);
	if (list.count == 0) {
		*identity = true;
		return write_identity(kind, child, e);
	}
	idmap_from_ranges(&map, own, &list);
	return run_program(kind, child, &map, e);
}

int idmap_write(pid_t child, enum rk_subid_source source, struct rk_error *e)
{
	struct passwd *user = getpwuid(geteuid());
	char number[16];
	bool identity = false;
	const char *name;
	int rc;

	snprintf(number, sizeof(number), "%u", geteuid());
	name = user ? user->pw_name : number;
	rc = write_one(&uid_kind, child, geteuid(), source, name, &identity, e);
	if (rc < 0)
		return rc;
	if (identity)
		log_debug("root has no subordinate ids: its own ids are mapped as they are");
	return write_one(&gid_kind, child, getegid(), source, name, &identity, e);
}
