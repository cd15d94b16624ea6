// id_map.c: the lines of /proc/PID/uid_map and gid_map (user_namespaces(7)).

#include "base/id_map.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

// Skips blanks and reads the decimal number behind them.
static bool take_number(const char **at, const char *end, uint32_t *number)
{
	uint64_t value = 0;
	const char *digits;

	while (*at < end && **at == ' ')
		(*at)++;
	for (digits = *at; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
		value = value * 10 + (uint64_t)(**at - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*number = (uint32_t)value;
	return *at > digits;
}

int id_map_next(const char **text, const char *end, struct rk_id_extent *extent)
{
	const char *at = *text;
	const char *line_end;

	if (at == end)
		return 0;
	line_end = memchr(at, '\n', (size_t)(end - at));
	*text = line_end ? line_end + 1 : end;
	if (!line_end)
		line_end = end;
	if (!take_number(&at, line_end, &extent->inside) ||
		!take_number(&at, line_end, &extent->outside) ||
		!take_number(&at, line_end, &extent->count) || at != line_end)
		return -EINVAL;
	if (extent->count == 0 || extent->count > UINT32_MAX - extent->inside ||
		extent->count > UINT32_MAX - extent->outside)
		return -EINVAL;
	return 1;
}
