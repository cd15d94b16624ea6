// peer.c: receive on the channels between the processes, with the phase rules applied.

#include "nsctl/peer.h"

#include <errno.h>
#include <poll.h>

#define SEND_TRIES    50
#define SEND_PAUSE_MS 10

int peer_receive(int channel, enum rk_msg_phase phase, const char *peer, struct rk_message *message,
	struct rk_error *e)
{
	int rc = msg_receive(channel, message);

	// A peer that died with unread data in its queue resets the pair.
	if (rc == 0 || rc == -ECONNRESET)
		return 0;
	if (rc == -EPROTO)
		return error_set(e, EPROTO, "malformed message from the %s", peer);
	if (rc < 0)
		return error_errno(e, -rc, "receive from the %s", peer);
	if (msg_is_legal(phase, message->header.type))
		return 1;
	msg_close_fds(message);
	return error_set(e, EPROTO, "unexpected message '%s' from the %s",
		msg_type_name(message->header.type), peer);
}

int peer_expect(int channel, enum rk_msg_phase phase, enum rk_msg_type type, const char *peer,
	struct rk_message *message, struct rk_error *e)
{
	int rc = peer_receive(channel, phase, peer, message, e);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return error_set(e, EPIPE, "the %s has ended", peer);
	if (message->header.type == type)
		return 0;
	msg_close_fds(message);
	if (message->header.type == MSG_ERROR) {
		*e = message->error;
		return e->code > 0 ? -e->code : -EIO;
	}
	return error_set(e, EPROTO, "message '%s' from the %s where '%s' was due",
		msg_type_name(message->header.type), peer, msg_type_name(type));
}

int peer_send(int channel, enum rk_msg_type type, const void *payload, size_t length,
	const int *fds, unsigned fd_count, const char *peer, struct rk_error *e)
{
	int rc;

	// Too many descriptors in flight passes as soon as their receivers have taken them.
	for (int tries = 0; tries < SEND_TRIES; tries++) {
		rc = msg_send(channel, type, payload, length, fds, fd_count);
		if (rc != -ETOOMANYREFS)
			break;
		poll(NULL, 0, SEND_PAUSE_MS);
	}
	if (rc == 0)
		return 0;
	return error_errno(e, -rc, "send '%s' to the %s", msg_type_name(type), peer);
}

int peer_send_number(
	int channel, enum rk_msg_type type, int value, const char *peer, struct rk_error *e)
{
	struct rk_msg_number number = {.value = value};

	return peer_send(channel, type, &number, sizeof(number), NULL, 0, peer, e);
}
