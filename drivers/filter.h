// filter.h: frames that the namespace may not send to a backend.
//
// Some backends offer more at their own addresses than a network: gvproxy answers its control
// service there, which opens ports of the host, and leads an address to the host's loopback.
// Nobody in the namespace can get around the relay, so that is where such frames end.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Addresses in host byte order.
struct rk_frame_filter {
	bool ipv4_only;      // ARP and IPv4, nothing else; must be set for the other rules to hold
	uint32_t service_ip; // no TCP to service_port here (nor fragments of it); 0 = no rule
	uint16_t service_port;
	uint32_t loopback_ip; // nothing to here, and nothing to 127/8 and 0/8; 0 = no rule
};

// False: the frame must be dropped.
bool frame_filter_passes(const struct rk_frame_filter *filter, const uint8_t *frame, size_t length);
