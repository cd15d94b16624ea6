// srcip.c: the namespace's side of showing servers the client's own address.
//
// How it works: the engine's socket in the namespace takes the address of a client that is not
// there (IP_TRANSPARENT). The server's answer to it must not leave through the network driver but
// come back to that socket, that is: be routed to lo, where a local socket with the answer's own
// addresses is found. A routing table of ours calls every address local; rules lead into it what
// must come back. Three ways to know it, tried from the best:
//
//	SOURCE_FULL      The sockets carry a mark that no rule asks for. The packet filter
//	                 (base/netlink_nft.h) notes their connections, and puts another mark, which
//	                 the rule asks for, on all that answers them: TCP, UDP, ICMP, and what comes
//	                 from containers behind a bridge with NAT. TCP connections that end in the
//	                 namespace itself go past it (engine/untracked.h) with other marks: that of
//	                 the rule, as below, and one that keeps them untracked.
//	SOURCE_DIRECT    No packet filter: the sockets carry the mark of the rule, and accepted TCP
//	                 connections inherit it (tcp_fwmark_accept).
//	SOURCE_LOOPBACK  No mark: whatever answers from a loopback address comes back.
//
// What goes from a loopback address to a network inside the namespace (NAT that leads 127.0.0.1 to
// a container) is no answer: such a way, other than through the network driver's interface, is
// looked up first.
//
// Each is believed only after a connection of its own for each protocol and family.
//
// Limits: the rules stay in the namespace until it ends; the packet filter goes with us.

#include "nsctl/srcip.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/netlink.h"
#include "base/netlink_nft.h"
#include "nsctl/srcip_probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Single bits that none of the usual users of packet marks takes (kube-proxy 0xc000, CNI portmap
// 0x2000, Cilium 0xf00, Tailscale 0xff0000, wg-quick a number below 65536).
#define MARK_SENT       0x20000000u
#define MARK_RETURNED   0x10000000u
#define MARK_UNTRACKED  0x40000000u
#define MARK_INQUIRY    0x08000000u
#define MARKS_UNTRACKED (MARK_RETURNED | MARK_UNTRACKED)
#define MARKS_INQUIRY   (MARK_SENT | MARK_RETURNED | MARK_INQUIRY)
#define ROUTING_TABLE   21067u
#define OUTSIDE_GROUP   21067u // of the network driver's interface
#define PRIORITY_MARK   110u
#define PRIORITY_INSIDE 111u
#define PRIORITY_SOURCE 112u
#define UDP_MARGIN_S    60u
#define NFT_TABLE       "rk-engine"

static const struct {
	enum rk_socket_kind kind;
	int family;
	int socktype;
	const char *name;
} kinds[SOCKET_KIND_COUNT] = {
	{SOCKET_TCP4, AF_INET, SOCK_STREAM, "tcp4"},
	{SOCKET_TCP6, AF_INET6, SOCK_STREAM, "tcp6"},
	{SOCKET_UDP4, AF_INET, SOCK_DGRAM, "udp4"},
	{SOCKET_UDP6, AF_INET6, SOCK_DGRAM, "udp6"},
};

static void loopback_address(struct rk_addr *addr, int family)
{
	const char *ip = family == AF_INET6 ? "::1" : "127.0.0.1";

	addr_parse(addr, ip, strlen(ip), 0);
}

// What a server on all addresses would answer a foreign client from: the address that the kernel
// chooses for a packet to it. Nothing is sent.
static bool find_answer_address(struct rk_addr *addr, int family)
{
	RK_CLEANUP_FD int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(*addr);
	struct rk_addr client;

	srcip_foreign_client(&client, family);
	addr_set_port(&client, 9); // any: connecting only looks the route up
	if (fd < 0 || connect(fd, &client.sa, addr_length(&client)) < 0)
		return false;
	return getsockname(fd, &addr->sa, &length) == 0 && !addr_is_loopback(addr) &&
	       !addr_is_wildcard(addr);
}

static bool write_setting(const char *path, const char *value)
{
	int rc = file_write_text(path, value);

	if (rc < 0 && rc != -ENOENT)
		log_debug("source address: write %s: %s", path, strerror(-rc));
	return rc == 0;
}

static int add_routes(int family, struct rk_error *e)
{
	struct rk_addr loopback;
	struct rk_route_rule rule = {
		.priority = PRIORITY_MARK,
		.table = ROUTING_TABLE,
		.mark_bit = MARK_RETURNED,
		.source = &loopback,
	};
	int rc = route_add_local(family, ROUTING_TABLE, e);

	loopback_address(&loopback, family);
	if (rc == 0)
		rc = rule_add(&rule, e);
	rule.mark_bit = 0;
	rule.source_prefix = family == AF_INET6 ? 128 : 8;
	rule.priority = PRIORITY_INSIDE;
	rule.table = RK_TABLE_MAIN;
	rule.skip_group = OUTSIDE_GROUP;
	if (rc == 0)
		rc = rule_add(&rule, e);
	rule.priority = PRIORITY_SOURCE;
	rule.table = ROUTING_TABLE;
	rule.skip_group = 0;
	return rc < 0 ? rc : rule_add(&rule, e);
}

// An interface that cannot be put in the group costs what NAT leads from loopback addresses into
// its network, no more.
static void group_interface(const struct rk_network_info *network)
{
	struct rk_error e;

	if (network->ifname[0] && link_set_group(network->ifname, OUTSIDE_GROUP, &e) < 0)
		log_debug("source address: %s", e.text);
}

// With connection tracking in the namespace: its answers to UDP must be known as such for longer
// than a flow of the engine lives, and closed TCP connections must not fill its table, not even at
// tens of thousands a second.
static void set_tracking_times(uint32_t udp_idle_ms)
{
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", udp_idle_ms / 1000 + UDP_MARGIN_S);
	write_setting("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", seconds);
	write_setting("/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream", seconds);
	write_setting("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1");
	write_setting("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close", "1");
}

// Resets that the kernel sends for us belong to no socket and have no mark but the reflected one.
// False: the setting is not ours to change, for IPv4 (a kernel may have no IPv6).
static bool reflect_marks(bool on)
{
	write_setting("/proc/sys/net/ipv6/fwmark_reflect", on ? "1" : "0");
	return write_setting("/proc/sys/net/ipv4/fwmark_reflect", on ? "1" : "0");
}

// Whether servers on all addresses can be reached at `kind`'s own address with this mark.
static bool direct_works(const struct rk_addr *answers, unsigned kind, uint32_t mark)
{
	const struct rk_addr *target = &answers[kinds[kind].family == AF_INET6];
	int rc = -EADDRNOTAVAIL;

	if (target->sa.sa_family != AF_UNSPEC)
		rc = srcip_probe(kinds[kind].socktype, target, mark);
	if (rc < 0)
		log_debug(
			"source address: %s, mark %#x: %s", kinds[kind].name, mark, strerror(-rc));
	return rc == 0;
}

// Tries a mark on all kinds at their own addresses; true when it works for any. Without the packet
// filter no UDP server's answer comes back: the mark is inherited by accepted connections only.
static bool try_mark(struct rk_source_info *info, const struct rk_addr *answers,
	enum rk_source_level level, uint32_t mark)
{
	bool any = false;

	for (unsigned kind = 0; kind < SOCKET_KIND_COUNT; kind++) {
		if (level < SOURCE_FULL && kinds[kind].socktype != SOCK_STREAM)
			continue;
		if (!direct_works(answers, kind, mark))
			continue;
		info->level[kind] = (uint8_t)level;
		any = true;
	}
	return any;
}

// TCP only: a UDP server on all addresses would not answer from the loopback address.
static void try_loopback(struct rk_source_info *info, uint32_t mark)
{
	for (unsigned kind = 0; kind < SOCKET_KIND_COUNT; kind++) {
		struct rk_addr target;

		if (kinds[kind].socktype != SOCK_STREAM || info->level[kind] != SOURCE_NONE)
			continue;
		loopback_address(&target, kinds[kind].family);
		if (srcip_probe(SOCK_STREAM, &target, mark) == 0)
			info->level[kind] = SOURCE_LOOPBACK;
	}
}

// Whether TCP servers at `kind`'s own address are reached, and clients refused where nobody
// listens, past connection tracking; and whether an inquiry is answered, whoever listens.
static bool untracked_works(const struct rk_addr *answers, unsigned kind)
{
	const struct rk_addr *target = &answers[kinds[kind].family == AF_INET6];

	return direct_works(answers, kind, MARKS_UNTRACKED) &&
	       srcip_probe_refusal(target, MARKS_UNTRACKED, false) == 0 &&
	       srcip_probe_refusal(target, MARKS_INQUIRY, true) == 0;
}

// For all of TCP that the packet filter works for, or not at all.
static void try_untracked(struct rk_source_info *info, const struct rk_addr *answers)
{
	bool any = false;

	for (unsigned kind = 0; kind < SOCKET_KIND_COUNT; kind++) {
		if (kinds[kind].socktype != SOCK_STREAM || info->level[kind] != SOURCE_FULL)
			continue;
		if (!untracked_works(answers, kind)) {
			log_debug("source address: %s: all is tracked", kinds[kind].name);
			return;
		}
		any = true;
	}
	if (!any)
		return;
	info->untracked_mark = MARKS_UNTRACKED;
	info->inquiry_mark = MARKS_INQUIRY;
}

// A kernel that cannot refuse connections, or leave them untracked, does without that. 0 or -code.
static int add_packet_filter(struct srcip *srcip, struct rk_error *e)
{
	struct rk_nft_marks marks = {.sent = MARK_SENT,
		.returned = MARK_RETURNED,
		.untracked = MARK_UNTRACKED,
		.inquiry = MARK_INQUIRY};

	srcip->netfilter_fd = nft_add_return_table(NFT_TABLE, &marks, e);
	if (srcip->netfilter_fd >= 0)
		return 0;
	marks.untracked = marks.inquiry = 0;
	srcip->netfilter_fd = nft_add_return_table(NFT_TABLE, &marks, e);
	return srcip->netfilter_fd < 0 ? srcip->netfilter_fd : 0;
}

// The best way that works; sets srcip->mark.
static void choose_mark(struct srcip *srcip, struct rk_source_info *info,
	const struct rk_addr *answers, uint32_t udp_idle_ms)
{
	char line[512];
	struct rk_error e;
	bool reflected = reflect_marks(true);

	if (add_packet_filter(srcip, &e) < 0) {
		log_info("source address: not shown behind NAT in the namespace: %s",
			error_line(&e, line, sizeof(line)));
	} else {
		set_tracking_times(udp_idle_ms);
		srcip->mark = MARK_SENT;
		if (try_mark(info, answers, SOURCE_FULL, srcip->mark)) {
			// Without the setting nothing would answer, and finding that out takes
			// long.
			if (reflected)
				try_untracked(info, answers);
			return;
		}
		fd_close(&srcip->netfilter_fd);
	}
	srcip->mark = MARK_RETURNED;
	if (try_mark(info, answers, SOURCE_DIRECT, srcip->mark))
		return;
	reflect_marks(false);
	srcip->mark = 0;
}

// A second address by router advertisements would be preferred to the first, and servers would
// answer from it: UDP clients of the first would not know the answer.
static void keep_address(const struct rk_network_info *network)
{
	char path[64];

	if (network->dynamic || !network->ifname[0])
		return;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/autoconf", network->ifname);
	write_setting(path, "0");
}

static void store_answers(struct rk_source_info *info, struct rk_addr *answers)
{
	if (find_answer_address(&answers[0], AF_INET))
		addr_format_ip(&answers[0], info->ip, sizeof(info->ip));
	else
		answers[0].sa.sa_family = AF_UNSPEC;
	if (find_answer_address(&answers[1], AF_INET6))
		addr_format_ip(&answers[1], info->ip6, sizeof(info->ip6));
	else
		answers[1].sa.sa_family = AF_UNSPEC;
}

void srcip_set_up(struct srcip *srcip, uint32_t udp_idle_ms, struct rk_network_info *network)
{
	struct rk_source_info *info = &network->source;
	struct rk_addr answers[2];
	struct rk_error e;

	*srcip = SRCIP_NONE;
	memset(info, 0, sizeof(*info));
	group_interface(network);
	if (add_routes(AF_INET, &e) < 0) {
		error_wrap(&e, "source address of clients is not shown");
		log_failure(&e);
		return;
	}
	if (add_routes(AF_INET6, &e) < 0)
		log_debug("source address: no IPv6: %s", e.text);
	write_setting("/proc/sys/net/ipv4/tcp_fwmark_accept", "1");
	// A client may use its port again while our side of the old connection still waits.
	write_setting("/proc/sys/net/ipv4/tcp_tw_reuse", "1");
	keep_address(network);
	store_answers(info, answers);
	choose_mark(srcip, info, answers, udp_idle_ms);
	try_loopback(info, srcip->mark);
	for (unsigned kind = 0; kind < SOCKET_KIND_COUNT; kind++)
		srcip->enabled |= info->level[kind] != SOURCE_NONE;
	if (!srcip->enabled)
		log_warning("source address: no connection with a client's address works here");
}
