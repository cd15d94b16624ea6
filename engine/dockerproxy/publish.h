// publish.h: dockerd's published port as a port of the engine, by way of the control API.
#pragma once

#include "base/error.h"
#include "config/portspec.h"
#include "engine/ctl/client.h"
#include "engine/dockerproxy/flags.h"

// What is to happen with the port, by the engine's port driver.
enum publish_plan {
	PUBLISH_NOTHING,     // the driver forwards nothing, or all by itself: docker-proxy alone
	PUBLISH_UNSUPPORTED, // the driver cannot forward this protocol: nobody listens
	PUBLISH_PORT,        // *port is complete
};

struct publish_port {
	char proto[24]; // the protocol with its family: "tcp4"
	const char *host_ip;
	uint16_t port; // the same outside and inside
	// Where the engine connects to in the namespace and docker-proxy listens.
	char child_ip[RK_IP_TEXT_MAX];
	char driver[64]; // the port driver's name, for messages
	bool owned;      // the engine frees the port when we are killed
	bool named;      // the engine wants to know that docker-proxy is in between
};

// Asks the engine for its drivers and decides. An enum publish_plan, or -code with *e.
int publish_plan(struct ctl_client *client, const struct proxy_flags *flags,
	struct publish_port *port, struct rk_error *e);
// Publishes the port. Its id (> 0) or -code with *e.
int64_t publish_add(struct ctl_client *client, const struct publish_port *port, struct rk_error *e);
int publish_remove(struct ctl_client *client, int64_t id, struct rk_error *e);
