// lxc_explain.c: what a failure of lxc-user-nic(1) means and what to do about it.
//
// Facts: liblxc-common 5.0.2. The program prints one line for each level that a failure passes, the
// last is "Quota reached" whatever the reason was; so the first that is known here counts.

#include "drivers/lxc_explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int no_rights(const struct lxc_request *request, struct rk_error *e)
{
	error_set(e, EPERM, "%s does not run as root", request->program);
	return error_hint(e, "it must belong to root and be set-uid, on a file system without "
			     "nosuid, and nobody above us may have set no_new_privs");
}

static int no_list(const struct lxc_request *request, struct rk_error *e)
{
	error_set(e, ENOENT, LXC_USERNET ": not there, so nobody may have an interface");
	return error_hint(e, "as root: mkdir -p /etc/lxc && echo '%s veth %s 10' >>" LXC_USERNET,
		request->user, request->bridge);
}

static int no_bridge(const struct lxc_request *request, struct rk_error *e)
{
	error_set(e, ENODEV, "%s cannot be used as a bridge", request->bridge);
	return error_hint(e,
		"as root: ip link add %s type bridge, or set [lxc-user-nic] bridge to one",
		request->bridge);
}

static int no_access(const struct lxc_request *request, struct rk_error *e)
{
	return error_set(e, EACCES, "%s: the namespaces do not belong to %s", request->program,
		request->user);
}

static int name_taken(const struct lxc_request *request, struct rk_error *e)
{
	error_set(e, EEXIST, "the namespace has an interface %s already", request->ifname);
	return error_hint(e, "set [network] ifname to another name");
}

static int not_listed(const struct lxc_request *request, struct rk_error *e)
{
	error_set(e, EPERM, LXC_USERNET ": %s may not have an interface on %s", request->user,
		request->bridge);
	return error_hint(
		e, "as root: echo '%s veth %s 10' >>" LXC_USERNET, request->user, request->bridge);
}

static int quota_reached(const struct lxc_request *request, struct rk_error *e)
{
	error_set(e, EDQUOT, LXC_USERNET ": %s has as many interfaces on %s as it may have",
		request->user, request->bridge);
	return error_hint(e, "as root raise the number at the end of the line \"%s veth %s\"",
		request->user, request->bridge);
}

static const struct {
	const char *words;
	int (*explain)(const struct lxc_request *request, struct rk_error *e);
} meanings[] = {
	{"Failed to lock", no_rights},
	{"Failed to open \"" LXC_USERNET, no_list},
	{"Could not get MTU", no_bridge},
	{"Error attaching", no_bridge},
	{"may not access", no_access},
	{"File exists", name_taken},
};

// A line of what was printed, the last one that is not empty.
static int quote(const struct lxc_request *request, const char *output, struct rk_error *e)
{
	const char *last = "it said nothing";
	size_t length = strlen(last);

	while (*output) {
		size_t line = strcspn(output, "\n");

		if (line > 0) {
			last = output;
			length = line;
		}
		output += line + (output[line] ? 1 : 0);
	}
	return error_set(e, EIO, "%s: %.*s", request->program, (int)length, last);
}

int lxc_explain(
	const struct lxc_request *request, const char *output, bool allowed, struct rk_error *e)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (strstr(output, meanings[i].words))
			return meanings[i].explain(request, e);
	}
	if (!strstr(output, "Quota reached"))
		return quote(request, output, e);
	return allowed ? quota_reached(request, e) : not_listed(request, e);
}

// Whether the next word of *line is `word`; moves past it.
static bool take_word(const char **line, const char *word)
{
	size_t length;

	*line += strspn(*line, " \t");
	length = strcspn(*line, " \t\n");
	if (length != strlen(word) || strncmp(*line, word, length) != 0)
		return false;
	*line += length;
	return true;
}

bool lxc_is_allowed(const struct lxc_request *request, const char *usernet)
{
	while (*usernet) {
		const char *line = usernet;

		if (take_word(&line, request->user) && take_word(&line, "veth") &&
			take_word(&line, request->bridge))
			return true;
		usernet += strcspn(usernet, "\n");
		usernet += *usernet == '\n';
	}
	return false;
}
