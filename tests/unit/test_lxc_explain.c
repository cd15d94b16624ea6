// test_lxc_explain.c: what lxc-user-nic prints, and what we make of it.

#include "drivers/lxc_explain.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define AT   "../src/lxc/cmd/lxc_user_nic.c: "
#define LAST "\n" AT "1250: main: Quota reached\n"

static const struct lxc_request request = {
	.program = "lxc-user-nic", .user = "anna", .bridge = "br7", .ifname = "eth0"};

static const struct {
	const char *output;
	bool allowed;
	int code;
	const char *text;
	const char *hint;
} cases[] = {
	{AT "308: get_alloted - No such file or directory - Failed to open \"" LXC_USERNET
	    "\"\n" LAST,
		false, ENOENT, "not there", "'anna veth br7 10' >>/etc/lxc/lxc-usernet"},
	{AT "1250: main: Quota reached\n", false, EPERM, "anna may not have an interface on br7",
		"echo 'anna veth br7 10'"},
	{AT "1250: main: Quota reached\n", true, EDQUOT, "as many interfaces on br7",
		"\"anna veth br7\""},
	{AT "545: get_mtu: Could not get MTU for netdev br7 ifindex 0\n" AT
	    "593: create_nic: Error attaching veth1_x to br7" LAST,
		true, ENODEV, "br7 cannot be used as a bridge", "ip link add br7 type bridge"},
	{AT "89: open_and_lock - Permission denied - Failed to open \"/run/lxc/nics\"\n\n" AT
	    "1179: main: Failed to lock /run/lxc/nics\n",
		true, EPERM, "lxc-user-nic does not run as root", "no_new_privs"},
	{AT "700: rename - File exists - renaming", true, EEXIST, "an interface eth0 already",
		"[network] ifname"},
	{"User 1000 may not access 4711\n", true, EACCES, "do not belong to anna", ""},
	{"something new\nat the end\n\n", true, EIO, "lxc-user-nic: at the end", ""},
	{"", true, EIO, "lxc-user-nic: it said nothing", ""},
};

Test(lxc_explain, each_failure_has_its_meaning)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_error e = {.hint = ""};

		cr_assert_eq(lxc_explain(&request, cases[i].output, cases[i].allowed, &e),
			-cases[i].code, "%zu", i);
		cr_assert(strstr(e.text, cases[i].text), "%zu: %s", i, e.text);
		cr_assert(strstr(e.hint, cases[i].hint), "%zu: %s", i, e.hint);
	}
}

Test(lxc_explain, finds_the_line_of_user_and_bridge)
{
	static const struct {
		const char *usernet;
		bool allowed;
	} files[] = {
		{"", false},
		{"anna veth br7 10\n", true},
		{"# comment\n\nbert veth br7 1\n\tanna  veth\tbr7 2", true},
		{"anna veth br77 10\n", false},
		{"anna veth br 10\n", false},
		{"annabel veth br7 10\n", false},
		{"anna ovs br7 10\n", false},
		{"anna veth\nbr7 10\n", false},
		{"anna", false},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		cr_assert_eq(
			lxc_is_allowed(&request, files[i].usernet), files[i].allowed, "%zu", i);
}
