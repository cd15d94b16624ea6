// pktinfo.h: the local address of a datagram, from and to ancillary data.
//
// IP_PKTINFO (ip(7)) and IPV6_PKTINFO (RFC 3542) say which of our addresses a client used; given
// back with the reply they make it leave from there, which matters on a host with several.
// Both are kept in one struct in6_pktinfo: IPv4 in the first four bytes of the address.
#pragma once

#include "base/addr.h"

#include <netinet/in.h>
#include <sys/socket.h>

// Room for one of either kind.
#define PKTINFO_SPACE CMSG_SPACE(sizeof(struct in6_pktinfo))

// Reads it from (control, length); all zero when it is not there.
void pktinfo_read(void *control, size_t length, struct in6_pktinfo *local);
// Puts it into message->msg_control, which has PKTINFO_SPACE bytes, for `family`.
void pktinfo_write(struct msghdr *message, int family, const struct in6_pktinfo *local);
