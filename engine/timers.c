// timers.c: deadlines of one worker, in lists of equal delay.

#include "engine/timers.h"

#include "base/clock.h"

void timers_update(struct rk_timers *timers)
{
	timers->now_ms = (uint64_t)clock_now_ms();
}

void timers_init(struct rk_timers *timers, const uint64_t delays_ms[TIMER_KIND_COUNT])
{
	for (unsigned kind = 0; kind < TIMER_KIND_COUNT; kind++) {
		list_init(&timers->kinds[kind].list);
		timers->kinds[kind].delay_ms = delays_ms[kind];
	}
	timers_update(timers);
}

static struct rk_timer *first_timer(const struct rk_timers *timers, unsigned kind)
{
	struct rk_node *node = list_first(&timers->kinds[kind].list);

	return node ? RK_CONTAINER_OF(node, struct rk_timer, node) : NULL;
}

struct rk_timer *timers_expired(struct rk_timers *timers, enum rk_timer_kind kind)
{
	struct rk_timer *timer = first_timer(timers, kind);

	if (!timer || timer->deadline_ms > timers->now_ms)
		return NULL;
	timer_stop(timer);
	timers->kinds[kind].fired++;
	return timer;
}

int64_t timers_wait_ms(const struct rk_timers *timers)
{
	int64_t wait = -1;

	for (unsigned kind = 0; kind < TIMER_KIND_COUNT; kind++) {
		const struct rk_timer *timer = first_timer(timers, kind);
		int64_t left;

		if (!timer)
			continue;
		left = timer->deadline_ms > timers->now_ms
			       ? (int64_t)(timer->deadline_ms - timers->now_ms)
			       : 0;
		if (wait < 0 || left < wait)
			wait = left;
	}
	return wait;
}
