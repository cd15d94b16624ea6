// tap.h: a tap device in the child's network namespace, its descriptor on the host side.
#pragma once

#include "base/error.h"

#include <net/ethernet.h>
#include <stdint.h>
#include <sys/types.h>

// Makes tap `name` in the network namespace of process `child`, whose user namespace owns it. The
// device goes with the descriptor. Returns that (CLOEXEC, non-blocking) or -code.
int tap_open_in(pid_t child, const char *name, struct rk_error *e);

// The device's hardware address, which must be set before the device is up. 0 or -code.
int tap_get_mac(int tap, uint8_t mac[ETHER_ADDR_LEN], struct rk_error *e);
int tap_set_mac(int tap, const uint8_t mac[ETHER_ADDR_LEN], struct rk_error *e);
