// idmap.h: the user and group id maps of the child's user namespace.
#pragma once

#include "base/error.h"
#include "base/id_map.h"
#include "config/config.h"
#include "nsctl/subid.h"

#include <sys/types.h>

#define IDMAP_EXTENTS_MAX (SUBID_RANGES_MAX + 1)

struct idmap {
	struct rk_id_extent extents[IDMAP_EXTENTS_MAX];
	size_t count;
};

// 0 inside is `own`; 1 and up are the ranges, in their order, without gaps. Ranges that would go
// past the last id are cut.
void idmap_from_ranges(struct idmap *map, uint32_t own, const struct subid_list *ranges);

// Parses /proc/PID/uid_map as this namespace sees itself and maps every id that exists here to the
// same number inside. 0 or -EINVAL.
int idmap_from_identity(struct idmap *map, const char *text, size_t length);

// Writes both maps of `child` for the calling user: newuidmap and newgidmap with every range of
// `source`; root without ranges maps itself and all ids that it has.
// 0 or -code with *e and the remedy.
int idmap_write(pid_t child, enum rk_subid_source source, struct rk_error *e);
