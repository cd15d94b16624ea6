// netlink_nft.c: the packet filter rules that bring answers back to a transparent socket.
//
// How it works: one batch makes a table of four chains or nothing. As nft(8) would print it, with S
// for the mark of our sockets, R for the mark of a returning packet, U for that of connections that
// need no tracking, and Q for that of inquiries whether one does:
//
//	table inet NAME {
//		flags owner
//		chain raw {
//			type filter hook output priority raw
//			mark & U == U  notrack
//		}
//		chain out {
//			type route hook output priority mangle
//			mark & S == S  ct mark set ct mark | R
//			ct direction reply  ct mark & R == R  mark set mark | R
//			mark & (S | R) == R  ct direction original  mark set mark & ~R
//		}
//		chain nat {
//			type filter hook output priority -90
//			mark & Q == Q  ct direction original  oif lo  ct status ! dnat
//				reject with tcp reset
//			mark & Q == Q  ct direction original  drop
//		}
//		chain pre {
//			type filter hook prerouting priority mangle
//			ct mark & R == R  mark set mark | R
//		}
//	}
//
// A chain of type route has the kernel route a packet again whose mark it changed: so an answer of
// a server in this namespace follows the routing rule on R although its socket has no mark. The
// answer of a container behind a bridge comes in from outside and meets `pre`. What the kernel
// itself replies to such a packet has its mark (net.ipv4.fwmark_reflect), but is for the container:
// the last rule of `out` lets it go there.
//
// `nat` comes after all NAT (-100) and IPVS (-98): it sees what has become of an inquiry.

#include "base/netlink_nft.h"
#include "base/fd.h"
#include "base/netlink_ack.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>

#define BATCH_BYTES      8192
#define PRIORITY_RAW     (-300) // NF_IP_PRI_RAW, before connections are tracked
#define PRIORITY_MANGLE  (-150) // NF_IP_PRI_MANGLE
#define PRIORITY_NATTED  (-90)  // after NF_IP_PRI_NAT_DST
#define LOOPBACK_IFINDEX 1      // in every network namespace

// A batch being built. `failed`: some object could not be allocated.
struct batch {
	char bytes[BATCH_BYTES];
	struct mnl_nlmsg_batch *batch;
	uint32_t sequence;
	bool failed;
	const char *table;
};

static struct nlmsghdr *batch_message(struct batch *b, uint16_t type, uint16_t flags)
{
	return nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b->batch), type, NFPROTO_INET,
		NLM_F_CREATE | flags, b->sequence++);
}

static void add_table(struct batch *b)
{
	struct nftnl_table *table = nftnl_table_alloc();

	b->failed |= !table;
	if (!table)
		return;
	nftnl_table_set_str(table, NFTNL_TABLE_NAME, b->table);
	nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, NFT_TABLE_F_OWNER);
	nftnl_table_nlmsg_build_payload(batch_message(b, NFT_MSG_NEWTABLE, NLM_F_EXCL), table);
	mnl_nlmsg_batch_next(b->batch);
	nftnl_table_free(table);
}

static void add_chain(
	struct batch *b, const char *name, const char *type, uint32_t hook, int32_t priority)
{
	struct nftnl_chain *chain = nftnl_chain_alloc();

	b->failed |= !chain;
	if (!chain)
		return;
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, b->table);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, type);
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook);
	nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, priority);
	nftnl_chain_nlmsg_build_payload(batch_message(b, NFT_MSG_NEWCHAIN, 0), chain);
	mnl_nlmsg_batch_next(b->batch);
	nftnl_chain_free(chain);
}

// --- expressions, all on register 1

static struct nftnl_expr *add_expression(struct batch *b, struct nftnl_rule *rule, const char *name)
{
	struct nftnl_expr *expression = nftnl_expr_alloc(name);

	b->failed |= !expression;
	if (expression)
		nftnl_rule_add_expr(rule, expression);
	return expression;
}

static void set_number(struct nftnl_expr *expression, uint16_t attribute, uint32_t value)
{
	if (expression)
		nftnl_expr_set_u32(expression, attribute, value);
}

static void load_packet(struct batch *b, struct nftnl_rule *rule, uint32_t key)
{
	struct nftnl_expr *expression = add_expression(b, rule, "meta");

	set_number(expression, NFTNL_EXPR_META_KEY, key);
	set_number(expression, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void load_connection(struct batch *b, struct nftnl_rule *rule, uint32_t key)
{
	struct nftnl_expr *expression = add_expression(b, rule, "ct");

	set_number(expression, NFTNL_EXPR_CT_KEY, key);
	set_number(expression, NFTNL_EXPR_CT_DREG, NFT_REG_1);
}

// Register = register & mask ^ flip.
static void combine(struct batch *b, struct nftnl_rule *rule, uint32_t mask, uint32_t flip)
{
	struct nftnl_expr *expression = add_expression(b, rule, "bitwise");

	set_number(expression, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	set_number(expression, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	set_number(expression, NFTNL_EXPR_BITWISE_LEN, sizeof(mask));
	set_number(expression, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	if (!expression)
		return;
	nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof(mask));
	nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_XOR, &flip, sizeof(flip));
}

static void match(struct batch *b, struct nftnl_rule *rule, const void *value, uint32_t size)
{
	struct nftnl_expr *expression = add_expression(b, rule, "cmp");

	set_number(expression, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	set_number(expression, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
	if (expression)
		nftnl_expr_set(expression, NFTNL_EXPR_CMP_DATA, value, size);
}

// Goes on only when register & mask == value.
static void match_masked(struct batch *b, struct nftnl_rule *rule, uint32_t mask, uint32_t value)
{
	combine(b, rule, mask, 0);
	match(b, rule, &value, sizeof(value));
}

static void match_packet_mark(
	struct batch *b, struct nftnl_rule *rule, uint32_t mask, uint32_t value)
{
	load_packet(b, rule, NFT_META_MARK);
	match_masked(b, rule, mask, value);
}

static void match_connection_mark(struct batch *b, struct nftnl_rule *rule, uint32_t bit)
{
	load_connection(b, rule, NFT_CT_MARK);
	match_masked(b, rule, bit, bit);
}

static void match_direction(struct batch *b, struct nftnl_rule *rule, uint8_t direction)
{
	load_connection(b, rule, NFT_CT_DIRECTION);
	match(b, rule, &direction, sizeof(direction));
}

static void mark_connection(struct batch *b, struct nftnl_rule *rule, uint32_t bit)
{
	struct nftnl_expr *expression;

	load_connection(b, rule, NFT_CT_MARK);
	combine(b, rule, ~bit, bit);
	expression = add_expression(b, rule, "ct");
	set_number(expression, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
	set_number(expression, NFTNL_EXPR_CT_SREG, NFT_REG_1);
}

// Of the packet's mark `bit` becomes `value`.
static void mark_packet(struct batch *b, struct nftnl_rule *rule, uint32_t bit, uint32_t value)
{
	struct nftnl_expr *expression;

	load_packet(b, rule, NFT_META_MARK);
	combine(b, rule, ~bit, value);
	expression = add_expression(b, rule, "meta");
	set_number(expression, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	set_number(expression, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

// --- rules

static struct nftnl_rule *rule_new(struct batch *b, const char *chain)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();

	b->failed |= !rule;
	if (!rule)
		return NULL;
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, b->table);
	nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain);
	return rule;
}

static void rule_finish(struct batch *b, struct nftnl_rule *rule, uint16_t flags)
{
	nftnl_rule_nlmsg_build_payload(
		batch_message(b, NFT_MSG_NEWRULE, NLM_F_APPEND | flags), rule);
	mnl_nlmsg_batch_next(b->batch);
	nftnl_rule_free(rule);
}

static void add_untracking(struct batch *b, const struct rk_nft_marks *marks)
{
	struct nftnl_rule *rule = rule_new(b, "raw");

	if (!rule)
		return;
	match_packet_mark(b, rule, marks->untracked, marks->untracked);
	add_expression(b, rule, "notrack");
	rule_finish(b, rule, 0);
}

static void match_inquiry(struct batch *b, struct nftnl_rule *rule, uint32_t mark)
{
	match_packet_mark(b, rule, mark, mark);
	match_direction(b, rule, IP_CT_DIR_ORIGINAL);
}

static void add_answering(struct batch *b, const struct rk_nft_marks *marks)
{
	const uint32_t loopback = LOOPBACK_IFINDEX;
	struct nftnl_expr *expression;
	struct nftnl_rule *rule = rule_new(b, "nat");

	if (rule) {
		match_inquiry(b, rule, marks->inquiry);
		load_packet(b, rule, NFT_META_OIF);
		match(b, rule, &loopback, sizeof(loopback));
		load_connection(b, rule, NFT_CT_STATUS);
		match_masked(b, rule, IPS_DST_NAT, 0);
		expression = add_expression(b, rule, "reject");
		set_number(expression, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
		rule_finish(b, rule, 0);
	}
	rule = rule_new(b, "nat");
	if (rule) {
		match_inquiry(b, rule, marks->inquiry);
		expression = add_expression(b, rule, "immediate");
		set_number(expression, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
		set_number(expression, NFTNL_EXPR_IMM_VERDICT, NF_DROP);
		rule_finish(b, rule, 0);
	}
}

static void add_marking(struct batch *b, const struct rk_nft_marks *marks)
{
	struct nftnl_rule *rule = rule_new(b, "out");

	if (rule) {
		match_packet_mark(b, rule, marks->sent, marks->sent);
		mark_connection(b, rule, marks->returned);
		rule_finish(b, rule, 0);
	}
	rule = rule_new(b, "out");
	if (rule) {
		match_direction(b, rule, IP_CT_DIR_REPLY);
		match_connection_mark(b, rule, marks->returned);
		mark_packet(b, rule, marks->returned, marks->returned);
		rule_finish(b, rule, 0);
	}
	rule = rule_new(b, "out");
	if (rule) {
		match_packet_mark(b, rule, marks->sent | marks->returned, marks->returned);
		match_direction(b, rule, IP_CT_DIR_ORIGINAL);
		mark_packet(b, rule, marks->returned, 0);
		rule_finish(b, rule, 0);
	}
	rule = rule_new(b, "pre");
	if (rule) {
		match_connection_mark(b, rule, marks->returned);
		mark_packet(b, rule, marks->returned, marks->returned);
		rule_finish(b, rule, NLM_F_ACK);
	}
}

static void build(struct batch *b, const struct rk_nft_marks *marks)
{
	nftnl_batch_begin(mnl_nlmsg_batch_current(b->batch), b->sequence++);
	mnl_nlmsg_batch_next(b->batch);
	add_table(b);
	add_chain(b, "out", "route", NF_INET_LOCAL_OUT, PRIORITY_MANGLE);
	add_chain(b, "pre", "filter", NF_INET_PRE_ROUTING, PRIORITY_MANGLE);
	if (marks->untracked) {
		add_chain(b, "raw", "filter", NF_INET_LOCAL_OUT, PRIORITY_RAW);
		add_chain(b, "nat", "filter", NF_INET_LOCAL_OUT, PRIORITY_NATTED);
		add_untracking(b, marks);
		add_answering(b, marks);
	}
	add_marking(b, marks);
	nftnl_batch_end(mnl_nlmsg_batch_current(b->batch), b->sequence++);
	mnl_nlmsg_batch_next(b->batch);
}

// The first message that comes is a refusal, or the acknowledgement of the last rule.
static int read_verdict(struct mnl_socket *socket)
{
	_Alignas(struct nlmsghdr) char buffer[BATCH_BYTES];
	char text[NETLINK_TEXT_MAX];
	ssize_t got;

	do {
		got = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : netlink_parse_ack(buffer, (size_t)got, text);
}

static int send_batch(struct mnl_socket *socket, const struct batch *b)
{
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	if (mnl_socket_sendto(
		    socket, mnl_nlmsg_batch_head(b->batch), mnl_nlmsg_batch_size(b->batch)) < 0)
		return -errno;
	return read_verdict(socket);
}

int nft_add_return_table(const char *table, const struct rk_nft_marks *marks, struct rk_error *e)
{
	struct batch b = {.table = table, .sequence = 1};
	struct mnl_socket *socket;
	int fd = -1;
	int rc = -ENOMEM;

	socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!socket)
		return error_errno(e, errno, "nftables: open the netlink socket");
	b.batch = mnl_nlmsg_batch_start(b.bytes, sizeof(b.bytes));
	if (b.batch) {
		build(&b, marks);
		rc = b.failed ? -ENOMEM : send_batch(socket, &b);
		mnl_nlmsg_batch_stop(b.batch);
	}
	if (rc == 0) {
		fd = fcntl(mnl_socket_get_fd(socket), F_DUPFD_CLOEXEC, 0);
		rc = fd < 0 ? -errno : 0;
	}
	mnl_socket_close(socket);
	return rc < 0 ? error_errno(e, -rc, "nftables: add table %s", table) : fd;
}
