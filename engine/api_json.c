// api_json.c: the JSON bodies of the control API's answers; what clients send is in api_read.c.
//
// How it works: names, order and omitted members are RootlessKit's (compared with the answers of
// version 1.1.0 byte by byte). What we add, upstream's clients ignore: "engine" in info, and stats.
// An allocation that fails leaves a member out of the tree, so every add goes through `complete`.

#include "engine/api_json.h"
#include "engine/api_json_parts.h"
#include "engine/json.h"

#include <string.h>

char *api_print_and_free(cJSON *tree, bool complete)
{
	char *text = tree && complete ? cJSON_PrintUnformatted(tree) : NULL;

	cJSON_Delete(tree);
	return text;
}

bool api_add_text(cJSON *object, const char *name, const char *text)
{
	return cJSON_AddStringToObject(object, name, text);
}

static bool add_text_if_set(cJSON *object, const char *name, const char *text)
{
	return !text[0] || api_add_text(object, name, text);
}

static bool add_number(cJSON *object, const char *name, double value)
{
	return cJSON_AddNumberToObject(object, name, value);
}

static bool add_item(cJSON *array, const char *text)
{
	cJSON *item = cJSON_CreateString(text);

	return item && cJSON_AddItemToArray(array, item);
}

static bool add_network(cJSON *root, const struct rk_network_info *network)
{
	cJSON *object;
	cJSON *dns;
	bool complete;

	if (!network->driver[0])
		return true;
	object = cJSON_AddObjectToObject(root, "networkDriver");
	complete = object && api_add_text(object, "driver", network->driver);
	if (complete && network->dns[0][0]) {
		dns = cJSON_AddArrayToObject(object, "dns");
		complete = dns;
		for (unsigned i = 0; complete && i < RK_DNS_MAX && network->dns[i][0]; i++)
			complete = add_item(dns, network->dns[i]);
	}
	if (complete)
		complete = add_text_if_set(object, "childIP", network->ip);
	if (complete && network->dynamic)
		complete = cJSON_AddTrueToObject(object, "dynamicChildIP");
	return complete;
}

static bool add_port_driver(cJSON *root, const struct rk_api_info *info)
{
	cJSON *object;
	cJSON *protos;
	bool complete;

	if (!info->port_driver)
		return true;
	object = cJSON_AddObjectToObject(root, "portDriver");
	complete = object && api_add_text(object, "driver", info->port_driver);
	protos = complete ? cJSON_AddArrayToObject(object, "protos") : NULL;
	complete = protos;
	for (unsigned i = 0; complete && info->protos[i]; i++)
		complete = add_item(protos, info->protos[i]);
	if (complete && info->no_child_loopback)
		complete = cJSON_AddTrueToObject(object, "disallowLoopbackChildIP");
	return complete;
}

// How far each kind of client can be shown in this namespace.
static bool add_source_levels(cJSON *engine, const struct rk_source_info *source)
{
	static const char *const names[SOCKET_KIND_COUNT] = {
		[SOCKET_TCP4] = "tcp4",
		[SOCKET_TCP6] = "tcp6",
		[SOCKET_UDP4] = "udp4",
		[SOCKET_UDP6] = "udp6",
	};
	cJSON *object = cJSON_AddObjectToObject(engine, "sourceIP");
	bool complete = object;

	for (unsigned kind = 0; complete && kind < SOCKET_KIND_COUNT; kind++)
		complete = api_add_text(object, names[kind],
			source_level_name((enum rk_source_level)source->level[kind]));
	return complete;
}

// What this server can do beyond RootlessKit; clients ask here before they rely on it.
static bool add_features(cJSON *engine, const struct rk_api_info *info)
{
	cJSON *features = cJSON_AddArrayToObject(engine, "features");
	bool complete = features;

	for (unsigned i = 0; complete && info->features[i]; i++)
		complete = add_item(features, info->features[i]);
	return complete;
}

static bool add_engine(cJSON *root, const struct rk_api_info *info)
{
	cJSON *object;
	bool complete;

	if (!info->io_name && !info->features)
		return true;
	object = cJSON_AddObjectToObject(root, "engine");
	complete = object;
	if (complete && info->io_name)
		complete = api_add_text(object, "io", info->io_name) &&
			   add_number(object, "workers", info->workers) &&
			   add_source_levels(object, &info->network->source);
	return complete && (!info->features || add_features(object, info));
}

char *api_json_info(const struct rk_api_info *info)
{
	cJSON *root = cJSON_CreateObject();
	bool complete = root && api_add_text(root, "apiVersion", RK_API_VERSION) &&
			api_add_text(root, "version", RK_VERSION) &&
			api_add_text(root, "stateDir", info->state_dir) &&
			add_number(root, "childPID", info->network->child_pid) &&
			add_network(root, info->network) && add_port_driver(root, info) &&
			add_engine(root, info);

	return api_print_and_free(root, complete);
}

// What the child is shown of the port's clients, unless that is nothing.
static bool add_source(cJSON *object, const struct rk_port *port)
{
	cJSON *inner;

	if (port->proxy_protocol != PROXY_PROTOCOL_OFF &&
		!api_add_text(object, "proxyProtocol", proxy_protocol_name(port->proxy_protocol)))
		return false;
	if (port->source_ip <= SOURCE_IP_OFF)
		return true;
	if (!add_text_if_set(object, "childProxy", port->spec.child_proxy))
		return false;
	inner = cJSON_AddObjectToObject(object, "sourceIP");
	return inner && api_add_text(inner, "mode", source_ip_name(port->source_ip)) &&
	       api_add_text(inner, "ipv4", source_level_name(port->source_levels[0])) &&
	       api_add_text(inner, "ipv6", source_level_name(port->source_levels[1]));
}

// Clients that know no ranges see the first port of each side, and the id that removes them all.
static bool add_range(cJSON *object, const struct rk_port_spec *spec)
{
	return port_spec_count(spec) == 1 ||
	       (add_number(object, "parentPortEnd", spec->parent_port_end) &&
		       add_number(object, "childPortEnd", port_spec_child_end(spec)));
}

static bool add_owner(cJSON *object, const struct rk_port *port)
{
	cJSON *inner = port->spec.owned ? cJSON_AddObjectToObject(object, "owner") : NULL;

	return !port->spec.owned || (inner && add_number(inner, "pid", port->owner));
}

bool api_add_port(cJSON *object, const struct rk_port *port)
{
	const struct rk_port_spec *spec = &port->spec;
	cJSON *inner;

	if (!object || !add_number(object, "id", port->id))
		return false;
	inner = cJSON_AddObjectToObject(object, "spec");
	return inner && api_add_text(inner, "proto", proto_name(spec->proto)) &&
	       add_text_if_set(inner, "parentIP", spec->parent_ip) &&
	       add_number(inner, "parentPort", spec->parent_port) &&
	       add_number(inner, "childPort", spec->child_port) &&
	       add_text_if_set(inner, "childIP", spec->child_ip) && add_range(inner, spec) &&
	       add_owner(object, port) && add_source(object, port);
}

char *api_json_port(const struct rk_port *port)
{
	cJSON *object = cJSON_CreateObject();

	return api_print_and_free(object, api_add_port(object, port));
}

cJSON *api_append_object(cJSON *array)
{
	cJSON *object = cJSON_CreateObject();

	if (object && !cJSON_AddItemToArray(array, object)) {
		cJSON_Delete(object);
		return NULL;
	}
	return object;
}

char *api_json_ports(const struct rk_port *ports, size_t count)
{
	cJSON *array = cJSON_CreateArray();
	bool complete = array;

	for (size_t i = 0; complete && i < count; i++)
		complete = api_add_port(api_append_object(array), &ports[i]);
	return api_print_and_free(array, complete);
}

char *api_json_error(const struct rk_error *e)
{
	char line[sizeof(e->text) + sizeof(e->hint) + 8];
	const char *code = strerrorname_np(e->code);
	cJSON *object = cJSON_CreateObject();

	error_line(e, line, sizeof(line));
	return api_print_and_free(
		object, object && api_add_text(object, "message", line) &&
				add_text_if_set(object, "code", code ? code : ""));
}
