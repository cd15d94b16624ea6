// watch.c: one line in the log when the state of a port changes.

#include "engine/watch.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/port_state.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define REST_MS         1000
#define REASON_TEXT_MAX 256

// What was said of a port.
struct said {
	uint32_t id;
	enum rk_port_state state;
	enum rk_port_reason reason;
	uint64_t pauses; // as counted at the last look
};

struct rk_watch {
	struct rk_plane *plane;
	struct rk_ports *ports;
	struct said *said; // by ascending id
	size_t count;
	int stop_fd;
	pthread_t thread;
};

static int by_id(const void *left, const void *right)
{
	uint32_t a = ((const struct said *)left)->id, b = ((const struct said *)right)->id;

	return (a > b) - (a < b);
}

static void say(const struct rk_port_report *report, uint64_t pauses)
{
	char spec[RK_PORT_TEXT_MAX];
	char reason[REASON_TEXT_MAX];

	port_spec_format(&report->port.spec, spec, sizeof(spec));
	port_reason_text(&report->stats, reason, sizeof(reason));
	if (report->stats.state == PORT_LISTENING)
		log_info("port %u (%s) is listening again", report->port.id, spec);
	else if (pauses > 1)
		log_warning("port %u (%s) %s: %s (%llu pauses since the last look)",
			report->port.id, spec, port_state_name(report->stats.state), reason,
			(unsigned long long)pauses);
	else
		log_warning("port %u (%s) %s: %s", report->port.id, spec,
			port_state_name(report->stats.state), reason);
}

// Whether the port has to be looked at again soon, though no worker says so.
static bool look_at(struct said *said, const struct rk_port_report *report)
{
	uint64_t total = plane_pauses(&report->stats);
	uint64_t pauses = total - said->pauses;
	enum rk_port_state state = report->stats.state;

	said->pauses = total;
	// It goes on now, but paused since the last look: that will come again.
	if (said->state == PORT_PAUSED && state != PORT_PAUSED && pauses > 0)
		return true;
	if (state != said->state || report->stats.reason != said->reason) {
		said->state = state;
		said->reason = report->stats.reason;
		say(report, pauses);
	}
	// Its end may be news that no worker has: the clients of another one fare well again.
	return state != PORT_LISTENING;
}

// One look at all ports. Returns whether another is due after the rest.
static bool look(struct rk_watch *watch)
{
	struct rk_port_report *reports = NULL;
	struct rk_error e;
	ssize_t count = ports_report(watch->ports, &reports, &e);
	struct said *said = count > 0 ? calloc((size_t)count, sizeof(*said)) : NULL;
	bool again = false;

	for (ssize_t i = 0; said && i < count; i++) {
		const struct said *former;

		said[i] = (struct said){.id = reports[i].port.id, .state = PORT_LISTENING};
		former = watch->count ? bsearch(&said[i], watch->said, watch->count, sizeof(*said),
						by_id)
				      : NULL;
		if (former)
			said[i] = *former;
		again |= look_at(&said[i], &reports[i]);
	}
	free(reports);
	free(watch->said);
	watch->said = said;
	watch->count = said ? (size_t)count : 0;
	return again;
}

// False when it is to end.
static bool wait_for(struct rk_watch *watch, bool changes, int timeout_ms)
{
	const struct timespec rest = {.tv_sec = REST_MS / 1000};
	struct pollfd fds[] = {
		{watch->stop_fd, POLLIN, 0},
		{changes ? plane_changed_fd(watch->plane) : -1, POLLIN, 0},
	};

	// Out of memory the kernel polls nothing; later it will.
	while (poll(fds, 2, timeout_ms) < 0)
		if (errno != EINTR)
			nanosleep(&rest, NULL);
	return !fds[0].revents;
}

static void *run(void *argument)
{
	struct rk_watch *watch = argument;
	bool again = false;

	while (wait_for(watch, true, again ? 0 : -1)) {
		plane_watch_again(watch->plane);
		again = look(watch);
		if (!wait_for(watch, false, REST_MS))
			break;
	}
	return NULL;
}

int watch_start(struct rk_watch **result, struct rk_plane *plane, struct rk_ports *ports,
	struct rk_error *e)
{
	struct rk_watch *watch = calloc(1, sizeof(*watch));
	sigset_t all, before;
	int rc;

	if (!watch)
		return error_errno(e, ENOMEM, "watch the ports");
	watch->plane = plane;
	watch->ports = ports;
	watch->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = watch->stop_fd < 0 ? errno : 0;
	// Signals are the control thread's.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (rc == 0)
		rc = pthread_create(&watch->thread, NULL, run, watch);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0) {
		*result = watch;
		return 0;
	}
	fd_close(&watch->stop_fd);
	free(watch);
	return error_errno(e, rc, "watch the ports");
}

void watch_stop(struct rk_watch *watch)
{
	const uint64_t one = 1;

	if (!watch)
		return;
	// An eventfd that is written once takes it.
	if (write(watch->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(watch->thread, NULL);
	fd_close(&watch->stop_fd);
	free(watch->said);
	free(watch);
}
