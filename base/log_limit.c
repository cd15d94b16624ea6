// log_limit.c: lets a line of the log pass once in a while, and counts the others.

#include "base/log_limit.h"

bool log_limit_pass(struct rk_log_limit *limit, uint64_t now_ms, uint64_t *left_out)
{
	if (now_ms < limit->next_ms) {
		limit->left_out++;
		return false;
	}
	*left_out = limit->left_out;
	limit->left_out = 0;
	limit->next_ms = now_ms + LOG_LIMIT_REST_MS;
	return true;
}
