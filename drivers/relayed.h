// relayed.h: what network drivers share whose backend gives frames on a socket and not a tap.
//
// Such a driver starts its backend (daemon.h), gets a connected socket, and makes the
// tap in the child's namespace and starts the relay between the two.
#pragma once

#include "drivers/driver.h"
#include "drivers/relay.h"

#include <net/ethernet.h>

// The program is there. ENOENT gets `remedy` ("apt install NAME") and [driver] binary as the hint.
int relayed_look_up(
	const char *driver, const char *program, const char *remedy, struct rk_error *e);

// Connects to the UNIX socket `path` of the daemon as soon as it listens. The daemon's end, a pause
// of timeout_ms and net->cancel (-ECANCELED) are failures; the daemon is gone then. The
// descriptor or -code.
int relayed_await_socket(
	struct rk_net *net, const char *path, int type, int timeout_ms, struct rk_error *e);

// Makes the tap, with hardware address `mac` unless NULL. The descriptor or -code.
int relayed_open_tap(struct rk_net *net, const uint8_t mac[ETHER_ADDR_LEN], struct rk_error *e);

// Starts the relay; `tap` and `socket` stay the caller's, who closes them. 0 or -code.
int relayed_start(struct rk_net *net, int tap, int socket, enum rk_framing framing,
	const struct rk_frame_filter *filter, struct rk_error *e);

// Makes and removes STATE-DIR/NAME (0700), for the sockets of the backend; `path` gets it.
// -ENAMETOOLONG when a socket in it would have too long a path.
int relayed_make_dir(
	const struct rk_net *net, const char *name, char *path, size_t size, struct rk_error *e);
void relayed_remove_dir(const char *path);

// Ends relay and daemon (`signal`, SIGKILL after grace_ms).
void relayed_stop(struct rk_net *net, int signal, int grace_ms);
