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

static int list_ports(struct ctl_client *client, char *const *words, bool json, struct rk_error *e)
{
	(void)words;
	return get(client, "/v1/ports", json ? show_json_lines : show_ports, e);
}

static int stats(struct ctl_client *client, char *const *words, bool json, struct rk_error *e)
{
	(void)words;
	return get(client, "/v1/stats", json ? show_json_lines : show_stats, e);
}

static int show_info_json(const cJSON *answer, struct rk_error *e)
{
	(void)e;
	show_json_indented(answer);
	return 0;
}

static int info(struct ctl_client *client, char *const *words, bool json, struct rk_error *e)
{
	(void)words;
	return get(client, "/v1/info", json ? show_info_json : show_info, e);
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
	if (complete && spec->child_ip[0])
		complete = cJSON_AddStringToObject(object, "childIP", spec->child_ip);
	text = complete ? cJSON_PrintUnformatted(object) : NULL;
	cJSON_Delete(object);
	return text;
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

static int add_ports(struct ctl_client *client, char *const *words, bool json, struct rk_error *e)
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
		rc = add_port(client, &specs[i], json, e);
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

static int remove_ports(
	struct ctl_client *client, char *const *words, bool json, struct rk_error *e)
{
	char path[64];
	int rc = 0;

	(void)json;
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

const struct ctl_command ctl_commands[] = {
	{"list-ports", "", "list the published ports", true, list_ports},
	{"add-ports", "SPEC...",
		"publish ports; a SPEC is [PARENT-IP]:PARENT-PORT[:CHILD-IP]:CHILD-PORT/PROTO,\n"
		"                 such as 127.0.0.1:8080:80/tcp",
		true, add_ports},
	{"remove-ports", "ID...", "withdraw ports by their ids", false, remove_ports},
	{"info", "", "show versions, state directory and drivers", true, info},
	{"stats", "", "show connections and traffic of each port (rk-engine only)", true, stats},
};
const unsigned ctl_command_count = sizeof(ctl_commands) / sizeof(ctl_commands[0]);
