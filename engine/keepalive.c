// keepalive.c: how a connection finds out that its peer is gone without a word.

#include "engine/keepalive.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define PROBES 5u

static int set(int fd, int level, int option, uint32_t value)
{
	int number = (int)value;

	return setsockopt(fd, level, option, &number, sizeof(number)) < 0 ? -errno : 0;
}

static int set_times(int fd, uint32_t time_s)
{
	uint32_t interval_s = (time_s + PROBES - 1) / PROBES;
	int result = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, time_s);

	if (result == 0)
		result = set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s);
	if (result == 0)
		result = set(fd, IPPROTO_TCP, TCP_KEEPCNT, (time_s + interval_s - 1) / interval_s);
	return result;
}

int keepalive_apply(const struct rk_keepalive *keepalive, int fd)
{
	int result = 0;

	if (keepalive->off)
		result = set(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
	else if (keepalive->time_s > 0)
		result = set_times(fd, keepalive->time_s);
	if (result == 0 && keepalive->user_timeout_ms > 0)
		result = set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, keepalive->user_timeout_ms);
	return result;
}
