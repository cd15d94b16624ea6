// dhcp_lease.c: obtaining a lease (RFC 2131, 4.4.1).

#include "drivers/dhcp_lease.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define ANSWER_MS  1000
#define TRIES	   4	// of a REQUEST, before the offer is given up
#define REFUSED_MS 1000 // pause before all begins again

int64_t dhcp_lease_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void dhcp_lease_set_times(struct rk_dhcp_offer *terms)
{
	if (terms->lease_s == 0)
		terms->lease_s = UINT32_MAX;
	if (terms->rebind_s == 0 || terms->rebind_s >= terms->lease_s)
		terms->rebind_s = terms->lease_s - terms->lease_s / 8;
	if (terms->renew_s == 0 || terms->renew_s >= terms->rebind_s)
		terms->renew_s = (uint32_t)((uint64_t)terms->rebind_s * 4 / 7);
	if (terms->renew_s == 0)
		terms->renew_s = 1; // not without a pause
}

// 0 = it is ours, -EAGAIN = refused or not answered, else -errno of the socket.
static int accept_offer(struct rk_dhcp_lease *lease, int fd, const struct rk_dhcp_offer *offer)
{
	struct rk_dhcp_question question = {
		.type = DHCP_REQUEST, .wanted = offer->address, .server = offer->server};
	uint8_t frame[RK_DHCP_FRAME_BYTES];
	int rc = -ETIMEDOUT;

	if (getrandom(&question.id, sizeof(question.id), 0) != sizeof(question.id))
		return -EIO;
	dhcp_put_question(frame, lease->mac, &question);
	for (unsigned i = 0; i < TRIES && (rc == -ETIMEDOUT || rc == DHCP_OFFER); i++) {
		int64_t until_ms = frame_clock_ms() + ANSWER_MS;

		lease->since_ms = dhcp_lease_clock_ms();
		rc = frame_send(fd, FRAMING_PACKET, frame, sizeof(frame), until_ms);
		if (rc == 0)
			rc = dhcp_await_answer(&lease->terms, fd, FRAMING_PACKET, lease->mac,
				question.id, until_ms);
	}
	if (rc == DHCP_NAK)
		poll(NULL, 0, REFUSED_MS);
	if (rc >= 0 && rc != DHCP_ACK)
		return -EAGAIN;
	return rc == -ETIMEDOUT ? -EAGAIN : rc < 0 ? rc : 0;
}

int dhcp_lease_obtain(struct rk_dhcp_lease *lease, int fd, int timeout_ms, struct rk_error *e)
{
	int64_t deadline_ms = frame_clock_ms() + timeout_ms;
	struct rk_dhcp_offer offer;
	int64_t left_ms = timeout_ms;
	int rc;

	do {
		rc = dhcp_discover(&offer, fd, FRAMING_PACKET, lease->mac, (int)left_ms, e);
		if (rc < 0 && rc != -ETIMEDOUT)
			return rc;
		if (rc == 0)
			rc = accept_offer(lease, fd, &offer);
		left_ms = deadline_ms - frame_clock_ms();
	} while (rc == -EAGAIN && left_ms > 0);
	if (rc == -EAGAIN || rc == -ETIMEDOUT)
		return error_set(e, ETIMEDOUT, "no DHCP server gave an address within %d s",
			timeout_ms / 1000);
	if (rc < 0)
		return error_errno(e, -rc, "ask for an address by DHCP");
	dhcp_lease_set_times(&lease->terms);
	return 0;
}
