// plane.c: the data plane as the control thread sees it: start, ports, stop.

#include "engine/plane.h"

#include "base/fd.h"
#include "base/msg.h"
#include "engine/bulk.h"
#include "engine/plane_internal.h"
#include "engine/sockets.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

// Descriptors that are nobody's flow: listeners of a few ports, the rings, the control thread's.
#define DESCRIPTORS_RESERVED 96
#define POOL_SIZE_MIN        4
// A range leaves each worker this many descriptors for clients.
#define RANGE_ROOM_MIN 64

uint32_t plane_choose_workers(uint32_t configured)
{
	cpu_set_t allowed;

	if (configured == 0 && sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		configured = (uint32_t)CPU_COUNT(&allowed);
	if (configured == 0)
		configured = 1;
	return configured < RK_MSG_FDS_MAX ? configured : RK_MSG_FDS_MAX;
}

// Fits pools, pipes and flows into RLIMIT_NOFILE: a TCP flow has two descriptors, and so has a
// pipe, a pool holds up to four kinds of sockets. So a worker never accepts a client for whose
// other half no descriptor is left.
static void fit_descriptors(struct rk_plane_options *options)
{
	struct rlimit limit = {.rlim_cur = 1024};
	uint32_t each, flows;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > UINT32_MAX)
		limit.rlim_cur = UINT32_MAX;
	each = limit.rlim_cur > DESCRIPTORS_RESERVED
		       ? (uint32_t)(limit.rlim_cur - DESCRIPTORS_RESERVED) / options->workers
		       : 0;
	if (options->pool_size > each / 16)
		options->pool_size = each / 16 > POOL_SIZE_MIN ? each / 16 : POOL_SIZE_MIN;
	options->pipes = bulk_pipes(options->bulk, options->workers, each);
	each -= 2 * options->pipes;
	options->descriptors = each > SOCKET_KIND_COUNT * options->pool_size
				       ? each - SOCKET_KIND_COUNT * options->pool_size
				       : 0;
	flows = options->descriptors / 2;
	if (options->max_flows > flows)
		options->max_flows = flows > WORKER_FLOWS_MIN ? flows : WORKER_FLOWS_MIN;
}

// Workers take no signals: those are the control thread's.
static int start_thread(struct rk_worker *worker)
{
	sigset_t all, before;
	int result;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&worker->thread, NULL, worker_run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -result;
}

static int start_worker(struct rk_plane *plane, const struct rk_plane_options *options)
{
	struct rk_worker *worker = &plane->workers[plane->started];
	int result;

	worker->options = *options;
	worker->number = plane->started;
	worker->helper_lost_fd = plane->helper_lost_fd;
	worker->notice = &plane->notice;
	worker->mailbox[0] = worker->mailbox[1] = -1;
	result = worker_init(worker);
	if (result == 0)
		result = start_thread(worker);
	if (result < 0) {
		worker_free(worker);
		return result;
	}
	while (sem_wait(&worker->started) < 0)
		;
	if (worker->start_result < 0) {
		pthread_join(worker->thread, NULL);
		worker_free(worker);
		return worker->start_result;
	}
	plane->started++;
	return 0;
}

static int explain_start(int code, enum rk_io_mode io, struct rk_error *e)
{
	error_errno(e, code, "cannot start the data plane");
	if (io != IO_URING)
		return -code;
	if (code == EPERM || code == ENOSYS)
		return error_hint(e,
			"io_uring is forbidden here: see `sysctl kernel.io_uring_disabled` "
			"and the container's seccomp profile, or set [engine] io = epoll");
	if (code == ENOMEM)
		return error_hint(e, "raise the limit of locked memory (ulimit -l)");
	if (code == EINVAL)
		return error_hint(e, "the io_uring of this kernel lacks what the engine needs (it "
				     "came with Linux 6.0): set [engine] io = auto or epoll");
	return -code;
}

int plane_start(
	struct rk_plane **result, const struct rk_plane_options *options, struct rk_error *e)
{
	struct rk_plane *plane = calloc(1, sizeof(*plane));
	struct rk_plane_options fitted = *options;
	int code = plane ? 0 : -ENOMEM;

	fit_descriptors(&fitted);
	if (code == 0) {
		plane->worker_count = options->workers;
		plane->keepalive = options->keepalive;
		plane->max_pending = options->max_pending;
		plane->descriptors = fitted.descriptors;
		plane->helper_lost_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		plane->notice.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		plane->workers = calloc(options->workers, sizeof(*plane->workers));
		code = !plane->workers                                     ? -ENOMEM
		       : plane->helper_lost_fd < 0 || plane->notice.fd < 0 ? -errno
									   : 0;
	}
	while (code == 0 && plane->started < options->workers)
		code = start_worker(plane, &fitted);
	if (code < 0) {
		if (plane)
			plane_stop(plane);
		return explain_start(-code, options->io, e);
	}
	*result = plane;
	return 0;
}

// Memory may have been enough for the rings of some workers only.
const char *plane_io_name(const struct rk_plane *plane)
{
	const char *name = ring_name(plane->workers[0].ring);

	for (uint32_t i = 1; i < plane->worker_count; i++)
		if (strcmp(ring_name(plane->workers[i].ring), name) != 0)
			return "mixed";
	return name;
}

int plane_check(struct rk_plane *plane, struct rk_error *e)
{
	for (uint32_t i = 0; i < plane->worker_count; i++) {
		int code = atomic_load_explicit(&plane->workers[i].broken, memory_order_acquire);

		if (!code)
			continue;
		error_errno(e, code, "worker %u of the data plane cannot go on: %s", i,
			ring_name(plane->workers[i].ring));
		return error_hint(
			e, "start again; if it stays, set [engine] io to the other method");
	}
	return 0;
}

int plane_helper_lost_fd(const struct rk_plane *plane)
{
	return plane->helper_lost_fd;
}

static int hand_channel(struct rk_worker *worker, int channel)
{
	struct rk_command command = {.type = COMMAND_HELPER, .channel = channel};
	int result = fd_set_nonblocking(channel, true);

	return result < 0 ? result : worker_command(worker, &command);
}

static void close_channels(const int *channels, unsigned first, unsigned count)
{
	for (unsigned i = first; i < count; i++)
		close(channels[i]);
}

int plane_set_helper(
	struct rk_plane *plane, const int *channels, unsigned count, struct rk_error *e)
{
	if (count != plane->worker_count) {
		close_channels(channels, 0, count);
		return error_set(e, EPROTO, "the helper sent %u channels for %u workers", count,
			plane->worker_count);
	}
	for (unsigned i = 0; i < count; i++) {
		int result = hand_channel(&plane->workers[i], channels[i]);

		if (result == 0)
			continue;
		close_channels(channels, i, count);
		return error_errno(e, -result, "cannot hand the helper's channel to worker %u", i);
	}
	return 0;
}

// --- ports

// Frees what the workers are done with.
static void free_retired(struct rk_plane *plane)
{
	for (uint32_t i = 0; i < plane->worker_count; i++) {
		struct rk_share *share = atomic_exchange_explicit(
			&plane->workers[i].retired, NULL, memory_order_acquire);

		while (share) {
			struct rk_share *next = share->next_retired;

			free(share);
			share = next;
		}
	}
}

struct rk_plane_port **plane_find_port(struct rk_plane *plane, uint32_t id)
{
	struct rk_plane_port **link = &plane->ports[id % PLANE_PORT_BUCKETS];

	while (*link && (*link)->id != id)
		link = &(*link)->next;
	return link;
}

static void free_port(struct rk_plane_port *port, uint32_t count)
{
	for (uint32_t i = 0; port && i < count; i++)
		free(port->shares[i]);
	free(port);
}

// What one of the sockets of a port and address gets of the bound on pending clients, rounded up.
static uint32_t pending_share(const struct rk_plane *plane, const struct rk_forward *forward)
{
	unsigned sockets = sockets_per_port(forward, plane->worker_count);

	return (uint32_t)(((uint64_t)plane->max_pending + sockets - 1) / sockets);
}

static struct rk_plane_port *make_port(struct rk_plane *plane, const struct rk_forward *forward)
{
	size_t listeners = sockets_capacity(forward, plane->worker_count);
	struct rk_plane_port *port =
		calloc(1, sizeof(*port) + plane->worker_count * sizeof(port->shares[0]));

	if (!port)
		return NULL;
	port->id = forward->id;
	port->sockets = sockets_needed(forward, plane->worker_count);
	for (uint32_t i = 0; i < plane->worker_count; i++) {
		port->shares[i] =
			calloc(1, sizeof(struct rk_share) + listeners * sizeof(struct rk_listener));
		if (!port->shares[i]) {
			free_port(port, plane->worker_count);
			return NULL;
		}
		port->shares[i]->forward = *forward;
		port->shares[i]->keepalive = plane->keepalive;
		port->shares[i]->max_pending = pending_share(plane, forward);
	}
	return port;
}

static int hand_over(struct rk_plane *plane, struct rk_plane_port *port)
{
	int result = 0;

	for (uint32_t i = 0; i < plane->worker_count; i++) {
		struct rk_command command = {.type = COMMAND_ADD, .share = port->shares[i]};
		int added = worker_command(&plane->workers[i], &command);

		if (result == 0)
			result = added;
	}
	return result;
}

// A range that leaves no descriptors for clients is refused before the first socket is made.
static int check_descriptors(
	const struct rk_plane *plane, const struct rk_forward *forward, struct rk_error *e)
{
	unsigned sockets = plane->sockets + sockets_needed(forward, plane->worker_count);
	unsigned room = plane->worker_count * plane->descriptors;
	unsigned least = plane->worker_count * RANGE_ROOM_MIN;
	struct rlimit limit = {0};

	if (forward->port_count == 1 || sockets + least <= room)
		return 0;
	getrlimit(RLIMIT_NOFILE, &limit);
	error_set(e, EMFILE, "%u ports need %u descriptors, and %u are left", forward->port_count,
		sockets - plane->sockets,
		room > plane->sockets + least ? room - plane->sockets - least : 0);
	return error_hint(e,
		"raise the hard limit of open files from %llu to %llu or more (ulimit -Hn, "
		"LimitNOFILE= of the service)",
		(unsigned long long)limit.rlim_max,
		(unsigned long long)limit.rlim_cur + sockets + least - room);
}

int plane_add(struct rk_plane *plane, struct rk_forward *forward, struct rk_error *e)
{
	struct rk_plane_port *port;
	int result = check_descriptors(plane, forward, e);

	if (result < 0)
		return result;
	port = make_port(plane, forward);
	free_retired(plane);
	if (!port)
		return error_errno(e, ENOMEM, "cannot add port %u", forward->id);
	result = sockets_open(port->shares, plane->worker_count, e);
	if (result < 0) {
		free_port(port, plane->worker_count);
		return result;
	}
	memcpy(forward->listeners, port->shares[0]->forward.listeners, sizeof(forward->listeners));
	*plane_find_port(plane, forward->id) = port;
	plane->sockets += port->sockets;
	result = hand_over(plane, port);
	if (result < 0) {
		plane_remove(plane, forward->id, NULL);
		return error_errno(e, -result, "cannot add port %u", forward->id);
	}
	return 0;
}

int plane_remove(struct rk_plane *plane, uint32_t id, struct rk_error *e)
{
	struct rk_plane_port **link = plane_find_port(plane, id);
	struct rk_plane_port *port = *link;

	if (!port)
		return error_set(e, ENOENT, "no port has the id %u", id);
	*link = port->next;
	plane->sockets -= port->sockets;
	for (uint32_t i = 0; i < plane->worker_count; i++) {
		struct rk_command command = {.type = COMMAND_REMOVE, .id = id};

		worker_command(&plane->workers[i], &command);
	}
	free(port); // the shares are the workers' to retire
	free_retired(plane);
	return 0;
}

int plane_retarget(struct rk_plane *plane, const struct rk_forward *forward, struct rk_error *e)
{
	int result = 0;

	if (!*plane_find_port(plane, forward->id))
		return error_set(e, ENOENT, "no port has the id %u", forward->id);
	for (uint32_t i = 0; i < plane->worker_count; i++) {
		struct rk_command command = {
			.type = COMMAND_RETARGET, .id = forward->id, .forward = forward};
		int changed = worker_command(&plane->workers[i], &command);

		if (result == 0)
			result = changed;
	}
	if (result < 0)
		return error_errno(e, -result, "cannot retarget port %u", forward->id);
	return 0;
}

void plane_stop(struct rk_plane *plane)
{
	for (unsigned i = 0; i < PLANE_PORT_BUCKETS; i++)
		while (plane->ports[i])
			plane_remove(plane, plane->ports[i]->id, NULL);
	for (uint32_t i = 0; i < plane->started; i++) {
		struct rk_command command = {.type = COMMAND_STOP};

		// Without the message the closed mailbox says it.
		if (worker_command(&plane->workers[i], &command) < 0)
			fd_close(&plane->workers[i].mailbox[1]);
		pthread_join(plane->workers[i].thread, NULL);
		worker_free(&plane->workers[i]);
	}
	if (plane->workers)
		free_retired(plane);
	fd_close(&plane->helper_lost_fd);
	fd_close(&plane->notice.fd);
	free(plane->workers);
	free(plane);
}
