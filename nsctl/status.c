// status.c: `nsctl status`: is the instance of a state directory running, and with which network.

#include "base/fd.h"
#include "base/log.h"
#include "nsctl/instance.h"
#include "nsctl/netfiles.h"
#include "nsctl/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EXIT_NOT_RUNNING 3

static int read_network(const char *path, struct rk_network_info *info, struct rk_error *e)
{
	char file[PATH_MAX];
	char text[2048];
	ssize_t length;

	if (snprintf(file, sizeof(file), "%s/network", path) >= (int)sizeof(file))
		return error_errno(e, ENAMETOOLONG, "%s", path);
	length = file_read_text(file, text, sizeof(text));
	if (length < 0)
		return error_errno(e, (int)-length, "%s", file);
	netfiles_parse_network(info, text, (size_t)length);
	return 0;
}

static void print_text(const struct instance *instance, const struct rk_network_info *info)
{
	printf("state directory: %s\nrunning: %s\n", instance->path,
		instance->running ? "yes" : "no");
	if (instance->attached[0])
		printf("attached to: %s\n", instance->attached);
	if (instance->child_pid == 0)
		return;
	printf("child pid: %d\nnetwork driver: %s\n", instance->child_pid,
		info->driver[0] ? info->driver : "host");
	if (info->ifname[0])
		printf("interface: %s, mtu %u\n", info->ifname, info->mtu);
	if (info->ip[0])
		printf("address: %s/%u\n", info->ip, info->prefix);
	if (info->gateway[0])
		printf("gateway: %s\n", info->gateway);
	if (info->ip6[0])
		printf("address: %s/%u\n", info->ip6, info->prefix6);
	if (info->gateway6[0])
		printf("gateway: %s\n", info->gateway6);
	for (unsigned i = 0; i < RK_DNS_MAX && info->dns[i][0]; i++)
		printf("name server: %s\n", info->dns[i]);
}

// A JSON string (RFC 8259 section 7). Bytes above 0x7f pass: paths are UTF-8 or nothing better.
static void print_json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void print_json_field(const char *name, const char *value)
{
	printf(",\"%s\":", name);
	print_json_string(value);
}

static void print_json_network(const struct rk_network_info *info)
{
	printf(",\"network\":{\"mtu\":%u", info->mtu);
	print_json_field("driver", info->driver[0] ? info->driver : "host");
	print_json_field("ifname", info->ifname);
	print_json_field("ip", info->ip);
	printf(",\"prefix\":%u", info->prefix);
	print_json_field("gateway", info->gateway);
	print_json_field("ip6", info->ip6);
	printf(",\"prefix6\":%u", info->prefix6);
	print_json_field("gateway6", info->gateway6);
	printf(",\"dns\":[");
	for (unsigned i = 0; i < RK_DNS_MAX && info->dns[i][0]; i++) {
		if (i > 0)
			putchar(',');
		print_json_string(info->dns[i]);
	}
	printf("]}");
}

static void print_json(const struct instance *instance, const struct rk_network_info *info)
{
	printf("{\"running\":%s", instance->running ? "true" : "false");
	print_json_field("stateDir", instance->path);
	if (instance->attached[0])
		print_json_field("attachedTo", instance->attached);
	if (instance->child_pid > 0) {
		printf(",\"childPID\":%d", instance->child_pid);
		print_json_network(info);
	}
	printf("}\n");
}

int status_main(int argc, char **argv)
{
	struct rk_network_info info = {.driver = ""};
	struct instance instance;
	struct rk_error e;
	const char *path = NULL;
	bool json = false;
	int rc;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (argv[i][0] == '-' || path) {
			log_error("status: unexpected \"%s\" (see nsctl --help)", argv[i]);
			return 1;
		} else {
			path = argv[i];
		}
	}
	if (!path) {
		log_error("status: no state directory given (see nsctl --help)");
		return 1;
	}
	rc = instance_find(&instance, path, &e);
	if (rc == 0 && instance.child_pid > 0)
		rc = read_network(instance.path, &info, &e);
	if (rc < 0) {
		log_failure(&e);
		return 1;
	}
	if (json)
		print_json(&instance, &info);
	else
		print_text(&instance, &info);
	return instance.running ? 0 : EXIT_NOT_RUNNING;
}
