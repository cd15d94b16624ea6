// dhcp_lease.h: a lease from a DHCP server: obtaining it, and keeping it for as long as we run.
#pragma once

#include "base/error.h"
#include "base/spawn.h"
#include "drivers/dhcp.h"

#include <stdint.h>

struct rk_dhcp_lease {
	struct rk_dhcp_offer terms; // renew_s <= rebind_s <= lease_s
	uint8_t mac[ETHER_ADDR_LEN];
	int64_t since_ms; // CLOCK_BOOTTIME: a lease ages while the machine sleeps
};

// Times that are missing or out of order become RFC 2131's: half and seven eighths of the lease. A
// lease without a length is for ever.
void dhcp_lease_set_times(struct rk_dhcp_offer *terms);

// DISCOVER to ACK on packet socket `fd`; lease->mac is the caller's to set. 0 or -code, ETIMEDOUT
// after timeout_ms, ECANCELED.
int dhcp_lease_obtain(struct rk_dhcp_lease *lease, int fd, int timeout_ms,
	const struct rk_cancel *cancel, struct rk_error *e);
int64_t dhcp_lease_clock_ms(void); // now, on the clock of since_ms

// dhcp_keeper.c: starts the process that keeps the lease, with a copy of `fd`: it renews it, gives
// it back on SIGTERM and then ends with status 0. When the address is lost it sends MSG_ERROR to
// the channel whose other end is returned (the caller's to close) and ends with status 1. -code
// when it cannot be started.
int dhcp_keeper_start(
	const struct rk_dhcp_lease *lease, int fd, struct rk_process *process, struct rk_error *e);
