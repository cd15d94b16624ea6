// id_map.h: the lines of /proc/PID/uid_map and gid_map (user_namespaces(7)).
#pragma once

#include <stdint.h>

struct rk_id_extent {
	uint32_t inside;  // the first id in the namespace
	uint32_t outside; // and the id that it is to the reader of the file
	uint32_t count;
};

// Takes the line at *text, which ends before `end`, and moves *text behind it. 1 = *extent, whose
// ids all exist (UINT32_MAX is none); 0 = there is no more; -EINVAL = the line is something else.
int id_map_next(const char **text, const char *end, struct rk_id_extent *extent);
