// driver.h: what a network driver and a port driver are: small tables of functions.
//
// A driver sees its own section of the configuration and what is in the context here, nothing
// else. Adding one is one file in drivers/net or drivers/port and one line in drivers/registry.c.
//
// Life of a network driver (nsctl calls it):
//   check()      before anything exists: binary there, values legal.        host side
//   start()      namespaces exist, ids are mapped: start the daemon, wait    host side
//                until it is ready, fill *info.
//   configure()  apply *info in the namespace (default: addresses, default   child side
//                route, MTU by netlink; NULL selects that default).
//   watch        a pidfd (daemon, relay) becomes readable: it died.         host side
//                net_describe_death() says how, then stop() frees the rest.
//   stop()       end the daemon; the namespace may be gone already.          host side
//
// Life of a port driver (the engine calls it, always one call at a time: engine/ports.c holds its
// lock across each; add() and remove() come from its main thread and from the API's thread):
//   check()      before anything exists: legal with this network driver and these ports.
//   start()      the network is up, nothing is published yet.
//   add()        publish one port; returns when the host's socket accepts.
//   remove()     returns when the host's socket is gone.
//   watch_fd     readable: a process of the driver died. describe_death() says which and how;
//                the run ends.
//   stop()       ends everything that is published still; the network may be gone already.
// none and implicit publish nothing and builtin is the engine's data plane: they have check() only.
#pragma once

#include "base/error.h"
#include "base/msg.h"
#include "base/spawn.h"
#include "base/wait.h"
#include "config/config.h"
#include "drivers/forward.h"

#include <stdint.h>

// A network driver at work. The driver owns `private` and frees it in stop().
struct rk_net {
	const struct rk_net_driver *driver;
	const struct rk_config *config;
	const char *state_dir;
	pid_t child_pid;           // holds the user and network namespaces
	struct rk_process daemon;  // RK_PROCESS_NONE when the driver has none
	struct rk_process relay;   // between tap and daemon (relayed.h); pid <= 0: there is none
	struct rk_daemon_log *log; // what the daemon printed (drivers/daemon.c); NULL = nothing
	struct rk_cancel cancel;   // of start(), with -ECANCELED: for a driver that waits long
	void *private;
};

enum rk_net_flags {
	NET_OWN_NETNS = 1 << 0, // makes a network namespace (all but host)
};

struct rk_net_driver {
	const char *name;
	unsigned flags;
	uint32_t default_mtu;       // 0 = that of what it is connected to
	const char *default_cidr;   // "" = none
	const char *default_ifname; // "" = none
	const char *log_noise;      // lines of the daemon that start so say nothing; NULL = none
	int (*check)(const struct rk_config *config, struct rk_error *e);
	int (*start)(struct rk_net *net, struct rk_network_info *info, struct rk_error *e);
	int (*configure)(const struct rk_network_info *info, struct rk_error *e);
	int (*describe_death)(struct rk_net *net, struct rk_error *e); // NULL: as for a daemon
	void (*stop)(struct rk_net *net);
};

enum rk_port_flags {
	PORT_DATA_PLANE = 1 << 0,        // the engine's own listeners and flows (builtin)
	PORT_NO_CHILD_LOOPBACK = 1 << 1, // info: disallowLoopbackChildIP
	PORT_HIDDEN = 1 << 2,            // info carries no portDriver (none, implicit)
	PORT_STARTS_PROGRAMS = 1 << 3,   // add() starts one: the engine may go on executing
};

// A port driver at work. The driver owns `private` and frees it in stop().
struct rk_port_backend {
	const struct rk_port_driver *driver;
	const struct rk_config *config;
	const char *state_dir;
	const struct rk_network_info *network; // child_pid holds the namespaces
	int watch_fd;                          // set by start(); -1 = nothing to watch
	void *private;
};

struct rk_port_driver {
	const char *name;
	unsigned flags;
	const char *const *protos; // NULL-terminated, as info lists them
	// Whether it works with this network driver and these published ports.
	int (*check)(const struct rk_config *config, const struct rk_net_driver *net,
		struct rk_error *e);
	int (*start)(struct rk_port_backend *backend, struct rk_error *e);
	// `spec` is what the user wrote, `forward` what it means; forward->id names it in remove().
	int (*add)(struct rk_port_backend *backend, const struct rk_port_spec *spec,
		const struct rk_forward *forward, struct rk_error *e);
	int (*remove)(struct rk_port_backend *backend, uint32_t id, struct rk_error *e);
	int (*describe_death)(struct rk_port_backend *backend, struct rk_error *e); // -EIO
	void (*stop)(struct rk_port_backend *backend);
};

// Look-ups by name (NULL: no such driver) and the names for messages ("none, host, slirp4netns").
const struct rk_net_driver *net_driver_find(const char *name);
const struct rk_port_driver *port_driver_find(const char *name);
const char *net_driver_names(void);
const char *port_driver_names(void);

// The driver's default or the configured value.
uint32_t net_driver_mtu(const struct rk_net_driver *driver, const struct rk_config *config);
const char *net_driver_cidr(const struct rk_net_driver *driver, const struct rk_config *config);
const char *net_driver_ifname(const struct rk_net_driver *driver, const struct rk_config *config);
// The default configure(): lo up; then MTU, link up, addresses and default routes of *info, unless
// it names no interface or the backend has `configured` it.
int net_configure_static(const struct rk_network_info *info, struct rk_error *e);
// Reaps the daemon that died and fills *e with its status and its last words; returns -EIO.
int net_describe_death(struct rk_net *net, struct rk_error *e);
// drivers/check.c: names against the registries, the drivers' own check(), legal pairs.
int drivers_check(const struct rk_config *config, struct rk_error *e);
