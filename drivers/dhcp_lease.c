// dhcp_lease.c: obtaining a lease (RFC 2131, 4.4.1).

#include "drivers/dhcp_lease.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define ANSWER_MS  1000
#define CONFIRM_MS 4000 // for the answer to a REQUEST, before the offer is given up
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

// One obtaining: who asks, and until when.
struct attempt {
	int fd;
	const uint8_t *mac;
	struct rk_wait wait;
};

// Repeats the question each second. The type of the answer, -ETIMEDOUT, -ECANCELED or -errno.
static int ask(const struct attempt *attempt, struct rk_dhcp_question *question,
	struct rk_dhcp_offer *answer, struct rk_wait wait)
{
	uint8_t frame[RK_DHCP_FRAME_BYTES];
	struct rk_wait turn;
	int rc;

	if (getrandom(&question->id, sizeof(question->id), 0) != sizeof(question->id))
		return -EIO;
	dhcp_put_question(frame, attempt->mac, question);
	do {
		turn = wait_at_most(wait, ANSWER_MS);
		rc = frame_send(attempt->fd, FRAMING_PACKET, frame, sizeof(frame), turn);
		if (rc == 0)
			rc = dhcp_await_answer(answer, attempt->fd, FRAMING_PACKET, attempt->mac,
				question->id, turn);
	} while (rc == -ETIMEDOUT && turn.deadline_ms < wait.deadline_ms);
	return rc;
}

// 0 = the address is ours, -EAGAIN = to be tried again, else -code.
static int try_once(const struct attempt *attempt, struct rk_dhcp_lease *lease)
{
	struct rk_dhcp_question discover = {.type = DHCP_DISCOVER};
	struct rk_dhcp_question request = {.type = DHCP_REQUEST};
	struct rk_dhcp_offer offer;
	int rc = ask(attempt, &discover, &offer, attempt->wait);

	if (rc != DHCP_OFFER)
		return rc < 0 ? rc : -EAGAIN;
	request.wanted = offer.address;
	request.server = offer.server;
	lease->since_ms = dhcp_lease_clock_ms();
	rc = ask(attempt, &request, &lease->terms, wait_within(CONFIRM_MS, &attempt->wait.cancel));
	if (rc == DHCP_NAK)
		wait_poll(wait_within(REFUSED_MS, &attempt->wait.cancel), NULL, 0);
	if (rc == DHCP_ACK)
		return 0;
	return rc >= 0 || rc == -ETIMEDOUT ? -EAGAIN : rc;
}

int dhcp_lease_obtain(struct rk_dhcp_lease *lease, int fd, int timeout_ms,
	const struct rk_cancel *cancel, struct rk_error *e)
{
	struct attempt attempt = {fd, lease->mac, wait_within(timeout_ms, cancel)};
	int rc;

	do {
		rc = try_once(&attempt, lease);
	} while (rc == -EAGAIN && clock_now_ms() < attempt.wait.deadline_ms);
	if (rc == -EAGAIN || rc == -ETIMEDOUT)
		return error_set(e, ETIMEDOUT, "no DHCP server gave an address within %d s",
			timeout_ms / 1000);
	if (rc < 0)
		return error_errno(e, -rc, "ask for an address by DHCP");
	dhcp_lease_set_times(&lease->terms);
	return 0;
}
