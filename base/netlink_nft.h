// netlink_nft.h: the packet filter rules that bring answers back to a transparent socket (nftables,
// through libnftnl).
#pragma once

#include "base/error.h"

#include <stdint.h>

// Each is a single bit of the packet mark; the other bits stay other people's.
struct rk_nft_marks {
	uint32_t sent;     // on every packet of our sockets (SO_MARK)
	uint32_t returned; // put on the connection, and on every packet that answers it
	// Both or none (0).
	uint32_t untracked; // on every packet, of both ends, that is not to be tracked
	uint32_t inquiry;   // on a SYN that is never delivered, beside `sent` and `returned`: a
			    // reset says that no NAT changed it and it was to stay in the namespace
};

// Makes `table` (inet) in the calling thread's network namespace. Returns a descriptor (CLOEXEC)
// that owns the table: nobody else can change it, and it goes when the descriptor is closed.
// Or -code with *e.
int nft_add_return_table(const char *table, const struct rk_nft_marks *marks, struct rk_error *e);
