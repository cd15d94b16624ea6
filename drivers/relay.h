// relay.h: carries Ethernet frames between a tap device and the socket of a backend.
#pragma once

#include "base/error.h"
#include "base/spawn.h"
#include "drivers/filter.h"
#include "drivers/framing.h"

struct rk_relay_options {
	int tap;    // non-blocking; one read or write is one frame
	int socket; // connected to the backend: stream, or SOCK_SEQPACKET for FRAMING_PACKET
	enum rk_framing framing;
	struct rk_frame_filter filter; // for frames from the tap
	// The pipe that the backend logs to, or -1. Its oldest part is dropped before it fills up,
	// because a Go program waits for room in it for ever.
	int log_fd;
};

// How a relay ends: its exit status.
enum rk_relay_end {
	RELAY_FAILED = 1,
	RELAY_BACKEND_GONE = 3,  // the socket was closed
	RELAY_TAP_GONE = 4,      // the device is not there any more
	RELAY_BACKEND_BROKEN = 5 // the backend sent what is no frame
};

// Carries frames until one side is gone. Allocates a fixed amount at the start and nothing later.
enum rk_relay_end relay_run(const struct rk_relay_options *options);

// Does so in a process of its own, which holds nothing but these descriptors, takes no signal but
// SIGKILL, and is killed when the calling thread ends. The caller's descriptors stay its own: it
// closes them. 0 or -code.
int relay_start(
	const struct rk_relay_options *options, struct rk_process *process, struct rk_error *e);
// "its socket was closed", "killed by signal 9 (Killed)"... for a wait status. Returns `text`.
const char *relay_describe_end(int wait_status, char *text, size_t size);
