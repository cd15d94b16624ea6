// test_netlink_ack.c: the kernel's answer to a netlink request, whole, cut and wrong.

#include "base/netlink_ack.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

static struct {
	struct nlmsghdr header;
	struct nlmsgerr verdict;
	struct nlattr attribute;
	char words[8];
} ack;
static char text[NETLINK_TEXT_MAX];

static void fill(int error)
{
	ack.header = (struct nlmsghdr){
		.nlmsg_len = sizeof(ack), .nlmsg_type = NLMSG_ERROR, .nlmsg_flags = NLM_F_ACK_TLVS};
	ack.verdict.error = error;
	ack.attribute = (struct nlattr){sizeof(ack.attribute) + 8, NLMSGERR_ATTR_MSG};
	memcpy(ack.words, "too old", 8);
}

Test(netlink_ack, tells_the_verdict_and_the_kernels_words)
{
	fill(-EPERM);
	cr_expect_eq(netlink_parse_ack(&ack, sizeof(ack), text), -EPERM);
	cr_expect_str_eq(text, "too old");
	ack.header.nlmsg_len--; // would end within the padding of an attribute
	cr_expect_eq(netlink_parse_ack(&ack, sizeof(ack) - 1, text), -EPERM);
	cr_expect_str_eq(text, "");
	fill(0);
	ack.header.nlmsg_flags = 0;
	cr_expect_eq(netlink_parse_ack(&ack, sizeof(ack), text), 0);
	cr_expect_str_eq(text, "");
}

Test(netlink_ack, refuses_anything_else)
{
	fill(0);
	for (size_t length = 0; length < sizeof(ack); length++)
		cr_expect_eq(netlink_parse_ack(&ack, length, text), -EPROTO);
	ack.header.nlmsg_type = NLMSG_DONE;
	cr_expect_eq(netlink_parse_ack(&ack, sizeof(ack), text), -EPROTO);
	fill(0);
	ack.header.nlmsg_len = 0x80000010u; // negative as int
	cr_expect_eq(netlink_parse_ack(&ack, sizeof(ack), text), -EPROTO);
	fill(1);
	cr_expect_eq(netlink_parse_ack(&ack, sizeof(ack), text), -EPROTO);
}
