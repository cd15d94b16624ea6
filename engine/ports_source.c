// ports_source.c: what a port shows the child of its clients: their own address, a PROXY header.
//
// How it works: for clients of each family outside the host's loopback there are two lists.
//
//	own	targets that are shown the client's address: the address of the namespace, where a
//		server on all addresses answers from (and where NAT to a container begins), then the
//		loopback address for servers that listen there only. A child address that is not a
//		loopback one is the only target.
//	plain	targets for when none of those works: the same addresses, then whatever the spec's
//		own targets are. The address of the namespace stands first here, too, so that a
//		server that trusts its loopback clients does not take a remote one for such.
//
// What the namespace is able to show was tested when it was made (struct rk_source_info).

#include "engine/ports_source.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const int families[] = {AF_INET, AF_INET6};

const char *source_level_name(enum rk_source_level level)
{
	static const char *const names[SOURCE_LEVEL_COUNT] = {
		[SOURCE_NONE] = "none",
		[SOURCE_LOOPBACK] = "loopback",
		[SOURCE_DIRECT] = "direct",
		[SOURCE_FULL] = "full",
	};

	return level < SOURCE_LEVEL_COUNT ? names[level] : "?";
}

const char *source_ip_name(enum rk_source_ip mode)
{
	static const char *const names[] = {
		[SOURCE_IP_AUTO] = "auto",
		[SOURCE_IP_OFF] = "off",
		[SOURCE_IP_PREFER] = "prefer",
		[SOURCE_IP_REQUIRE] = "require",
	};

	return names[mode];
}

const char *downgrade_name(enum rk_downgrade reason)
{
	static const char *const names[DOWNGRADE_COUNT] = {
		[DOWNGRADE_UNPREPARED] = "unprepared",
		[DOWNGRADE_FAMILY] = "family",
		[DOWNGRADE_LINK_LOCAL] = "link-local",
		[DOWNGRADE_INSIDE] = "inside",
		[DOWNGRADE_UNREACHED] = "unreached",
		[DOWNGRADE_PROXY] = "proxy",
	};

	return reason < DOWNGRADE_COUNT ? names[reason] : "?";
}

const char *proxy_protocol_name(enum rk_proxy_protocol version)
{
	static const char *const names[] = {
		[PROXY_PROTOCOL_OFF] = "off",
		[PROXY_PROTOCOL_V1] = "v1",
		[PROXY_PROTOCOL_V2] = "v2",
	};

	return names[version];
}

int source_ip_parse(const char *name, enum rk_source_ip *mode)
{
	for (unsigned i = SOURCE_IP_OFF; i <= SOURCE_IP_REQUIRE; i++) {
		if (strcmp(source_ip_name((enum rk_source_ip)i), name) == 0) {
			*mode = (enum rk_source_ip)i;
			return 0;
		}
	}
	return -EINVAL;
}

int proxy_protocol_parse(const char *name, enum rk_proxy_protocol *version)
{
	for (unsigned i = PROXY_PROTOCOL_OFF; i <= PROXY_PROTOCOL_V2; i++) {
		if (strcmp(proxy_protocol_name((enum rk_proxy_protocol)i), name) == 0) {
			*version = (enum rk_proxy_protocol)i;
			return 0;
		}
	}
	return -EINVAL;
}

enum rk_source_level ports_source_level(
	const struct rk_source_policy *policy, int socktype, int family)
{
	enum rk_socket_kind kind;

	if (!policy->source)
		return SOURCE_NONE;
	if (socktype == SOCK_STREAM)
		kind = family == AF_INET6 ? SOCKET_TCP6 : SOCKET_TCP4;
	else
		kind = family == AF_INET6 ? SOCKET_UDP6 : SOCKET_UDP4;
	return (enum rk_source_level)policy->source->level[kind];
}

static void add_target(struct rk_target_list *list, const struct rk_addr *addr, uint16_t port)
{
	struct rk_addr target = *addr;

	addr_set_port(&target, port);
	for (unsigned i = 0; i < list->count; i++) {
		if (addr_equal(&list->addrs[i], &target))
			return;
	}
	if (list->count < RK_TARGET_LIST_MAX)
		list->addrs[list->count++] = target;
}

// The namespace's own address of a family. False: it has none.
static bool own_address(struct rk_addr *addr, const struct rk_source_policy *policy, int family)
{
	const char *ip = family == AF_INET6 ? policy->source->ip6 : policy->source->ip;

	return ip[0] && addr_parse(addr, ip, strlen(ip), 0) == 0;
}

// The targets that a client of `family` is shown to.
static void add_own_targets(
	struct rk_forward *forward, const struct rk_source_policy *policy, int family)
{
	struct rk_target_list *list = &forward->remote[family == AF_INET6].own;
	enum rk_source_level level = ports_source_level(policy, forward->socktype, family);
	struct rk_addr address;

	forward->remote[family == AF_INET6].why_not =
		level == SOURCE_NONE ? DOWNGRADE_UNPREPARED : DOWNGRADE_FAMILY;
	for (unsigned i = 0; i < forward->target_count; i++) {
		const struct rk_addr *target = &forward->targets[i];
		bool loopback = addr_is_loopback(target);
		uint16_t port = addr_port(target);

		if (target->sa.sa_family != family)
			continue;
		if (loopback && level >= SOURCE_DIRECT && own_address(&address, policy, family))
			add_target(list, &address, port);
		if (level >= (loopback ? SOURCE_LOOPBACK : SOURCE_DIRECT))
			add_target(list, target, port);
	}
}

// The targets for a client of `family` that is not shown.
static void add_plain_targets(
	struct rk_forward *forward, const struct rk_source_policy *policy, int family)
{
	struct rk_target_list *list = &forward->remote[family == AF_INET6].plain;
	int other = family == AF_INET6 ? AF_INET : AF_INET6;
	struct rk_addr address;

	for (unsigned i = 0; i < forward->target_count; i++) {
		if (!policy->source || !addr_is_loopback(&forward->targets[i]))
			continue;
		if (own_address(&address, policy, i == 0 ? family : other))
			add_target(list, &address, addr_port(&forward->targets[i]));
	}
	for (unsigned i = 0; i < forward->target_count; i++)
		add_target(list, &forward->targets[i], addr_port(&forward->targets[i]));
}

// NAT usually leaves loopback addresses alone (Docker with its proxy): what is reached by such NAT
// only is reached at the namespace's own address.
static void add_last_target(struct rk_forward *forward, const struct rk_source_policy *policy)
{
	const struct rk_addr *first = &forward->targets[0];

	if (!policy->source || !addr_is_loopback(first))
		return;
	if (own_address(&forward->last_target, policy, first->sa.sa_family))
		addr_set_port(&forward->last_target, addr_port(first));
	else
		forward->last_target.sa.sa_family = AF_UNSPEC;
}

// Only behind NAT in the namespace are there servers that look for their clients elsewhere.
static void add_answer(
	struct rk_forward *forward, const struct rk_source_policy *policy, int family)
{
	struct rk_addr *answer = &forward->remote[family == AF_INET6].answer;

	if (ports_source_level(policy, forward->socktype, family) < SOURCE_FULL ||
		!own_address(answer, policy, family)) {
		answer->sa.sa_family = AF_UNSPEC;
		return;
	}
	snprintf(forward->ifname, sizeof(forward->ifname), "%s", policy->ifname);
}

static void add_marks(struct rk_forward *forward, const struct rk_source_policy *policy)
{
	if (!policy->source || forward->socktype != SOCK_STREAM)
		return;
	forward->untracked_mark = policy->source->untracked_mark;
	forward->inquiry_mark = policy->source->inquiry_mark;
}

static int explain_require(
	const struct rk_forward *forward, const struct rk_source_policy *policy, struct rk_error *e)
{
	int family = forward->listeners[0].sa.sa_family;
	char text[RK_ADDR_TEXT_MAX];

	error_set(e, EOPNOTSUPP,
		"source-ip = require: clients cannot be shown to %s over IPv%c (port %s)",
		forward->socktype == SOCK_STREAM ? "TCP servers" : "UDP servers",
		family == AF_INET6 ? '6' : '4',
		addr_format(&forward->listeners[0], text, sizeof(text)));
	if (!policy->source)
		return error_hint(
			e, "the namespace was not prepared: start with [port] source-ip = prefer");
	return error_hint(e,
		"this namespace reaches \"%s\" (see docs/source-ip.md), and the child "
		"address must be of the client's family",
		source_level_name(ports_source_level(policy, forward->socktype, family)));
}

static enum rk_source_ip choose_mode(
	const struct rk_port_spec *spec, const struct rk_source_policy *policy)
{
	enum rk_source_ip mode = spec->source_ip ? spec->source_ip : policy->source_ip;

	if (mode == SOURCE_IP_AUTO)
		mode = proto_is_udp(spec->proto) || !policy->source ? SOURCE_IP_OFF
								    : SOURCE_IP_PREFER;
	return mode;
}

static int resolve_proxy_protocol(struct rk_forward *forward, const struct rk_port_spec *spec,
	const struct rk_source_policy *policy, struct rk_error *e)
{
	bool stream = forward->socktype == SOCK_STREAM;

	char text[RK_PORT_TEXT_MAX];

	if (spec->proxy_protocol_set && spec->proxy_protocol != PROXY_PROTOCOL_OFF && !stream) {
		error_set(e, EINVAL, "%s: the PROXY protocol is for TCP ports only",
			port_spec_format(spec, text, sizeof(text)));
		return error_hint(e, "publish it without a PROXY header");
	}
	forward->proxy_protocol = spec->proxy_protocol_set ? spec->proxy_protocol
				  : stream                 ? policy->proxy_protocol
							   : PROXY_PROTOCOL_OFF;
	return 0;
}

static void warn_if_not_shown(const struct rk_forward *forward, const struct rk_port_spec *spec)
{
	char text[RK_PORT_TEXT_MAX];
	unsigned family = forward->listeners[0].sa.sa_family == AF_INET6;

	if (forward->remote[family].own.count == 0)
		log_warning("port %s: the child cannot be shown the addresses of its clients",
			port_spec_format(spec, text, sizeof(text)));
}

int ports_source_resolve(struct rk_forward *forward, const struct rk_port_spec *spec,
	const struct rk_source_policy *policy, struct rk_error *e)
{
	unsigned first = forward->listeners[0].sa.sa_family == AF_INET6;
	int rc = resolve_proxy_protocol(forward, spec, policy, e);

	forward->source_ip = choose_mode(spec, policy);
	forward->child_proxy = spec->child_proxy[0];
	add_last_target(forward, policy);
	if (rc < 0 || forward->source_ip == SOURCE_IP_OFF)
		return rc;
	add_marks(forward, policy);
	for (unsigned i = 0; i < 2; i++) {
		add_own_targets(forward, policy, families[i]);
		add_plain_targets(forward, policy, families[i]);
		add_answer(forward, policy, families[i]);
	}
	if (forward->source_ip == SOURCE_IP_REQUIRE && forward->remote[first].own.count == 0)
		return explain_require(forward, policy, e);
	warn_if_not_shown(forward, spec);
	return 0;
}
