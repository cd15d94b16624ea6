// library.c: librkengine, the public interface over plane, ports and attachment.
//
// How it works: see rk_engine.h. The table of ports has a lock of its own; the attachment and the
// helper's channels belong to whoever is in rk_engine_run(), one thread at a time. Structs of the
// caller are copied up to the smaller of both sizes.

#include "base/fd.h"
#include "config/config.h"
#include "engine/attach.h"
#include "engine/plane.h"
#include "engine/ports.h"
#include "engine/rk_engine.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct rk_engine {
	struct rk_plane *plane;
	struct rk_ports *ports;
	struct rk_attachment attachment;
	int stop_fd;
	atomic_flag running;
};

_Static_assert(
	sizeof(((struct rk_engine_error *)0)->message) >=
		sizeof(((struct rk_error *)0)->text) + sizeof(((struct rk_error *)0)->hint) + 8,
	"the public error takes text and hint");

// Hands an internal error over; returns `rc`.
static int report(int rc, const struct rk_error *e, struct rk_engine_error *error)
{
	if (rc < 0 && error) {
		error->code = -rc;
		error_line(e, error->message, sizeof(error->message));
	}
	return rc;
}

const char *rk_engine_version(void)
{
	return RK_VERSION;
}

// Padding at the end would be a part of the struct that nobody sets.
_Static_assert(sizeof(struct rk_engine_options) ==
		       offsetof(struct rk_engine_options, reserved) + sizeof(uint32_t),
	"the options end with a member");

static int set_number(struct rk_config *config, const char *section, const char *key,
	uint32_t value, const char *unit, struct rk_error *e)
{
	char text[32];

	snprintf(text, sizeof(text), "%u%s", value, unit);
	return value ? config_set(config, section, key, text, e) : 0;
}

// The defaults and limits are those of the key table.
static int read_options(
	struct rk_config *config, const struct rk_engine_options *options, struct rk_error *e)
{
	int rc = set_number(config, "engine", "workers", options->workers, "", e);

	if (rc == 0)
		rc = set_number(config, "engine", "max-flows", options->max_flows, "", e);
	if (rc == 0)
		rc = set_number(config, "engine", "udp-idle-timeout", options->udp_idle_timeout_ms,
			"ms", e);
	if (rc == 0)
		rc = set_number(
			config, "engine", "connect-timeout", options->connect_timeout_ms, "ms", e);
	if (rc == 0)
		rc = set_number(config, "port", "max-pending", options->max_pending, "", e);
	if (rc == 0 && options->reserved)
		rc = error_set(e, EINVAL, "options: what is reserved is set");
	if (rc == 0 && options->io)
		rc = config_set(config, "engine", "io", options->io, e);
	return rc;
}

// A newer caller may set what we do not know: better refused than ignored.
static int copy_options(
	struct rk_engine_options *known, const struct rk_engine_options *given, struct rk_error *e)
{
	size_t size = given->size < sizeof(*known) ? given->size : sizeof(*known);
	const unsigned char *bytes = (const unsigned char *)given;

	memset(known, 0, sizeof(*known));
	if (size < offsetof(struct rk_engine_options, helper))
		return error_set(e, EINVAL, "options: the size is not set");
	memcpy(known, given, size);
	for (size_t i = sizeof(*known); i < given->size; i++)
		if (bytes[i])
			return error_set(e, EINVAL,
				"options: one is set that version %s does not know", RK_VERSION);
	return known->target ? 0 : error_set(e, EINVAL, "options: no target is set");
}

// Also for a helper that takes the place of another.
static int connect_helper(struct rk_engine *engine, struct rk_error *e)
{
	int channels[RK_MSG_FDS_MAX];
	int rc = attachment_start_helper(&engine->attachment, channels, e);

	return rc < 0 ? rc
		      : plane_set_helper(engine->plane, channels, engine->attachment.workers, e);
}

static bool is_stopped(void *context)
{
	const struct rk_engine *engine = context;
	struct pollfd event = {engine->stop_fd, POLLIN, 0};

	return poll(&event, 1, 0) > 0;
}

static int start(struct rk_engine *engine, const struct rk_engine_options *options,
	const struct rk_config *config, struct rk_error *e)
{
	const struct rk_plane_options plane = {
		.workers = plane_choose_workers(config->engine.workers),
		.io = config->engine.io,
		.bulk = config->engine.bulk,
		.max_flows = config->engine.max_flows,
		.pool_size = config->engine.pool_size,
		.udp_idle_timeout_ms = config->engine.udp_idle_timeout_ms,
		.connect_timeout_ms = config->engine.connect_timeout_ms,
		.max_pending = config->port.max_pending,
	};
	int rc = attachment_open(
		&engine->attachment, options->target, options->helper, plane.workers, e);

	engine->attachment.cancel = (struct rk_cancel){is_stopped, engine};
	engine->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (rc == 0 && engine->stop_fd < 0)
		rc = error_errno(e, errno, "eventfd");
	if (rc == 0)
		rc = plane_start(&engine->plane, &plane, e);
	if (rc < 0) {
		engine->plane = NULL;
		return rc;
	}
	engine->ports = ports_create(engine->plane);
	return engine->ports ? connect_helper(engine, e) : error_errno(e, ENOMEM, "table of ports");
}

static int create(
	struct rk_engine **result, const struct rk_engine_options *given, struct rk_error *e)
{
	struct rk_engine_options options;
	struct rk_config config;
	struct rk_engine *engine = NULL;
	int rc = config_init(&config);

	if (rc < 0)
		return error_errno(e, -rc, "create the engine");
	rc = copy_options(&options, given, e);
	if (rc == 0)
		rc = read_options(&config, &options, e);
	if (rc == 0) {
		engine = calloc(1, sizeof(*engine));
		rc = engine ? 0 : error_errno(e, ENOMEM, "create the engine");
	}
	if (rc == 0) {
		engine->attachment = RK_ATTACHMENT_NONE;
		engine->stop_fd = -1;
		atomic_flag_clear(&engine->running);
		rc = start(engine, &options, &config, e);
	}
	config_free(&config);
	if (rc < 0)
		rk_engine_destroy(engine);
	else
		*result = engine;
	return rc;
}

int rk_engine_create(struct rk_engine **engine, const struct rk_engine_options *options,
	struct rk_engine_error *error)
{
	struct rk_error e = {0};

	*engine = NULL;
	return report(create(engine, options, &e), &e, error);
}

int rk_engine_add_port(
	struct rk_engine *engine, const char *spec, uint32_t *id, struct rk_engine_error *error)
{
	struct rk_port_spec parsed;
	struct rk_port port;
	struct rk_error e = {0};
	int rc = port_spec_parse(&parsed, spec, strlen(spec), &e);

	if (rc == 0)
		rc = ports_add(engine->ports, &parsed, NULL, &port, &e);
	if (rc == 0 && id)
		*id = port.id;
	return report(rc, &e, error);
}

int rk_engine_remove_port(struct rk_engine *engine, uint32_t id, struct rk_engine_error *error)
{
	struct rk_error e = {0};

	return report(ports_remove(engine->ports, id, &e), &e, error);
}

int rk_engine_list(struct rk_engine *engine, rk_engine_port_function *each, void *context,
	struct rk_engine_error *error)
{
	RK_CLEANUP_FREE struct rk_port *list = NULL;
	char spec[RK_PORT_TEXT_MAX];
	struct rk_error e = {0};
	ssize_t count = ports_list(engine->ports, &list, &e);
	int rc = 0;

	if (count < 0)
		return report((int)count, &e, error);
	for (ssize_t i = 0; rc == 0 && i < count; i++) {
		const struct rk_engine_port port = {
			.size = sizeof(port),
			.id = list[i].id,
			.spec = port_spec_format(&list[i].spec, spec, sizeof(spec)),
		};

		rc = each(&port, context);
	}
	return rc;
}

static int32_t public_state(enum rk_port_state state)
{
	switch (state) {
	case PORT_PAUSED:
		return RK_ENGINE_PAUSED;
	case PORT_FAILED:
		return RK_ENGINE_FAILED;
	default:
		return RK_ENGINE_LISTENING;
	}
}

static void fill_stats(struct rk_engine_stats *stats, const struct rk_port_stats *from)
{
	const uint64_t *counts = from->counts;
	const struct rk_engine_stats all = {
		.size = stats->size,
		.state = public_state(from->state),
		.last_error = from->last_error.code,
		.connections_open = counts[COUNT_OPEN],
		.connections_total = counts[COUNT_TOTAL],
		.connections_refused = counts[COUNT_REFUSED],
		.connections_failed = counts[COUNT_FAILED],
		.bytes_in = counts[COUNT_BYTES_IN],
		.bytes_out = counts[COUNT_BYTES_OUT],
		.datagrams_in = counts[COUNT_DATAGRAMS_IN],
		.datagrams_out = counts[COUNT_DATAGRAMS_OUT],
		.datagrams_dropped = plane_datagrams_dropped(from),
		.connections_timed_out = counts[COUNT_TIMED_OUT],
		.resets_by_client = counts[COUNT_RESET_BY_CLIENT],
		.resets_by_service = counts[COUNT_RESET_BY_CHILD],
		.retries = counts[COUNT_RETRIES],
		.pauses = plane_pauses(from),
		.kernel_dropped = from->kernel_dropped,
		.backlog = from->backlog,
	};

	memcpy(stats, &all, stats->size < sizeof(all) ? stats->size : sizeof(all));
}

int rk_engine_stats(struct rk_engine *engine, uint32_t id, struct rk_engine_stats *stats,
	struct rk_engine_error *error)
{
	RK_CLEANUP_FREE struct rk_port_report *list = NULL;
	struct rk_error e = {0};
	ssize_t count = ports_report(engine->ports, &list, &e);

	if (count < 0)
		return report((int)count, &e, error);
	for (ssize_t i = 0; i < count; i++) {
		if (list[i].port.id == id) {
			fill_stats(stats, &list[i].stats);
			return 0;
		}
	}
	return report(error_set(&e, ENOENT, "unknown id: %u", id), &e, error);
}

// One turn: 1 = go on, 0 = asked to stop or the target has ended, -code with *e.
static int run_once(struct rk_engine *engine, struct rk_error *e)
{
	struct pollfd fds[] = {
		{engine->stop_fd, POLLIN, 0},
		{plane_helper_lost_fd(engine->plane), POLLIN, 0},
		{engine->attachment.pidfd, POLLIN, 0},
	};
	uint64_t times;
	int rc = poll(fds, 3, attachment_delay_ms(&engine->attachment));

	if (rc < 0)
		return errno == EINTR ? 1 : error_errno(e, errno, "wait for events");
	if (fds[0].revents) {
		// Each stop ends one run.
		rc = (int)read(engine->stop_fd, &times, sizeof(times));
		return rc < 0 ? 1 : 0;
	}
	if (fds[2].revents)
		return 0;
	if (fds[1].revents && read(fds[1].fd, &times, sizeof(times)) > 0) {
		rc = plane_check(engine->plane, e);
		if (rc < 0)
			return rc;
		attachment_helper_lost(&engine->attachment);
	}
	if (attachment_delay_ms(&engine->attachment) != 0)
		return 1;
	rc = connect_helper(engine, e);
	// The next turn sees why.
	if (rc == -ECANCELED)
		return 1;
	return rc == 0 || attachment_helper_may_come(&engine->attachment, -rc) ? 1 : rc;
}

int rk_engine_run(struct rk_engine *engine, struct rk_engine_error *error)
{
	struct rk_error e = {0};
	int rc = 1;

	if (atomic_flag_test_and_set(&engine->running))
		return report(error_set(&e, EBUSY, "rk_engine_run() runs already"), &e, error);
	while (rc > 0)
		rc = run_once(engine, &e);
	atomic_flag_clear(&engine->running);
	return report(rc, &e, error);
}

void rk_engine_stop(struct rk_engine *engine)
{
	const uint64_t once = 1;
	int saved = errno;

	// Full after 2^64 - 2 stops that nobody has seen, and then one more changes nothing.
	if (write(engine->stop_fd, &once, sizeof(once)) < 0)
		errno = saved;
}

void rk_engine_destroy(struct rk_engine *engine)
{
	if (!engine)
		return;
	if (engine->plane)
		plane_stop(engine->plane);
	ports_destroy(engine->ports);
	attachment_close(&engine->attachment);
	fd_close(&engine->stop_fd);
	free(engine);
}
