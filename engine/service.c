// service.c: what a running engine serves: data plane, published ports, control API.

#include "engine/service.h"
#include "base/fd.h"
#include "base/log.h"
#include "drivers/driver.h"
#include "engine/api.h"
#include "engine/plane.h"
#include "engine/ports.h"
#include "engine/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

// The engine's own listeners need a namespace that is not the host's.
static bool needs_plane(const struct rk_config *config)
{
	const struct rk_net_driver *net = net_driver_find(config->network.driver);
	const struct rk_port_driver *port = port_driver_find(config->port.driver);

	return (net->flags & NET_OWN_NETNS) && (port->flags & PORT_DATA_PLANE);
}

int service_set_helper(struct rk_service *service, const struct rk_config *config,
	struct rk_message *message, struct rk_error *e)
{
	int rc = 0;

	if (!service->plane) {
		msg_close_fds(message);
		return 0;
	}
	if (message->fds_lost)
		rc = error_set(e, EMFILE, "no descriptors left for the helper's channels");
	else if (message->fd_count != config->engine.workers)
		rc = error_set(e, EPROTO, "nsctl sent %u helper channels for %u workers",
			message->fd_count, config->engine.workers);
	if (rc < 0) {
		msg_close_fds(message);
		return rc;
	}
	rc = plane_set_helper(service->plane, message->fds, message->fd_count, e);
	message->fd_count = 0;
	return rc;
}

static int start_plane(
	struct rk_service *service, const struct rk_config *config, struct rk_error *e)
{
	const struct rk_plane_options options = {
		.workers = config->engine.workers,
		.io = config->engine.io,
		.bulk = config->engine.bulk,
		.max_flows = config->engine.max_flows,
		.pool_size = config->engine.pool_size,
		.udp_idle_timeout_ms = config->engine.udp_idle_timeout_ms,
		.connect_timeout_ms = config->engine.connect_timeout_ms,
		.max_pending = config->port.max_pending,
		.keepalive = {.off = !config->port.keepalive,
			.time_s = config->port.keepalive_time_ms / 1000,
			.user_timeout_ms = config->port.user_timeout_ms},
	};
	int rc;

	if (!needs_plane(config))
		return 0;
	rc = plane_start(&service->plane, &options, e);
	if (rc < 0)
		service->plane = NULL;
	return rc;
}

// A port driver with a program of its own, which stands in for the data plane.
static int start_backend(struct rk_service *service, const struct rk_config *config,
	const struct rk_state_dir *dir, struct rk_error *e)
{
	const struct rk_port_driver *driver = port_driver_find(config->port.driver);
	int rc;

	if (!driver->start)
		return 0;
	service->backend = (struct rk_port_backend){.driver = driver,
		.config = config,
		.state_dir = dir->path,
		.network = &service->network,
		.watch_fd = -1};
	rc = driver->start(&service->backend, e);
	if (rc < 0)
		service->backend.driver = NULL;
	return rc;
}

static int start_ports(
	struct rk_service *service, const struct rk_config *config, struct rk_error *e)
{
	const struct rk_source_policy policy = {
		.source_ip = config->port.source_ip,
		.proxy_protocol = config->port.proxy_protocol,
		.source = config->port.source_ip == SOURCE_IP_OFF ? NULL : &service->network.source,
		.ifname = service->network.ifname,
	};

	service->ports = ports_create(service->plane);
	if (!service->ports)
		return error_errno(e, ENOMEM, "table of ports");
	if (service->plane)
		ports_use_source_policy(service->ports, &policy);
	if (service->backend.driver)
		ports_use_backend(service->ports, &service->backend);
	return ports_add_all(service->ports, config->port.publish.items, config->port.publish.count,
		NULL, NULL, e);
}

// What clients of the API may use beyond RootlessKit's: docs/api.md.
static const char *const backend_features[] = {"ensure", "bulk", "owner", NULL};
static const char *const plane_features[] = {
	"ensure", "bulk", "owner", "retarget", "range", "choose-port", "childProxy", NULL};

static int start_api(struct rk_service *service, const struct rk_config *config,
	const struct rk_state_dir *dir, struct rk_error *e)
{
	const struct rk_port_driver *port = port_driver_find(config->port.driver);
	struct rk_api_info info = {
		.state_dir = dir->path,
		.network = &service->network,
		.no_child_loopback = port->flags & PORT_NO_CHILD_LOOPBACK,
		.protos = port->protos,
		.workers = config->engine.workers,
	};
	char path[PATH_MAX];

	if (!(port->flags & PORT_HIDDEN))
		info.port_driver = port->name;
	if (service->backend.driver)
		info.features = backend_features;
	if (service->plane) {
		info.io_name = plane_io_name(service->plane);
		info.features = plane_features;
	}
	if (config->api.socket[0])
		return api_start(&service->api, config->api.socket, &info, service->ports, e);
	if (state_dir_path(dir, "api.sock", path, sizeof(path)) < 0)
		return error_errno(e, ENAMETOOLONG, "%s/api.sock", dir->path);
	return api_start(&service->api, path, &info, service->ports, e);
}

static void log_ready(const struct rk_service *service, const struct rk_config *config)
{
	if (service->backend.driver) {
		log_info("ready: %zu ports published by %s", config->port.publish.count,
			service->backend.driver->name);
		return;
	}
	if (!service->plane) {
		log_info("ready: no port forwarding by the engine");
		return;
	}
	log_info("ready: %zu ports published, %u workers, %s", config->port.publish.count,
		config->engine.workers, plane_io_name(service->plane));
}

int service_start(struct rk_service *service, const struct rk_config *config,
	const struct rk_state_dir *dir, struct rk_message *network_message, struct rk_error *e)
{
	int rc;

	memset(service, 0, sizeof(*service));
	service->network = network_message->network;
	rc = start_plane(service, config, e);
	if (rc < 0)
		msg_close_fds(network_message);
	else
		rc = service_set_helper(service, config, network_message, e);
	if (rc == 0)
		rc = start_backend(service, config, dir, e);
	if (rc == 0)
		rc = start_ports(service, config, e);
	if (rc == 0)
		rc = start_api(service, config, dir, e);
	if (rc == 0 && service->plane)
		rc = watch_start(&service->watch, service->plane, service->ports, e);
	if (rc < 0)
		service_stop(service);
	else
		log_ready(service, config);
	return rc;
}

int service_check(const struct rk_service *service, struct rk_error *e)
{
	return service->plane ? plane_check(service->plane, e) : 0;
}

int service_helper_lost_fd(const struct rk_service *service)
{
	return service->plane ? plane_helper_lost_fd(service->plane) : -1;
}

int service_backend_lost_fd(const struct rk_service *service)
{
	return service->backend.driver ? service->backend.watch_fd : -1;
}

int service_owners_fd(const struct rk_service *service)
{
	return service->ports ? ports_owners_fd(service->ports) : -1;
}

void service_free_ended(struct rk_service *service)
{
	ports_free_ended(service->ports);
}

int service_describe_death(struct rk_service *service, struct rk_error *e)
{
	return ports_describe_death(service->ports, e);
}

void service_stop(struct rk_service *service)
{
	watch_stop(service->watch);
	api_stop(service->api);
	if (service->plane)
		plane_stop(service->plane);
	if (service->backend.driver)
		service->backend.driver->stop(&service->backend);
	ports_destroy(service->ports);
	memset(service, 0, sizeof(*service));
}
