// netlink_ack.h: the kernel's answer to one netlink request, taken apart; for base/netlink*.c.
#pragma once

#include <stddef.h>

#define NETLINK_TEXT_MAX 160

// Takes the message (answer, length), aligned for struct nlmsghdr: an acknowledgement or a refusal
// (netlink(7), NLMSG_ERROR). 0, the refusal's -errno, or -EPROTO when it is neither. `text`, of
// NETLINK_TEXT_MAX bytes, gets the kernel's own words about it (NETLINK_EXT_ACK) or "".
int netlink_parse_ack(const void *answer, size_t length, char *text);
