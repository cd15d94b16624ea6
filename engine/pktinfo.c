// pktinfo.c: the local address of a datagram, from and to ancillary data.

#include "engine/pktinfo.h"

#include <stdbool.h>
#include <string.h>

// Whether a message is of that kind, with all of its data before `end`.
static bool is_kind(const struct cmsghdr *c, const char *end, int level, int type, size_t size)
{
	return c->cmsg_level == level && c->cmsg_type == type && c->cmsg_len >= CMSG_LEN(size) &&
	       (size_t)(end - (const char *)c) >= CMSG_LEN(size);
}

void pktinfo_read(void *control, size_t length, struct in6_pktinfo *local)
{
	struct msghdr message = {.msg_control = control, .msg_controllen = length};
	const char *end = (const char *)control + length;
	struct in_pktinfo ipv4;

	memset(local, 0, sizeof(*local));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		if (is_kind(c, end, IPPROTO_IP, IP_PKTINFO, sizeof(ipv4))) {
			memcpy(&ipv4, CMSG_DATA(c), sizeof(ipv4));
			memcpy(&local->ipi6_addr, &ipv4.ipi_spec_dst, sizeof(ipv4.ipi_spec_dst));
		} else if (is_kind(c, end, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(*local))) {
			memcpy(local, CMSG_DATA(c), sizeof(*local));
			// The interface matters only where the address does not name it.
			if (!IN6_IS_ADDR_LINKLOCAL(&local->ipi6_addr))
				local->ipi6_ifindex = 0;
		}
	}
}

static void put(struct msghdr *message, int level, int type, const void *data, size_t size)
{
	struct cmsghdr *c = message->msg_control;

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), data, size);
	message->msg_controllen = CMSG_SPACE(size);
}

void pktinfo_write(struct msghdr *message, int family, const struct in6_pktinfo *local)
{
	struct in_pktinfo ipv4 = {0};

	if (family == AF_INET6) {
		put(message, IPPROTO_IPV6, IPV6_PKTINFO, local, sizeof(*local));
		return;
	}
	memcpy(&ipv4.ipi_spec_dst, &local->ipi6_addr, sizeof(ipv4.ipi_spec_dst));
	put(message, IPPROTO_IP, IP_PKTINFO, &ipv4, sizeof(ipv4));
}
