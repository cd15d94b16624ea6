// subid.h: the ranges of subordinate ids that a user may map.
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The kernel takes 340 extents a map (user_namespaces(7)); one is the caller's own id.
#define SUBID_RANGES_MAX 339

struct subid_range {
	uint32_t start;
	uint32_t count;
};

struct subid_list {
	struct subid_range ranges[SUBID_RANGES_MAX];
	size_t count;
};

// Collects, in file order, the ranges whose first field is `user` or the decimal `uid`
// (subuid(5)). `user` may be "". (text, length) needs no NUL. Lines that are no NAME:START:COUNT
// are passed over as the shadow tools do; ranges beyond SUBID_RANGES_MAX are left out.
void subid_parse(
	struct subid_list *list, const char *text, size_t length, const char *user, uint32_t uid);

// The same for a file; a file that is not there has no ranges. 0 or -errno (-EFBIG: over 4 MiB).
int subid_read_file(struct subid_list *list, const char *path, const char *user, uint32_t uid);

// Collects the ranges of what getsubids(1) prints: lines "INDEX: USER START COUNT"; other lines are
// passed over.
void subid_parse_program(struct subid_list *list, const char *text, size_t length);

// Asks getsubids(1), which knows every source that nsswitch.conf names. A user without ranges is no
// error. 0 or -code with *e.
int subid_read_program(struct subid_list *list, const char *user, bool groups, struct rk_error *e);
