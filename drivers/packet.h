// packet.h: DHCP's frames on an interface of the child's network namespace.
#pragma once

#include "base/error.h"

#include <net/ethernet.h>
#include <stdint.h>
#include <sys/types.h>

// Brings interface `ifname` up in the network namespace of process `child` and opens a packet
// socket there that gets the frames for a DHCP client and nothing else. Returns it (CLOEXEC,
// not blocking) with the interface's hardware address in `mac`, or -code.
int packet_open_dhcp(
	pid_t child, const char *ifname, uint8_t mac[ETHER_ADDR_LEN], struct rk_error *e);
