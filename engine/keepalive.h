// keepalive.h: how a connection finds out that its peer is gone without a word.
//
// How it works: the kernel does it; this sets the socket's options. `time_s` is how long a peer may
// be silent before it is probed, and how long it may leave the probes unanswered: a dead one is
// noticed after twice that. Keep-alive sees idle connections only. Data that nobody acknowledges is
// sent again for net.ipv4.tcp_retries2 times (about 15 minutes), or for `user_timeout_ms`, which
// however also ends a connection whose peer lives but takes no data for so long (RFC 5482,
// tcp(7); seen on Linux 6.18).
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Zeroed: on, with the kernel's own times.
struct rk_keepalive {
	bool off;
	uint32_t time_s;          // 1 to 32767, 0 = net.ipv4.tcp_keepalive_time and its companions
	uint32_t user_timeout_ms; // 0 = the kernel's number of retransmissions
};

// Sets what differs from a socket that has SO_KEEPALIVE on and nothing else; a listening socket
// hands it on to what it accepts. 0 or -errno.
int keepalive_apply(const struct rk_keepalive *keepalive, int fd);
