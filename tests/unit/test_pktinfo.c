// test_pktinfo.c: the local address of a datagram: written, read back, and cut short.

#include "engine/pktinfo.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

// In memory that ends where the control data does, for the address sanitizer.
static void read_exact(const void *control, size_t length, struct in6_pktinfo *local)
{
	void *exact = malloc(length);

	cr_assert(exact);
	memcpy(exact, control, length);
	pktinfo_read(exact, length, local);
	free(exact);
}

static void expect_round_trip(int family, size_t size)
{
	static const struct in6_pktinfo nothing;
	_Alignas(struct cmsghdr) char control[PKTINFO_SPACE];
	struct msghdr message = {.msg_control = control};
	struct in6_pktinfo local = {0}, again;

	memset(&local.ipi6_addr, 7, family == AF_INET6 ? 16 : 4);
	pktinfo_write(&message, family, &local);
	read_exact(control, message.msg_controllen, &again);
	cr_expect_arr_eq(&again, &local, sizeof(local));
	for (size_t length = 1; length < CMSG_LEN(size); length++) {
		read_exact(control, length, &again);
		cr_expect_arr_eq(&again, &nothing, sizeof(again));
	}
	((struct cmsghdr *)control)->cmsg_len = CMSG_LEN(size) - 1;
	read_exact(control, message.msg_controllen, &again);
	cr_expect_arr_eq(&again, &nothing, sizeof(again));
}

Test(pktinfo, reads_back_what_was_written_or_nothing)
{
	expect_round_trip(AF_INET, sizeof(struct in_pktinfo));
	expect_round_trip(AF_INET6, sizeof(struct in6_pktinfo));
}
