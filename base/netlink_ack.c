// netlink_ack.c: the kernel's answer to one netlink request, taken apart.

#include "base/netlink_ack.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <stdio.h>

// A refusal: header, struct nlmsgerr (the request's header only, NETLINK_CAP_ACK), attributes.
static void copy_kernel_text(const struct nlmsghdr *ack, char *text)
{
	const struct nlattr *attr;

	if (!(ack->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	mnl_attr_for_each(attr, ack, sizeof(struct nlmsgerr))
	{
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
			mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			snprintf(text, NETLINK_TEXT_MAX, "%s", mnl_attr_get_str(attr));
	}
}

int netlink_parse_ack(const void *answer, size_t length, char *text)
{
	const struct nlmsghdr *ack = answer;
	const struct nlmsgerr *verdict;

	text[0] = '\0';
	// libmnl compares lengths as int: one above INT_MAX would seem to fit.
	if (length > INT_MAX || !mnl_nlmsg_ok(ack, (int)length) || ack->nlmsg_len > length ||
		ack->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(ack) < sizeof(*verdict))
		return -EPROTO;
	// libmnl looks for attributes up to the length rounded up.
	if (MNL_ALIGN(ack->nlmsg_len) <= length)
		copy_kernel_text(ack, text);
	verdict = mnl_nlmsg_get_payload(ack);
	return verdict->error <= 0 ? verdict->error : -EPROTO;
}
