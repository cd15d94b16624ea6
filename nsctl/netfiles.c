// netfiles.c: resolv.conf, hosts and network in the state directory.

#include "nsctl/netfiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The text fields of struct rk_network_info under their names in the file.
struct network_field {
	const char *key;
	size_t offset;
	size_t size;
};

#define TEXT_FIELD(key, member)                                                                    \
	{                                                                                          \
		key, offsetof(struct rk_network_info, member),                                     \
			sizeof(((struct rk_network_info *)0)->member)                              \
	}

static const struct network_field text_fields[] = {
	TEXT_FIELD("driver", driver),
	TEXT_FIELD("ifname", ifname),
	TEXT_FIELD("ip", ip),
	TEXT_FIELD("ip6", ip6),
	TEXT_FIELD("gateway", gateway),
	TEXT_FIELD("gateway6", gateway6),
	TEXT_FIELD("dns", dns[0]),
	TEXT_FIELD("dns", dns[1]),
	TEXT_FIELD("dns", dns[2]),
	TEXT_FIELD("dns", dns[3]),
};
_Static_assert(RK_DNS_MAX == 4, "text_fields names every DNS server");
#define TEXT_FIELD_COUNT (sizeof(text_fields) / sizeof(text_fields[0]))

static int write_resolv_conf(
	const struct rk_state_dir *dir, const struct rk_network_info *info, struct rk_error *e)
{
	char text[RK_DNS_MAX * (INET6_ADDRSTRLEN + 16) + 64];
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < RK_DNS_MAX; i++) {
		if (info->dns[i][0])
			used += (size_t)snprintf(
				text + used, sizeof(text) - used, "nameserver %s\n", info->dns[i]);
	}
	if (used == 0)
		snprintf(text, sizeof(text), "# this network has no name server\n");
	return state_dir_write(dir, "resolv.conf", text, e);
}

static int write_hosts(const struct rk_state_dir *dir, struct rk_error *e)
{
	char host[256];
	char text[768];

	if (gethostname(host, sizeof(host)) < 0 || !host[0])
		snprintf(host, sizeof(host), "localhost");
	host[sizeof(host) - 1] = '\0';
	snprintf(text, sizeof(text),
		"127.0.0.1\tlocalhost %s\n::1\tlocalhost ip6-localhost ip6-loopback %s\n", host,
		host);
	return state_dir_write(dir, "hosts", text, e);
}

int netfiles_write_names(
	const struct rk_state_dir *dir, const struct rk_network_info *info, struct rk_error *e)
{
	int rc = write_resolv_conf(dir, info, e);

	return rc < 0 ? rc : write_hosts(dir, e);
}

int netfiles_write_network(
	const struct rk_state_dir *dir, const struct rk_network_info *info, struct rk_error *e)
{
	char text[1024];
	size_t used;

	used = (size_t)snprintf(text, sizeof(text), "prefix=%u\nprefix6=%u\nmtu=%u\n", info->prefix,
		info->prefix6, info->mtu);
	for (size_t i = 0; i < TEXT_FIELD_COUNT; i++) {
		const char *value = (const char *)info + text_fields[i].offset;

		if (value[0])
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s=%s\n",
				text_fields[i].key, value);
	}
	return state_dir_write(dir, "network", text, e);
}

// A key that repeats (dns) goes to its next free field.
static void parse_text(struct rk_network_info *info, const char *key, const char *value)
{
	for (size_t i = 0; i < TEXT_FIELD_COUNT; i++) {
		char *field = (char *)info + text_fields[i].offset;

		if (strcmp(key, text_fields[i].key) != 0 || field[0])
			continue;
		snprintf(field, text_fields[i].size, "%s", value);
		return;
	}
}

static void parse_line(struct rk_network_info *info, char *line)
{
	char *value = strchr(line, '=');

	if (!value)
		return;
	*value++ = '\0';
	if (strcmp(line, "prefix") == 0)
		info->prefix = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(line, "prefix6") == 0)
		info->prefix6 = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(line, "mtu") == 0)
		info->mtu = (uint32_t)strtoul(value, NULL, 10);
	else
		parse_text(info, line, value);
}

void netfiles_parse_network(struct rk_network_info *info, const char *text, size_t length)
{
	const char *end = text + length;

	memset(info, 0, sizeof(*info));
	while (text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));
		char line[128];

		if (!line_end)
			return;
		if (line_end - text < (ptrdiff_t)sizeof(line)) {
			memcpy(line, text, (size_t)(line_end - text));
			line[line_end - text] = '\0';
			parse_line(info, line);
		}
		text = line_end + 1;
	}
}
