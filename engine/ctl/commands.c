// commands.c: what rootlessctl can do.
//
// How it works: all words are read before the first request, so that a typing error changes
// nothing; then they are worked off in order up to the first that the server refuses, and each
// success is printed at once.

#include "engine/ctl/commands.h"
#include "base/fd.h"
#include "config/portspec.h"
#include "config/quote.h"
#include "engine/ctl/show.h"
#include "engine/ctl/top.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int show_answer(const cJSON *answer, struct rk_error *e);

static int get(struct ctl_client *client, const char *path, show_answer *show, struct rk_error *e)
{
	cJSON *answer = NULL;
	int rc = client_request(client, "GET", path, NULL, &answer, e);

	if (rc == 0)
		rc = show(answer, e);
	cJSON_Delete(answer);
	return rc;
}

static int list_ports(struct ctl_client *client, char *const *words,
	const struct ctl_options *options, struct rk_error *e)
{
	(void)words;
	return get(client, "/v1/ports", options->json ? show_json_lines : show_ports, e);
}

static int stats(struct ctl_client *client, char *const *words, const struct ctl_options *options,
	struct rk_error *e)
{
	(void)words;
	return get(client, "/v1/stats", options->json ? show_json_lines : show_stats, e);
}

static int show_info_json(const cJSON *answer, struct rk_error *e)
{
	(void)e;
	show_json_indented(answer);
	return 0;
}

static int info(struct ctl_client *client, char *const *words, const struct ctl_options *options,
	struct rk_error *e)
{
	(void)words;
	return get(client, "/v1/info", options->json ? show_info_json : show_info, e);
}

static char *print_spec(const struct rk_port_spec *spec)
{
	cJSON *object = cJSON_CreateObject();
	bool complete = object && cJSON_AddStringToObject(object, "proto", proto_name(spec->proto));
	char *text;

	if (complete && spec->parent_ip[0])
		complete = cJSON_AddStringToObject(object, "parentIP", spec->parent_ip);
	if (complete)
		complete = cJSON_AddNumberToObject(object, "parentPort", spec->parent_port);
	if (complete)
		complete = cJSON_AddNumberToObject(object, "childPort", spec->child_port);
	if (complete && spec->parent_port_end)
		complete = cJSON_AddNumberToObject(object, "parentPortEnd", spec->parent_port_end);
	if (complete && spec->child_ip[0])
		complete = cJSON_AddStringToObject(object, "childIP", spec->child_ip);
	text = complete ? cJSON_PrintUnformatted(object) : NULL;
	cJSON_Delete(object);
	return text;
}

static bool list_has(const cJSON *array, const char *text)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, array)
	{
		if (cJSON_IsString(item) && strcmp(item->valuestring, text) == 0)
			return true;
	}
	return false;
}

// A server that does not know ranges would publish the first port and say nothing.
static int check_feature(
	struct ctl_client *client, const char *feature, const char *what, struct rk_error *e)
{
	cJSON *answer = NULL;
	const cJSON *engine;
	int rc = client_request(client, "GET", "/v1/info", NULL, &answer, e);

	if (rc < 0)
		return rc;
	engine = cJSON_GetObjectItemCaseSensitive(answer, "engine");
	if (!list_has(cJSON_GetObjectItemCaseSensitive(engine, "features"), feature))
		rc = error_set(e, EOPNOTSUPP, "this server cannot %s", what);
	cJSON_Delete(answer);
	return rc;
}

static int check_ability(
	struct ctl_client *client, const struct rk_port_spec *spec, struct rk_error *e)
{
	if (port_spec_count(spec) > 1)
		return check_feature(client, "range", "publish a range of ports", e);
	if (spec->parent_port == 0)
		return check_feature(client, "choose-port", "choose a port", e);
	return 0;
}

static int add_port(
	struct ctl_client *client, const struct rk_port_spec *spec, bool json, struct rk_error *e)
{
	RK_CLEANUP_FREE char *body = print_spec(spec);
	cJSON *answer = NULL;
	int rc;

	if (!body)
		return error_errno(e, ENOMEM, "print JSON");
	rc = client_request(client, "POST", "/v1/ports", body, &answer, e);
	if (rc == 0)
		rc = json ? show_json_line(answer, e) : show_port_id(answer, e);
	cJSON_Delete(answer);
	return rc;
}

static size_t count_words(char *const *words)
{
	size_t count = 0;

	while (words[count])
		count++;
	return count;
}

static int add_ports(struct ctl_client *client, char *const *words,
	const struct ctl_options *options, struct rk_error *e)
{
	size_t count = count_words(words);
	RK_CLEANUP_FREE struct rk_port_spec *specs = NULL;
	int rc = 0;

	if (count == 0)
		return error_set(e, EINVAL, "no port specified");
	specs = calloc(count, sizeof(*specs));
	if (!specs)
		return error_errno(e, ENOMEM, "list of %zu ports", count);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = port_spec_parse(&specs[i], words[i], strlen(words[i]), e);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = check_ability(client, &specs[i], e);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = add_port(client, &specs[i], options->json, e);
	return rc;
}

static int check_id(const char *word, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];
	size_t length = strlen(word);

	if (length > 0 && length <= 10 && strspn(word, "0123456789") == length)
		return 0;
	return error_set(e, EINVAL, "%s is no port ID: a whole number is expected",
		quote_text(word, length, quoted, sizeof(quoted)));
}

static int remove_ports(struct ctl_client *client, char *const *words,
	const struct ctl_options *options, struct rk_error *e)
{
	char path[64];
	int rc = 0;

	(void)options;
	if (!words[0])
		return error_set(e, EINVAL, "no ID specified");
	for (size_t i = 0; rc == 0 && words[i]; i++)
		rc = check_id(words[i], e);
	for (size_t i = 0; rc == 0 && words[i]; i++) {
		snprintf(path, sizeof(path), "/v1/ports/%s", words[i]);
		rc = client_request(client, "DELETE", path, NULL, NULL, e);
		if (rc == 0)
			puts(words[i]);
	}
	return rc;
}

// "10.0.2.100:80", "[::1]:80", ":80" (the address as when none is given): the end of a port spec,
// so one is made of it.
static int parse_target(const char *word, struct rk_port_spec *spec, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];
	char text[256];

	if (snprintf(text, sizeof(text), ":1:%s/tcp", word) < (int)sizeof(text) &&
		port_spec_parse(spec, text, strlen(text), e) == 0)
		return 0;
	error_set(e, EINVAL, "%s is no address of the child",
		quote_text(word, strlen(word), quoted, sizeof(quoted)));
	return error_hint(e, "the form is [CHILD-IP]:CHILD-PORT");
}

static char *print_target(const struct rk_port_spec *spec)
{
	cJSON *object = cJSON_CreateObject();
	bool complete = object && cJSON_AddStringToObject(object, "childIP", spec->child_ip) &&
			cJSON_AddNumberToObject(object, "childPort", spec->child_port);
	char *text = complete ? cJSON_PrintUnformatted(object) : NULL;

	cJSON_Delete(object);
	return text;
}

static int update_port(struct ctl_client *client, char *const *words,
	const struct ctl_options *options, struct rk_error *e)
{
	RK_CLEANUP_FREE char *body = NULL;
	struct rk_port_spec spec;
	cJSON *answer = NULL;
	char path[64];
	int rc;

	if (count_words(words) != 2)
		return error_set(e, EINVAL, "an ID and a [CHILD-IP]:CHILD-PORT are expected");
	rc = check_id(words[0], e);
	if (rc == 0)
		rc = parse_target(words[1], &spec, e);
	if (rc < 0)
		return rc;
	body = print_target(&spec);
	if (!body)
		return error_errno(e, ENOMEM, "print JSON");
	snprintf(path, sizeof(path), "/v1/ports/%s", words[0]);
	rc = client_request(client, "PATCH", path, body, &answer, e);
	if (rc == 0)
		rc = options->json ? show_json_line(answer, e) : show_port_id(answer, e);
	cJSON_Delete(answer);
	return rc;
}

static int list_flows(struct ctl_client *client, char *const *words,
	const struct ctl_options *options, struct rk_error *e)
{
	bool one = options->port && options->port[0];
	char path[64];
	int rc = one ? check_id(options->port, e) : 0;

	(void)words;
	if (rc < 0)
		return rc;
	snprintf(
		path, sizeof(path), "/v1/flows%s%s", one ? "?port=" : "", one ? options->port : "");
	return get(client, path, options->json ? show_json_flows : show_flows, e);
}

const struct ctl_command ctl_commands[] = {
	{"list-ports", "", "list the published ports", TAKES_JSON, list_ports},
	{"add-ports", "SPEC...",
		"publish ports; a SPEC is [PARENT-IP]:PARENT-PORT[:CHILD-IP]:CHILD-PORT/PROTO,\n"
		"                 such as 127.0.0.1:8080:80/tcp; rk-engine also takes ranges\n"
		"                 (:8000-8010:80-90/tcp) and parent port 0, a free one",
		TAKES_JSON, add_ports},
	{"remove-ports", "ID...", "withdraw ports by their ids", 0, remove_ports},
	{"update-port", "ID [CHILD-IP]:CHILD-PORT",
		"lead a port to another address, without a pause (rk-engine only)", TAKES_JSON,
		update_port},
	{"info", "", "show versions, state directory and drivers", TAKES_JSON, info},
	{"stats", "", "show connections and traffic of each port (rk-engine only)", TAKES_JSON,
		stats},
	{"list-flows", "", "list connections and UDP flows, of one port or of all (rk-engine only)",
		TAKES_JSON | TAKES_PORT, list_flows},
	{"top", "", "show the busiest ports and clients, live; q leaves (rk-engine only)",
		TAKES_PACE, top_run},
};
const unsigned ctl_command_count = sizeof(ctl_commands) / sizeof(ctl_commands[0]);
