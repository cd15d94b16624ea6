// checks.c: what single values must fulfil beyond their type, and what pairs of values must.

#include "config/checks.h"

#include "config/config.h"
#include "config/quote.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <string.h>
#include <sys/un.h>

#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

int check_not_empty(const char *value, struct rk_error *e)
{
	return value[0] ? 0 : error_set(e, EINVAL, "must not be empty");
}

// "24" of 10.0.2.0/24; room for the namespace's own addresses needs /30 or less. 0 or -EINVAL.
static int prefix_parse(const char *text, unsigned *prefix)
{
	size_t length = strlen(text);

	if (length < 1 || length > 2 || strspn(text, "0123456789") != length)
		return -EINVAL;
	*prefix = (unsigned)(text[0] - '0');
	if (length == 2)
		*prefix = *prefix * 10 + (unsigned)(text[1] - '0');
	return *prefix >= 1 && *prefix <= 30 ? 0 : -EINVAL;
}

int check_cidr(const char *value, struct rk_error *e)
{
	const char *slash = strchr(value, '/');
	size_t ip_length = slash ? (size_t)(slash - value) : 0;
	char ip[INET_ADDRSTRLEN], network[INET_ADDRSTRLEN], quoted[RK_QUOTE_MAX];
	struct in_addr address, masked;
	unsigned prefix;

	if (!value[0])
		return 0;
	quote_text(value, strlen(value), quoted, sizeof(quoted));
	if (!slash || ip_length >= sizeof(ip))
		return error_set(e, EINVAL, "%s is not an IPv4 network", quoted);
	memcpy(ip, value, ip_length);
	ip[ip_length] = '\0';
	if (inet_pton(AF_INET, ip, &address) != 1)
		return error_set(e, EINVAL, "%s is not an IPv4 network", quoted);
	if (prefix_parse(slash + 1, &prefix) < 0)
		return error_set(e, EINVAL, "%s: the prefix is not a number from 1 to 30", quoted);
	masked.s_addr = address.s_addr & htonl(UINT32_MAX << (32 - prefix));
	if (masked.s_addr == address.s_addr)
		return 0;
	inet_ntop(AF_INET, &masked, network, sizeof(network));
	return error_set(e, EINVAL, "%s is the address of a host, its network is %s/%u", quoted,
		network, prefix);
}

// The kernel's own rule for the name of an interface.
int check_ifname(const char *value, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];
	size_t length = strlen(value);

	quote_text(value, length, quoted, sizeof(quoted));
	if (length >= IF_NAMESIZE)
		return error_set(e, EINVAL, "%s is longer than %d bytes", quoted, IF_NAMESIZE - 1);
	if (strpbrk(value, "/: \t") || strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
		return error_set(e, EINVAL, "%s is not the name of an interface", quoted);
	return 0;
}

// Walks the components, so that "//tmp/" is /tmp and no ".." hides where a path leads.
int check_copy_up(const char *value, struct rk_error *e)
{
	const char *at = value;
	unsigned components = 0;
	bool starts_in_tmp = false;
	char quoted[RK_QUOTE_MAX];
	size_t length;

	quote_text(value, strlen(value), quoted, sizeof(quoted));
	if (value[0] != '/')
		return error_set(e, EINVAL, "%s is not an absolute path", quoted);
	for (at += strspn(at, "/"); *at; at += length, at += strspn(at, "/")) {
		length = strcspn(at, "/");
		if (at[0] == '.' && (length == 1 || (length == 2 && at[1] == '.')))
			return error_set(e, EINVAL, "%s has a '.' or '..' in it", quoted);
		if (++components == 1)
			starts_in_tmp = length == 3 && memcmp(at, "tmp", 3) == 0;
	}
	if (components == 0 || (components == 1 && starts_in_tmp))
		return error_set(e, EINVAL, "%s cannot be copied up", quoted);
	return 0;
}

int check_socket_path(const char *value, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];

	if (strlen(value) > SOCKET_PATH_MAX)
		return error_set(e, EINVAL, "%s has %zu bytes",
			quote_text(value, strlen(value), quoted, sizeof(quoted)), strlen(value));
	return 0;
}

int check_cgroup_name(const char *value, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];

	if (!strchr(value, '/') && strcmp(value, ".") != 0 && strcmp(value, "..") != 0 &&
		strlen(value) <= NAME_MAX)
		return 0;
	return error_set(e, EINVAL, "%s is not the name of a cgroup",
		quote_text(value, strlen(value), quoted, sizeof(quoted)));
}

static int processes_check(const struct rk_config *config, struct rk_error *e)
{
	if (config->process.reaper == TRISTATE_TRUE && !config->process.pidns)
		return error_set(e, EINVAL, "[process] reaper: true requires pidns");
	if (config->process.evacuate_cgroup2[0] && !config->process.cgroupns)
		return error_set(e, EINVAL, "[process] evacuate-cgroup2: requires cgroupns");
	if (config->process.evacuate_cgroup2[0] && !config->process.pidns)
		return error_set(e, EINVAL, "[process] evacuate-cgroup2: requires pidns");
	return 0;
}

static int mounts_check(const struct rk_config *config, struct rk_error *e)
{
	const struct rk_string_list *list = &config->mount.copy_up;
	bool shared = config->mount.propagation == PROPAGATION_SHARED ||
		      config->mount.propagation == PROPAGATION_RSHARED;

	if (shared && list->count > 0)
		return error_set(e, EINVAL,
			"[mount] propagation: %s lets the mounts of copy-up out into the host, "
			"allowed with copy-up: private, rprivate, slave, rslave",
			config->mount.propagation == PROPAGATION_SHARED ? "shared" : "rshared");
	for (size_t i = 1; i < list->count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(list->items[i], list->items[j]) == 0)
				return error_set(e, EINVAL, "[mount] copy-up: %s is given twice",
					list->items[i]);
		}
	}
	return 0;
}

static int ports_check(const struct rk_config *config, struct rk_error *e)
{
	const struct rk_port_list *list = &config->port.publish;
	char first[RK_PORT_TEXT_MAX], second[RK_PORT_TEXT_MAX];

	for (size_t i = 1; i < list->count; i++) {
		const struct rk_port_spec *a = &list->items[i];

		for (size_t j = 0; j < i; j++) {
			const struct rk_port_spec *b = &list->items[j];

			if (!port_spec_overlaps(a, b) || strcmp(a->parent_ip, b->parent_ip) != 0)
				continue;
			port_spec_format(a, first, sizeof(first));
			port_spec_format(b, second, sizeof(second));
			return error_set(e, EINVAL,
				"[port] publish: %s wants the parent address of %s", first, second);
		}
	}
	return 0;
}

static int keepalive_check(const struct rk_config *config, struct rk_error *e)
{
	if (config->port.keepalive_time_ms % 1000 != 0)
		return error_set(e, EINVAL, "[port] keepalive-time: %u ms, allowed: whole seconds",
			config->port.keepalive_time_ms);
	if (!config->port.keepalive && config->port.keepalive_time_ms > 0)
		return error_set(e, EINVAL, "[port] keepalive-time: requires keepalive");
	return 0;
}

int config_check(const struct rk_config *config, struct rk_error *e)
{
	size_t socket_length = strlen(config->engine.state_dir) + strlen("/api.sock");
	int rc;

	if (socket_length > SOCKET_PATH_MAX) {
		error_set(e, EINVAL,
			"[engine] state-dir: the path of its api.sock has %zu bytes, allowed: %zu",
			socket_length, SOCKET_PATH_MAX);
		return error_hint(e, "choose a shorter directory");
	}
	rc = processes_check(config, e);
	if (rc == 0)
		rc = mounts_check(config, e);
	if (rc == 0)
		rc = keepalive_check(config, e);
	return rc < 0 ? rc : ports_check(config, e);
}
