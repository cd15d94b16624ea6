// pool.c: sockets of the child's namespace, made ahead of need by the helper inside it.

#include "engine/pool.h"

#include "base/fd.h"

#include <errno.h>
#include <string.h>

enum rk_socket_kind pool_kind(int socktype, int family)
{
	if (socktype == SOCK_STREAM)
		return family == AF_INET6 ? SOCKET_TCP6 : SOCKET_TCP4;
	return family == AF_INET6 ? SOCKET_UDP6 : SOCKET_UDP4;
}

void pool_init(struct rk_pool *pool, uint32_t size)
{
	memset(pool, 0, sizeof(*pool));
	pool->channel = -1;
	pool->size = size < POOL_SIZE_MAX ? size : POOL_SIZE_MAX;
	for (unsigned kind = 0; kind < SOCKET_KIND_COUNT; kind++)
		list_init(&pool->kinds[kind].waiting);
}

void pool_close(struct rk_pool *pool)
{
	for (unsigned kind = 0; kind < SOCKET_KIND_COUNT; kind++)
		while (pool->kinds[kind].count > 0)
			fd_close(&pool->kinds[kind].fds[--pool->kinds[kind].count]);
	fd_close(&pool->channel);
}

static void note_request(struct rk_pool *pool, enum rk_socket_kind kind, uint32_t count)
{
	pool->kinds[kind].requested += count;
	pool->kinds[kind].requests++;
}

static void refill_kind(struct rk_pool *pool, struct rk_timers *timers, enum rk_socket_kind kind)
{
	uint32_t have = pool->kinds[kind].count + pool->kinds[kind].requested;
	uint32_t level = pool->kinds[kind].level;
	struct rk_msg_pool request = {.kind = kind};

	if (pool->channel < 0 || level == 0 || have > level / 2)
		return;
	if (pool->kinds[kind].error == EAFNOSUPPORT)
		return; // the child's kernel has no IPv6: that does not change
	request.count = level - have;
	if (msg_send(pool->channel, MSG_POOL_REQUEST, &request, sizeof(request), NULL, 0) == 0)
		note_request(pool, kind, request.count);
	else if (!node_is_linked(&pool->retry.node))
		timer_start(timers, &pool->retry, TIMER_POOL);
}

void pool_refill(struct rk_pool *pool, struct rk_timers *timers)
{
	for (unsigned kind = 0; kind < SOCKET_KIND_COUNT; kind++)
		refill_kind(pool, timers, kind);
}

int pool_set_channel(struct rk_pool *pool, struct rk_timers *timers, int channel)
{
	int former = pool->channel;

	pool->channel = channel;
	for (unsigned kind = 0; kind < SOCKET_KIND_COUNT; kind++)
		pool->kinds[kind].requested = 0;
	pool_refill(pool, timers);
	return former;
}

void pool_want(
	struct rk_pool *pool, struct rk_timers *timers, enum rk_socket_kind kind, uint32_t level)
{
	if (level > pool->size)
		level = pool->size;
	if (level > pool->kinds[kind].level)
		pool->kinds[kind].level = level;
	refill_kind(pool, timers, kind);
}

int pool_take_wanted(struct rk_pool *pool, struct rk_timers *timers, enum rk_socket_kind kind)
{
	int fd = -1;

	if (pool->kinds[kind].count > 0)
		fd = pool->kinds[kind].fds[--pool->kinds[kind].count];
	else
		pool->kinds[kind].empty++;
	refill_kind(pool, timers, kind);
	return fd;
}

int pool_take(struct rk_pool *pool, struct rk_timers *timers, enum rk_socket_kind kind)
{
	// Perhaps of a kind that no port's own target has: a client of the other family that cannot
	// be shown leads to the namespace's address of its family.
	pool->kinds[kind].level = pool->size;
	return pool_take_wanted(pool, timers, kind);
}

static void keep_sockets(struct rk_pool *pool, enum rk_socket_kind kind, struct rk_message *message)
{
	uint32_t *requested = &pool->kinds[kind].requested;
	uint32_t promised = message->pool.count;

	*requested -= promised < *requested ? promised : *requested;
	for (unsigned i = 0; i < message->fd_count; i++) {
		if (pool->kinds[kind].count == POOL_SIZE_MAX)
			fd_close(&message->fds[i]);
		else
			pool->kinds[kind].fds[pool->kinds[kind].count++] = message->fds[i];
	}
	message->fd_count = 0;
}

static enum rk_pool_event handle_sockets(
	struct rk_pool *pool, struct rk_timers *timers, struct rk_message *message)
{
	enum rk_socket_kind kind = message->pool.kind;

	if (message->pool.error) {
		pool->kinds[kind].error = message->pool.error;
		pool->kinds[kind].failures++;
		pool->kinds[kind].requested = 0;
		timer_start(timers, &pool->retry, TIMER_POOL);
		return POOL_FILLED;
	}
	pool->kinds[kind].error = 0;
	keep_sockets(pool, kind, message);
	if (!message->fds_lost)
		return POOL_FILLED;
	timer_start(timers, &pool->retry, TIMER_POOL);
	return POOL_LOST_SOCKETS;
}

enum rk_pool_event pool_receive(struct rk_pool *pool, struct rk_timers *timers)
{
	struct rk_message message;
	int result = pool->channel < 0 ? -EAGAIN : msg_receive(pool->channel, &message);

	if (result == -EAGAIN || result == -EINTR)
		return POOL_IDLE;
	// What is there stays there: the retry reads it.
	if (result == -ENOMEM || result == -ENOBUFS) {
		timer_start(timers, &pool->retry, TIMER_POOL);
		return POOL_IDLE;
	}
	if (result == 1 && msg_is_legal(PHASE_POOL, message.header.type) &&
		message.header.type == MSG_POOL_SOCKETS && message.pool.kind < SOCKET_KIND_COUNT)
		return handle_sockets(pool, timers, &message);
	if (result == 1)
		msg_close_fds(&message);
	return POOL_HELPER_GONE;
}
