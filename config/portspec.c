// portspec.c: a published port, [PARENT-IP]:PARENT-PORT[:CHILD-IP]:CHILD-PORT/PROTO, or a range.
//
// How it works: the text is cut at its '/' and then at each ':' outside square brackets; the three
// or four fields are converted one by one, so that a message can name the part that is wrong.
// What holds for a spec wherever it comes from (text here, JSON in the API) is port_spec_check().

#include "config/portspec.h"

#include "base/addr.h"
#include "config/quote.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define SPEC_TEXT_MAX 256
#define SPEC_FIELDS   4
#define SPEC_FORM     "[PARENT-IP]:PARENT-PORT[:CHILD-IP]:CHILD-PORT/PROTO"
#define SPEC_PROTOS   "tcp, tcp4, tcp6, udp, udp4, udp6"

// A piece of the text that is parsed; points into it.
struct slice {
	const char *text;
	size_t length;
};

static const struct {
	const char *name;
	bool udp;
	int family;
} protos[PROTO_COUNT] = {
	[PROTO_TCP] = {"tcp", false, AF_UNSPEC},
	[PROTO_TCP4] = {"tcp4", false, AF_INET},
	[PROTO_TCP6] = {"tcp6", false, AF_INET6},
	[PROTO_UDP] = {"udp", true, AF_UNSPEC},
	[PROTO_UDP4] = {"udp4", true, AF_INET},
	[PROTO_UDP6] = {"udp6", true, AF_INET6},
};

const char *proto_name(enum rk_proto proto)
{
	return (unsigned)proto < PROTO_COUNT ? protos[proto].name : "?";
}

static int proto_find(struct slice name, enum rk_proto *proto)
{
	for (unsigned i = 0; i < PROTO_COUNT; i++) {
		if (strlen(protos[i].name) == name.length &&
			memcmp(protos[i].name, name.text, name.length) == 0) {
			*proto = (enum rk_proto)i;
			return 0;
		}
	}
	return -EINVAL;
}

int proto_parse(const char *name, enum rk_proto *proto)
{
	return proto_find((struct slice){name, strlen(name)}, proto);
}

bool proto_is_udp(enum rk_proto proto)
{
	return (unsigned)proto < PROTO_COUNT && protos[proto].udp;
}

int proto_family(enum rk_proto proto)
{
	return (unsigned)proto < PROTO_COUNT ? protos[proto].family : AF_UNSPEC;
}

static int protocol_parse(struct rk_port_spec *spec, struct slice name, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];

	if (proto_find(name, &spec->proto) == 0)
		return 0;
	quote_text(name.text, name.length, quoted, sizeof(quoted));
	if (name.length >= 4 && memcmp(name.text, "sctp", 4) == 0)
		return error_set(
			e, EINVAL, "protocol %s is not supported, allowed: " SPEC_PROTOS, quoted);
	return error_set(
		e, EINVAL, "protocol %s is unknown, allowed: " SPEC_PROTOS " (lower case)", quoted);
}

// A number from `minimum` to 65535.
static int number_parse(
	uint16_t *port, struct slice field, unsigned minimum, const char *part, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];
	unsigned value = 0;
	size_t i = 0;

	// Five digits at most, so `value` cannot overflow.
	for (; i < field.length && i < 5 && field.text[i] >= '0' && field.text[i] <= '9'; i++)
		value = value * 10 + (unsigned)(field.text[i] - '0');
	if (field.length == 0)
		return error_set(e, EINVAL, "%s port is missing", part);
	if (i < field.length || value < minimum || value > UINT16_MAX)
		return error_set(e, EINVAL, "%s port %s is not a number from %u to 65535", part,
			quote_text(field.text, field.length, quoted, sizeof(quoted)), minimum);
	*port = (uint16_t)value;
	return 0;
}

// "8000" or "8000-8010"; *last is 0 without a range, and for a range of one.
static int ports_parse(uint16_t *first, uint16_t *last, struct slice field, unsigned minimum,
	const char *part, struct rk_error *e)
{
	const char *dash = memchr(field.text, '-', field.length);
	struct slice low = field;
	struct slice high = {"", 0};
	int rc;

	*last = 0;
	if (!dash || dash == field.text)
		return number_parse(first, field, minimum, part, e);
	low.length = (size_t)(dash - field.text);
	high.text = dash + 1;
	high.length = field.length - low.length - 1;
	rc = number_parse(first, low, 1, part, e);
	if (rc == 0)
		rc = number_parse(last, high, 1, part, e);
	if (rc == 0 && *last < *first)
		return error_set(e, EINVAL, "%s ports %u-%u: the last is below the first", part,
			*first, *last);
	if (*last == *first)
		*last = 0;
	return rc;
}

// Both port fields.
static int port_fields_parse(
	struct rk_port_spec *spec, struct slice parent, struct slice child, struct rk_error *e)
{
	uint16_t child_end = 0;
	int rc = ports_parse(&spec->parent_port, &spec->parent_port_end, parent, 0, "parent", e);

	if (rc == 0)
		rc = ports_parse(&spec->child_port, &child_end, child, 1, "child", e);
	if (rc < 0)
		return rc;
	if (child_end == 0 ? spec->parent_port_end == 0 : child_end == port_spec_child_end(spec))
		return 0;
	return error_set(e, EINVAL, "the ranges of ports are not equally long");
}

// Copies an address without its brackets; whether it is one is port_spec_check()'s question.
static int ip_copy(
	char ip[RK_IP_TEXT_MAX], struct slice field, const char *part, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];

	if (field.length >= 2 && field.text[0] == '[' && field.text[field.length - 1] == ']') {
		field.text++;
		field.length -= 2;
		if (field.length == 0)
			return error_set(e, EINVAL, "%s address is empty in its brackets", part);
	}
	if (field.length >= RK_IP_TEXT_MAX)
		return error_set(e, EINVAL, "%s address %s is not an IP address", part,
			quote_text(field.text, field.length, quoted, sizeof(quoted)));
	memcpy(ip, field.text, field.length);
	ip[field.length] = '\0';
	return 0;
}

// Cuts `text` at each ':' outside brackets. Returns the number of fields, SPEC_FIELDS + 1 when
// there are more, or -EINVAL for a bracket that is not closed where a field ends.
static int fields_split(struct slice text, struct slice fields[SPEC_FIELDS])
{
	const char *at = text.text;
	const char *end = text.text + text.length;
	const char *stop;
	int count = 0;

	for (;; at = stop + 1) {
		if (count == SPEC_FIELDS)
			return SPEC_FIELDS + 1;
		stop = at;
		if (at < end && *at == '[') {
			stop = memchr(at, ']', (size_t)(end - at));
			if (!stop || (++stop < end && *stop != ':'))
				return -EINVAL;
		}
		while (stop < end && *stop != ':')
			stop++;
		fields[count++] = (struct slice){at, (size_t)(stop - at)};
		if (stop == end)
			return count;
	}
}

static int fields_parse(struct rk_port_spec *spec, struct slice text, struct rk_error *e)
{
	struct slice fields[SPEC_FIELDS];
	struct slice child_ip = {"", 0};
	int count = fields_split(text, fields);
	int rc;

	if (count == -EINVAL)
		return error_set(e, EINVAL, "address has a '[' that no ']' before the ':' closes");
	if (count > SPEC_FIELDS)
		return error_set(e, EINVAL, "too many ':' (an IPv6 address needs brackets: [::1])");
	if (count == 2)
		return error_set(e, EINVAL,
			"parent address or a port is missing (all addresses: :8080:80/tcp)");
	if (count == 1)
		return error_set(e, EINVAL, "parent port and child port are missing");
	if (count == SPEC_FIELDS)
		child_ip = fields[2];
	rc = ip_copy(spec->parent_ip, fields[0], "parent", e);
	if (rc == 0)
		rc = ip_copy(spec->child_ip, child_ip, "child", e);
	return rc < 0 ? rc : port_fields_parse(spec, fields[1], fields[count - 1], e);
}

// What can be said about the text before it is cut into fields.
static int text_check(struct slice text, struct rk_error *e)
{
	if (text.length == 0)
		return error_set(e, EINVAL, "the spec is empty");
	if (text.length > SPEC_TEXT_MAX)
		return error_set(e, EINVAL, "the spec is longer than %d bytes", SPEC_TEXT_MAX);
	for (size_t i = 0; i < text.length; i++) {
		if (text.text[i] == ' ' || text.text[i] == ',')
			return error_set(
				e, EINVAL, "blanks and commas are not allowed, one spec at a time");
		if (text.text[i] < ' ' || text.text[i] > '~')
			return error_set(e, EINVAL, "byte %zu is not a printable character", i + 1);
	}
	return 0;
}

static int spec_parse(struct rk_port_spec *spec, struct slice text, struct rk_error *e)
{
	struct slice before = {text.text, 0};
	struct slice proto = {"", 0};
	const char *slash;
	int rc = text_check(text, e);

	if (rc < 0)
		return rc;
	slash = memchr(text.text, '/', text.length);
	if (!slash)
		return error_set(e, EINVAL, "protocol is missing, it must end in /tcp or /udp");
	before.length = (size_t)(slash - text.text);
	proto.text = slash + 1;
	proto.length = text.length - before.length - 1;
	rc = protocol_parse(spec, proto, e);
	if (rc == 0)
		rc = fields_parse(spec, before, e);
	return rc == 0 ? port_spec_check(spec, e) : rc;
}

int port_spec_parse(struct rk_port_spec *spec, const char *text, size_t length, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];

	memset(spec, 0, sizeof(*spec));
	if (spec_parse(spec, (struct slice){text, length}, e) == 0)
		return 0;
	memset(spec, 0, sizeof(*spec));
	error_wrap(e, "port spec %s", quote_text(text, length, quoted, sizeof(quoted)));
	error_hint(e, "the form is " SPEC_FORM);
	return -EINVAL;
}

// The interface name or number after '%', of characters that a spec's text can have. Whether the
// interface exists is not asked: a child address names one of another network namespace.
static bool scope_is_legal(const char *scope)
{
	size_t length = strlen(scope);

	for (size_t i = 0; i < length; i++) {
		if (scope[i] <= ' ' || scope[i] > '~')
			return false;
	}
	return length > 0 && length < IF_NAMESIZE && !strpbrk(scope, "/:%[],");
}

// Address text of either side; "" is legal. `family` AF_UNSPEC takes both.
static int ip_check(
	const char *ip, int family, const char *part, enum rk_proto proto, struct rk_error *e)
{
	size_t length = strnlen(ip, RK_IP_TEXT_MAX);
	const char *percent = memchr(ip, '%', length);
	size_t ip_length = percent ? (size_t)(percent - ip) : length;
	char quoted[RK_QUOTE_MAX];
	struct rk_addr addr;
	bool link_local;

	if (length == 0)
		return 0;
	quote_text(ip, length, quoted, sizeof(quoted));
	if (length == RK_IP_TEXT_MAX || addr_parse(&addr, ip, ip_length, 0) < 0)
		return error_set(e, EINVAL, "%s address %s is not an IP address", part, quoted);
	if (family != AF_UNSPEC && addr.sa.sa_family != family)
		return error_set(e, EINVAL, "%s address %s is not IPv%c, which %s needs", part,
			quoted, family == AF_INET ? '4' : '6', proto_name(proto));
	link_local = addr.sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&addr.in6.sin6_addr);
	if (percent && (!link_local || !scope_is_legal(percent + 1)))
		return error_set(e, EINVAL,
			"%s address %s: only a link-local address has a scope, as in fe80::1%%eth0",
			part, quoted);
	if (link_local && !percent)
		return error_set(e, EINVAL,
			"%s address %s is link-local and needs its interface: fe80::1%%eth0", part,
			quoted);
	return 0;
}

unsigned port_spec_count(const struct rk_port_spec *spec)
{
	return spec->parent_port_end ? spec->parent_port_end - spec->parent_port + 1u : 1;
}

uint16_t port_spec_child_end(const struct rk_port_spec *spec)
{
	return (uint16_t)(spec->child_port + port_spec_count(spec) - 1);
}

bool port_spec_overlaps(const struct rk_port_spec *a, const struct rk_port_spec *b)
{
	if (a->proto != b->proto || a->parent_port == 0 || b->parent_port == 0)
		return false;
	return a->parent_port < b->parent_port + port_spec_count(b) &&
	       b->parent_port < a->parent_port + port_spec_count(a);
}

static int range_check(const struct rk_port_spec *spec, struct rk_error *e)
{
	if (spec->child_port == 0)
		return error_set(e, EINVAL, "child port 0 is not a number from 1 to 65535");
	if (spec->parent_port_end == 0)
		return 0;
	if (spec->parent_port == 0)
		return error_set(e, EINVAL,
			"parent port 0 (the kernel chooses) is for one port, not a range");
	if (spec->parent_port_end <= spec->parent_port)
		return error_set(e, EINVAL, "parent ports %u-%u: the last is not above the first",
			spec->parent_port, spec->parent_port_end);
	if (spec->child_port + port_spec_count(spec) - 1 > UINT16_MAX)
		return error_set(e, EINVAL, "child ports: %u from %u on go beyond 65535",
			port_spec_count(spec), spec->child_port);
	return 0;
}

int port_spec_check(const struct rk_port_spec *spec, struct rk_error *e)
{
	int rc;

	if ((unsigned)spec->proto >= PROTO_COUNT)
		return error_set(e, EINVAL, "protocol is unknown, allowed: " SPEC_PROTOS);
	rc = range_check(spec, e);
	if (rc == 0)
		rc = ip_check(spec->parent_ip, proto_family(spec->proto), "parent", spec->proto, e);
	if (rc < 0)
		return rc;
	// The child's family is free: a flow may cross families.
	return ip_check(spec->child_ip, AF_UNSPEC, "child", spec->proto, e);
}

// "8000" or "8000-8010".
static void range_format(char *text, size_t size, unsigned first, unsigned count)
{
	if (count > 1)
		snprintf(text, size, "%u-%u", first, first + count - 1);
	else
		snprintf(text, size, "%u", first);
}

const char *port_spec_format(const struct rk_port_spec *spec, char *text, size_t size)
{
	bool parent6 = strchr(spec->parent_ip, ':');
	bool child6 = strchr(spec->child_ip, ':');
	char parent[24];
	char child[24];

	range_format(parent, sizeof(parent), spec->parent_port, port_spec_count(spec));
	range_format(child, sizeof(child), spec->child_port, port_spec_count(spec));
	snprintf(text, size, "%s%s%s:%s:%s%s%s%s%s/%s", parent6 ? "[" : "", spec->parent_ip,
		parent6 ? "]" : "", parent, child6 ? "[" : "", spec->child_ip, child6 ? "]" : "",
		spec->child_ip[0] ? ":" : "", child, proto_name(spec->proto));
	return text;
}
