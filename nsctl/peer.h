// peer.h: receive on the channels engine <-> nsctl <-> child, with the phase rules applied.
#pragma once

#include "base/error.h"
#include "base/msg.h"

// Receives one message that is legal in `phase`. 1 = there is one, 0 = the peer is gone, or -code
// with *e naming `peer` ("engine", "child"). -EPROTO ends the channel.
int peer_receive(int channel, enum rk_msg_phase phase, const char *peer, struct rk_message *message,
	struct rk_error *e);

// Waits for exactly `type`. A MSG_ERROR instead becomes *e; a closed channel is -EPIPE. On 0 the
// descriptors of *message are the caller's.
int peer_expect(int channel, enum rk_msg_phase phase, enum rk_msg_type type, const char *peer,
	struct rk_message *message, struct rk_error *e);

// msg_send() with the failure described.
int peer_send(int channel, enum rk_msg_type type, const void *payload, size_t length,
	const int *fds, unsigned fd_count, const char *peer, struct rk_error *e);
int peer_send_number(
	int channel, enum rk_msg_type type, int value, const char *peer, struct rk_error *e);
