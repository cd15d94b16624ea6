// ports_leaving.c: ports that are to go although their port driver failed to remove them.
//
// How it works: when an owner has ended or a list is taken back, nobody is left who would ask
// again. Such a port stays in the table, with the error as its state, and the removal is tried
// again: after a second, then after twice as long each time, up to a minute, until it is gone or
// somebody removes it or takes it over. A driver that does not answer costs one wait a round, not
// one for each port, because everybody waits for the lock meanwhile.

#include "engine/ports_internal.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PAUSE_FIRST_S 1u
#define PAUSE_MAX_S   60u

int ports_leaving_open(struct rk_ports *ports)
{
	ports->leaving_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ports->leaving_timer < 0)
		return -errno;
	return leases_watch_also(ports->leases, ports->leaving_timer);
}

void ports_leaving_close(struct rk_ports *ports)
{
	fd_close(&ports->leaving_timer);
}

static void start_timer(struct rk_ports *ports, uint32_t pause_s)
{
	const struct itimerspec when = {.it_value = {.tv_sec = pause_s}};

	ports->leaving_pause_s = pause_s;
	// Fails only for arguments that are wrong.
	if (timerfd_settime(ports->leaving_timer, 0, &when, NULL) < 0)
		log_error("timer of the ports that are to go: %s", strerror(errno));
}

// What became of one try; `e` NULL: the driver was not asked.
static void note(struct rk_ports *ports, uint32_t id, int rc, const struct rk_error *e)
{
	struct rk_port *port = ports_find(ports, id);
	bool first;

	if (rc == 0 || !port)
		return;
	first = port->leaving_error == 0;
	port->leaving_error = -rc;
	port->leaving_since_ms = (uint64_t)clock_now_ms();
	if (!first || !e)
		return;
	log_failure(e);
	log_warning("port %u could not be removed; that is tried again until it is gone", id);
}

static void try_removal(struct rk_ports *ports, uint32_t id, int *unanswered)
{
	struct rk_error e;
	int rc;

	if (*unanswered) {
		note(ports, id, *unanswered, NULL);
		return;
	}
	rc = ports_remove_locked(ports, id, &e);
	if (rc == -ETIMEDOUT)
		*unanswered = rc;
	note(ports, id, rc, &e);
}

void ports_let_go(struct rk_ports *ports, uint32_t id, int *unanswered)
{
	try_removal(ports, id, unanswered);
	if (ports_find(ports, id))
		start_timer(ports, PAUSE_FIRST_S);
}

// The highest id below `id` of a port that is to go; 0 = none.
static uint32_t next_leaving(const struct rk_ports *ports, uint32_t id)
{
	for (size_t i = ports->count; i > 0; i--)
		if (ports->items[i - 1].id < id && ports->items[i - 1].leaving_error)
			return ports->items[i - 1].id;
	return 0;
}

void ports_retry_leaving(struct rk_ports *ports)
{
	uint32_t id = UINT32_MAX;
	uint32_t pause_s = 2 * ports->leaving_pause_s;
	uint64_t times;
	int unanswered = 0;

	if (read(ports->leaving_timer, &times, sizeof(times)) < 0)
		return;
	while ((id = next_leaving(ports, id))) {
		try_removal(ports, id, &unanswered);
		if (!ports_find(ports, id))
			log_info("port %u is removed at last", id);
	}
	if (next_leaving(ports, UINT32_MAX))
		start_timer(ports, pause_s < PAUSE_MAX_S ? pause_s : PAUSE_MAX_S);
}

void ports_leaving_report(const struct rk_port *port, struct rk_port_stats *stats)
{
	if (!port->leaving_error)
		return;
	stats->state = PORT_FAILED;
	stats->reason = REASON_ERROR;
	stats->reason_error = port->leaving_error;
	stats->last_error = (struct rk_last_error){.code = port->leaving_error,
		.phase = ERROR_REMOVE,
		.at_ms = port->leaving_since_ms};
}
