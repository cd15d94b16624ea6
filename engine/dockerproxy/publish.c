// publish.c: dockerd's published port as a port of the engine, by way of the control API.

#include "engine/dockerproxy/publish.h"
#include "base/addr.h"
#include "base/fd.h"
#include "engine/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_listed(const cJSON *protos, const char *proto)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, protos)
	{
		if (cJSON_IsString(item) && strcmp(item->valuestring, proto) == 0)
			return true;
	}
	return false;
}

// A driver whose connections do not come from the namespace's own loopback (slirp4netns) needs
// the address of the interface.
static int choose_child_ip(const cJSON *info, const cJSON *driver, const struct proxy_flags *flags,
	struct publish_port *port, struct rk_error *e)
{
	const cJSON *network = cJSON_GetObjectItemCaseSensitive(info, "networkDriver");
	struct rk_addr addr;
	int rc;

	snprintf(port->child_ip, sizeof(port->child_ip), "%s",
		flags->host_is_ip6 ? "::1" : "127.0.0.1");
	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(driver, "disallowLoopbackChildIP")))
		return 0;
	port->child_ip[0] = '\0';
	rc = json_get_text(network, "childIP", port->child_ip, sizeof(port->child_ip), e);
	if (rc < 0)
		return rc;
	if (addr_parse(&addr, port->child_ip, strlen(port->child_ip), 0) == 0)
		return 0;
	if (port->child_ip[0])
		return error_set(e, EPROTO, "childIP: \"%s\" is no address", port->child_ip);
	return error_set(e, EADDRNOTAVAIL,
		"port driver %s does not lead to loopback addresses, and the network driver names "
		"no other",
		port->driver);
}

static int plan_by_info(const cJSON *info, const struct proxy_flags *flags,
	struct publish_port *port, struct rk_error *e)
{
	const cJSON *driver = cJSON_GetObjectItemCaseSensitive(info, "portDriver");
	const cJSON *features;
	int rc;

	if (!cJSON_IsObject(driver))
		return PUBLISH_NOTHING;
	rc = json_get_text(driver, "driver", port->driver, sizeof(port->driver), e);
	if (rc < 0)
		return rc;
	if (strcmp(port->driver, "none") == 0 || strcmp(port->driver, "implicit") == 0)
		return PUBLISH_NOTHING;
	snprintf(port->proto, sizeof(port->proto), "%.16s%c", flags->proto,
		flags->host_is_ip6 ? '6' : '4');
	port->host_ip = flags->host_ip;
	port->port = flags->host_port;
	if (!is_listed(cJSON_GetObjectItemCaseSensitive(driver, "protos"), port->proto))
		return PUBLISH_UNSUPPORTED;
	// RootlessKit has no such things: there a killed docker-proxy leaves its port behind.
	features = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(info, "engine"), "features");
	port->owned = is_listed(features, "owner");
	port->named = is_listed(features, "childProxy");
	rc = choose_child_ip(info, driver, flags, port, e);
	return rc < 0 ? rc : PUBLISH_PORT;
}

int publish_plan(struct ctl_client *client, const struct proxy_flags *flags,
	struct publish_port *port, struct rk_error *e)
{
	RK_CLEANUP_JSON cJSON *info = NULL;
	int rc = client_request(client, "GET", "/v1/info", NULL, &info, e);

	memset(port, 0, sizeof(*port));
	return rc < 0 ? rc : plan_by_info(info, flags, port, e);
}

// The text is the caller's to free; NULL when there is no memory.
static char *print_port(const struct publish_port *port)
{
	RK_CLEANUP_JSON cJSON *object = cJSON_CreateObject();
	bool complete =
		object && cJSON_AddStringToObject(object, "proto", port->proto) &&
		cJSON_AddStringToObject(object, "parentIP", port->host_ip) &&
		cJSON_AddNumberToObject(object, "parentPort", port->port) &&
		cJSON_AddNumberToObject(object, "childPort", port->port) &&
		cJSON_AddStringToObject(object, "childIP", port->child_ip) &&
		(!port->owned || cJSON_AddStringToObject(object, "owner", "peer")) &&
		(!port->named || cJSON_AddStringToObject(object, "childProxy", "docker-proxy"));

	return complete ? cJSON_PrintUnformatted(object) : NULL;
}

int64_t publish_add(struct ctl_client *client, const struct publish_port *port, struct rk_error *e)
{
	RK_CLEANUP_JSON cJSON *answer = NULL;
	RK_CLEANUP_FREE char *body = print_port(port);
	uint32_t id = 0;
	int rc;

	if (!body)
		return error_errno(e, ENOMEM, "print JSON");
	rc = client_request(client, "POST", "/v1/ports", body, &answer, e);
	if (rc == 0)
		rc = json_get_integer(answer, "id", 1, UINT32_MAX, &id, e);
	if (rc < 0)
		return rc;
	return id ? (int64_t)id : error_set(e, EPROTO, "the answer to POST /v1/ports has no id");
}

int publish_remove(struct ctl_client *client, int64_t id, struct rk_error *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/v1/ports/%lld", (long long)id);
	return client_request(client, "DELETE", path, NULL, NULL, e);
}
