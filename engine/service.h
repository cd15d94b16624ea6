// service.h: what a running engine serves: data plane, published ports, control API.
#pragma once

#include "base/error.h"
#include "base/msg.h"
#include "base/statedir.h"
#include "config/config.h"
#include "drivers/driver.h"

struct rk_service {
	struct rk_plane *plane;         // NULL: this port driver has none
	struct rk_port_backend backend; // driver NULL: none either
	struct rk_ports *ports;
	struct rk_api *api;
	struct rk_watch *watch;
	struct rk_network_info network;
};

// Starts everything that the configuration asks for; `network_message` is nsctl's MSG_NETWORK, its
// descriptors are taken over. On failure what was started is stopped again. 0 or -code with *e.
int service_start(struct rk_service *service, const struct rk_config *config,
	const struct rk_state_dir *dir, struct rk_message *network_message, struct rk_error *e);
// New pool channels after a helper restart; takes the descriptors over.
int service_set_helper(struct rk_service *service, const struct rk_config *config,
	struct rk_message *message, struct rk_error *e);
// Readable when the helper is gone or a worker broke, -1 when there is nothing to watch.
// service_check(): 0, or -code with *e for the latter.
int service_helper_lost_fd(const struct rk_service *service);
int service_check(const struct rk_service *service, struct rk_error *e);
// Readable when the port driver has lost a process, -1 when there is nothing to watch; *e then says
// how it died.
int service_backend_lost_fd(const struct rk_service *service);
int service_describe_death(struct rk_service *service, struct rk_error *e);
// Readable when a process that owns ports has ended, -1 when there is nothing to watch; the second
// frees its ports.
int service_owners_fd(const struct rk_service *service);
void service_free_ended(struct rk_service *service);
// In order: no more requests, no more traffic. Safe when nothing was started.
void service_stop(struct rk_service *service);
