// api_read.c: the JSON bodies that clients of the control API send.
//
// How it works: RootlessKit's members are read as its server reads them. What is ours is optional
// and has a name of its own: parentPort 0, parentPortEnd, childPortEnd, owner, childProxy,
// sourceIP, proxyProtocol. A parentPort that is absent is an error as it is there, for its clients
// leave out a port that was forgotten.

#include "engine/api_read.h"
#include "base/fd.h"
#include "config/quote.h"
#include "engine/json.h"
#include "engine/ports_source.h"

#include <errno.h>
#include <string.h>

// The members about what the child is shown; "" or none: as configured.
static int read_source(const cJSON *object, struct rk_port_spec *spec, struct rk_error *e)
{
	char source_ip[16] = "";
	char proxy_protocol[16] = "";
	int rc = json_get_text(object, "sourceIP", source_ip, sizeof(source_ip), e);

	if (rc == 0)
		rc = json_get_text(
			object, "proxyProtocol", proxy_protocol, sizeof(proxy_protocol), e);
	if (rc < 0)
		return rc;
	if (source_ip[0] && source_ip_parse(source_ip, &spec->source_ip) < 0)
		return error_set(e, EINVAL, "unknown sourceIP, allowed: off, prefer, require");
	spec->proxy_protocol_set = proxy_protocol[0];
	if (proxy_protocol[0] && proxy_protocol_parse(proxy_protocol, &spec->proxy_protocol) < 0)
		return error_set(e, EINVAL, "unknown proxyProtocol, allowed: off, v1, v2");
	return 0;
}

static int read_owner(const cJSON *object, struct rk_port_spec *spec, struct rk_error *e)
{
	char owner[16] = "";
	int rc = json_get_text(object, "owner", owner, sizeof(owner), e);

	if (rc < 0)
		return rc;
	if (owner[0] && strcmp(owner, "peer") != 0)
		return error_set(e, EINVAL, "unknown owner, allowed: peer");
	spec->owned = owner[0];
	return 0;
}

// The ends of a range; an end that equals its beginning is one port.
static int read_ends(const cJSON *object, struct rk_port_spec *spec, struct rk_error *e)
{
	uint32_t parent_end = spec->parent_port;
	uint32_t child_end = 0;
	int rc = json_get_integer(object, "parentPortEnd", 1, UINT16_MAX, &parent_end, e);

	if (rc == 0)
		rc = json_get_integer(object, "childPortEnd", 1, UINT16_MAX, &child_end, e);
	if (rc < 0)
		return rc;
	if (parent_end < spec->parent_port)
		return error_set(e, EINVAL, "parentPortEnd: below parentPort");
	spec->parent_port_end = parent_end == spec->parent_port ? 0 : (uint16_t)parent_end;
	if (child_end && child_end != spec->child_port + port_spec_count(spec) - 1)
		return error_set(e, EINVAL,
			"childPortEnd: the child's range is not as long as the parent's");
	return 0;
}

static int read_ports(const cJSON *object, struct rk_port_spec *spec, struct rk_error *e)
{
	uint32_t parent_port = 0;
	uint32_t child_port = 0;
	int rc = json_get_integer(object, "parentPort", 0, UINT16_MAX, &parent_port, e);

	if (rc == 0)
		rc = json_get_integer(object, "childPort", 1, UINT16_MAX, &child_port, e);
	if (rc < 0)
		return rc;
	if (!json_has(object, "parentPort"))
		return error_set(e, EINVAL,
			"parent port is missing: parentPort 0 asks for one that is free");
	spec->parent_port = (uint16_t)parent_port;
	spec->child_port = (uint16_t)child_port;
	return read_ends(object, spec, e);
}

static int read_spec(const cJSON *object, struct rk_port_spec *spec, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];
	char proto[32] = "";
	int rc = json_get_text(object, "proto", proto, sizeof(proto), e);

	memset(spec, 0, sizeof(*spec));
	if (rc == 0)
		rc = json_get_text(object, "parentIP", spec->parent_ip, sizeof(spec->parent_ip), e);
	if (rc == 0)
		rc = json_get_text(object, "childIP", spec->child_ip, sizeof(spec->child_ip), e);
	if (rc == 0 && proto_parse(proto, &spec->proto) < 0)
		rc = error_set(e, EINVAL, "unknown proto: %s",
			quote_text(proto, strlen(proto), quoted, sizeof(quoted)));
	if (rc == 0)
		rc = read_ports(object, spec, e);
	if (rc == 0)
		rc = read_source(object, spec, e);
	if (rc == 0)
		rc = read_owner(object, spec, e);
	if (rc == 0)
		rc = json_get_text(
			object, "childProxy", spec->child_proxy, sizeof(spec->child_proxy), e);
	return rc < 0 ? rc : port_spec_check(spec, e);
}

int api_read_spec(const char *body, size_t length, struct rk_port_spec *spec, struct rk_error *e)
{
	RK_CLEANUP_JSON cJSON *object = json_parse_object(body, length, e);

	return object ? read_spec(object, spec, e) : -EINVAL;
}

// An array of 1 to RK_API_LIST_MAX items. *items gets room for them. The length or -code.
static ssize_t open_list(cJSON **array, const char *body, size_t length, size_t item_size,
	void **items, struct rk_error *e)
{
	int count;

	*items = NULL;
	*array = json_parse_array(body, length, e);
	if (!*array)
		return -EINVAL;
	count = cJSON_GetArraySize(*array);
	if (count < 1 || count > RK_API_LIST_MAX)
		return error_set(e, EINVAL, "the list has %d items, allowed: 1 to %d", count,
			RK_API_LIST_MAX);
	*items = calloc((size_t)count, item_size);
	return *items ? count : error_errno(e, ENOMEM, "list of %d items", count);
}

ssize_t api_read_specs(
	const char *body, size_t length, struct rk_port_spec **specs, struct rk_error *e)
{
	RK_CLEANUP_JSON cJSON *array = NULL;
	RK_CLEANUP_FREE void *items = NULL;
	ssize_t count = open_list(&array, body, length, sizeof(**specs), &items, e);
	struct rk_port_spec *list = items;
	const cJSON *item;
	size_t next = 0;

	if (count < 0)
		return count;
	cJSON_ArrayForEach(item, array)
	{
		int rc = cJSON_IsObject(item) ? read_spec(item, &list[next], e)
					      : error_set(e, EINVAL, "an object is expected");

		if (rc < 0)
			return error_wrap(e, "item %zu", next + 1);
		next++;
	}
	*specs = list;
	items = NULL;
	return count;
}

ssize_t api_read_ids(const char *body, size_t length, uint32_t **ids, struct rk_error *e)
{
	RK_CLEANUP_JSON cJSON *array = NULL;
	RK_CLEANUP_FREE void *items = NULL;
	ssize_t count = open_list(&array, body, length, sizeof(**ids), &items, e);
	uint32_t *list = items;
	const cJSON *item;
	size_t next = 0;

	if (count < 0)
		return count;
	cJSON_ArrayForEach(item, array)
	{
		if (json_read_integer(item, "id", 1, UINT32_MAX, &list[next], e) < 0)
			return error_wrap(e, "item %zu", next + 1);
		next++;
	}
	*ids = list;
	items = NULL;
	return count;
}

int api_read_target(
	const char *body, size_t length, struct rk_api_target *target, struct rk_error *e)
{
	RK_CLEANUP_JSON cJSON *object = json_parse_object(body, length, e);
	int rc;

	memset(target, 0, sizeof(*target));
	if (!object)
		return -EINVAL;
	target->has_child_ip = json_has(object, "childIP");
	rc = json_get_text(object, "childIP", target->child_ip, sizeof(target->child_ip), e);
	if (rc == 0)
		rc = json_get_integer(object, "childPort", 1, UINT16_MAX, &target->child_port, e);
	if (rc == 0 && !target->has_child_ip && !target->child_port)
		return error_set(e, EINVAL, "childIP or childPort is expected");
	return rc;
}
