// netlink.c: links, addresses, routes and taps through rtnetlink (libmnl).
//
// How it works: each call builds one request, opens a socket in the calling thread's network
// namespace, sends, and waits for the acknowledgement. NETLINK_EXT_ACK makes the kernel add a
// sentence to a refusal; it becomes part of our error text.

#include "base/netlink.h"
#include "base/fd.h"
#include "base/netlink_ack.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

// More than any request here or its acknowledgement needs (the kernel echoes no payload back).
#define NETLINK_BUFFER_BYTES 1024

static void socket_cleanup(struct mnl_socket **socket)
{
	if (*socket)
		mnl_socket_close(*socket);
}

// Reads the acknowledgement; 0 or -errno, with the kernel's words in `text` when it has some.
static int read_ack(struct mnl_socket *socket, char *text)
{
	_Alignas(struct nlmsghdr) char buffer[NETLINK_BUFFER_BYTES];
	ssize_t got;

	do {
		got = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : netlink_parse_ack(buffer, (size_t)got, text);
}

// Sends one request with NLM_F_ACK; 0 or -errno. `text` gets the kernel's words, or "".
static int request_send(struct nlmsghdr *request, char *text)
{
	__attribute__((cleanup(socket_cleanup))) struct mnl_socket *socket = NULL;
	int on = 1;

	text[0] = '\0';
	socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	if (mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &on, sizeof(on)) < 0 ||
		mnl_socket_setsockopt(socket, NETLINK_CAP_ACK, &on, sizeof(on)) < 0)
		return -errno;
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	return read_ack(socket, text);
}

static int add_kernel_text(struct rk_error *e, const char *text)
{
	size_t used;

	if (!e)
		return 0;
	used = strlen(e->text);
	if (text[0])
		snprintf(e->text + used, sizeof(e->text) - used, " (kernel: %s)", text);
	return -e->code;
}

static struct nlmsghdr *request_init(void *buffer, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	return request;
}

int link_index(const char *name, unsigned *index, struct rk_error *e)
{
	*index = if_nametoindex(name);
	if (*index == 0)
		return error_errno(e, errno, "%s", name);
	return 0;
}

// RTM_NEWLINK for an interface that exists: sets `flags` and, unless it is IFLA_UNSPEC,
// `attribute`.
static int link_change(const char *name, unsigned flags, uint16_t attribute, uint32_t value,
	const char *what, struct rk_error *e)
{
	char buffer[NETLINK_BUFFER_BYTES];
	char text[NETLINK_TEXT_MAX];
	struct nlmsghdr *request = request_init(buffer, RTM_NEWLINK, 0);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(request, sizeof(*link));
	unsigned index;
	int rc = link_index(name, &index, e);

	if (rc < 0)
		return rc;
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = (int)index;
	link->ifi_flags = flags;
	link->ifi_change = flags;
	if (attribute != IFLA_UNSPEC)
		mnl_attr_put_u32(request, attribute, value);
	rc = request_send(request, text);
	if (rc == 0)
		return 0;
	error_errno(e, -rc, "%s: %s", name, what);
	add_kernel_text(e, text);
	return rc;
}

int link_set_up(const char *name, struct rk_error *e)
{
	return link_change(name, IFF_UP, IFLA_UNSPEC, 0, "bring up", e);
}

int link_set_mtu(const char *name, uint32_t mtu, struct rk_error *e)
{
	char what[32];

	snprintf(what, sizeof(what), "set mtu %u", mtu);
	return link_change(name, 0, IFLA_MTU, mtu, what, e);
}

int link_set_group(const char *name, uint32_t group, struct rk_error *e)
{
	return link_change(name, 0, IFLA_GROUP, group, "set its group", e);
}

static void put_address(struct nlmsghdr *request, uint16_t attribute, const struct rk_addr *addr)
{
	if (addr->sa.sa_family == AF_INET6)
		mnl_attr_put(request, attribute, sizeof(addr->in6.sin6_addr), &addr->in6.sin6_addr);
	else
		mnl_attr_put(request, attribute, sizeof(addr->in4.sin_addr), &addr->in4.sin_addr);
}

int address_add(const char *ifname, const struct rk_addr *ip, unsigned prefix, struct rk_error *e)
{
	char buffer[NETLINK_BUFFER_BYTES];
	char text[NETLINK_TEXT_MAX];
	char ip_text[RK_ADDR_TEXT_MAX];
	struct nlmsghdr *request = request_init(buffer, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *address = mnl_nlmsg_put_extra_header(request, sizeof(*address));
	unsigned index;
	int rc = link_index(ifname, &index, e);

	if (rc < 0)
		return rc;
	address->ifa_family = (unsigned char)ip->sa.sa_family;
	address->ifa_prefixlen = (unsigned char)prefix;
	address->ifa_index = index;
	// Nobody else can hold the address on a private tap: usable at once, not after a second.
	if (ip->sa.sa_family == AF_INET6)
		address->ifa_flags = IFA_F_NODAD;
	put_address(request, IFA_LOCAL, ip);
	put_address(request, IFA_ADDRESS, ip);
	rc = request_send(request, text);
	if (rc == 0 || rc == -EEXIST)
		return 0;
	error_errno(e, -rc, "%s: add address %s/%u", ifname,
		addr_format_ip(ip, ip_text, sizeof(ip_text)), prefix);
	add_kernel_text(e, text);
	return rc;
}

int route_add_default(const char *ifname, const struct rk_addr *gateway, struct rk_error *e)
{
	char buffer[NETLINK_BUFFER_BYTES];
	char text[NETLINK_TEXT_MAX];
	char ip_text[RK_ADDR_TEXT_MAX];
	struct nlmsghdr *request = request_init(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(request, sizeof(*route));
	unsigned index;
	int rc = link_index(ifname, &index, e);

	if (rc < 0)
		return rc;
	route->rtm_family = (unsigned char)gateway->sa.sa_family;
	route->rtm_table = RT_TABLE_MAIN;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_scope = RT_SCOPE_UNIVERSE;
	route->rtm_type = RTN_UNICAST;
	put_address(request, RTA_GATEWAY, gateway);
	mnl_attr_put_u32(request, RTA_OIF, index);
	rc = request_send(request, text);
	if (rc == 0 || rc == -EEXIST)
		return 0;
	error_errno(e, -rc, "%s: add default route by %s", ifname,
		addr_format_ip(gateway, ip_text, sizeof(ip_text)));
	add_kernel_text(e, text);
	return rc;
}

int route_add_local(int family, uint32_t table, struct rk_error *e)
{
	char buffer[NETLINK_BUFFER_BYTES];
	char text[NETLINK_TEXT_MAX];
	struct nlmsghdr *request = request_init(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(request, sizeof(*route));
	unsigned index;
	int rc = link_index("lo", &index, e);

	if (rc < 0)
		return rc;
	route->rtm_family = (unsigned char)family;
	route->rtm_table = RT_TABLE_UNSPEC; // too large for this field: RTA_TABLE
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_scope = RT_SCOPE_HOST;
	route->rtm_type = RTN_LOCAL;
	mnl_attr_put_u32(request, RTA_TABLE, table);
	mnl_attr_put_u32(request, RTA_OIF, index);
	rc = request_send(request, text);
	if (rc == 0 || rc == -EEXIST)
		return 0;
	error_errno(e, -rc, "routing table %u: add the local default route", table);
	add_kernel_text(e, text);
	return rc;
}

int rule_add(const struct rk_route_rule *rule, struct rk_error *e)
{
	char buffer[NETLINK_BUFFER_BYTES];
	char text[NETLINK_TEXT_MAX];
	struct nlmsghdr *request = request_init(buffer, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
	struct fib_rule_hdr *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	int rc;

	header->family = (uint8_t)rule->source->sa.sa_family;
	header->action = FR_ACT_TO_TBL;
	header->src_len = rule->source_prefix;
	mnl_attr_put_u32(request, FRA_PRIORITY, rule->priority);
	mnl_attr_put_u32(request, FRA_TABLE, rule->table);
	if (rule->source_prefix > 0)
		put_address(request, FRA_SRC, rule->source);
	if (rule->mark_bit) {
		mnl_attr_put_u32(request, FRA_FWMARK, rule->mark_bit);
		mnl_attr_put_u32(request, FRA_FWMASK, rule->mark_bit);
	}
	if (rule->skip_group) {
		mnl_attr_put_u32(request, FRA_SUPPRESS_PREFIXLEN, 0);
		mnl_attr_put_u32(request, FRA_SUPPRESS_IFGROUP, rule->skip_group);
	}
	rc = request_send(request, text);
	if (rc == 0 || rc == -EEXIST)
		return 0;
	error_errno(e, -rc, "routing rule %u", rule->priority);
	add_kernel_text(e, text);
	return rc;
}

int tap_open(const char *name, bool persistent, struct rk_error *e)
{
	RK_CLEANUP_FD int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};

	if (fd < 0) {
		error_errno(e, errno, "/dev/net/tun");
		return error_hint(e, "modprobe tun; in a container add the device /dev/net/tun");
	}
	if (strlen(name) >= sizeof(request.ifr_name))
		return error_set(
			e, EINVAL, "%s: an interface name has at most 15 characters", name);
	memcpy(request.ifr_name, name, strlen(name));
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return error_errno(e, errno, "%s: make tap", name);
	if (persistent && ioctl(fd, TUNSETPERSIST, 1) < 0)
		return error_errno(e, errno, "%s: make tap persistent", name);
	return fd_take(&fd);
}
