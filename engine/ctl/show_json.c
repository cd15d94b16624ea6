// show_json.c: the control API's answers as JSON for programs: one line, or indented.

#include "base/fd.h"
#include "engine/ctl/show.h"

#include <errno.h>
#include <stdio.h>

#define INDENT 4

int show_json_line(const cJSON *value, struct rk_error *e)
{
	RK_CLEANUP_FREE char *text = cJSON_PrintUnformatted(value);

	if (!text)
		return error_errno(e, ENOMEM, "print JSON");
	puts(text);
	return 0;
}

int show_json_lines(const cJSON *array, struct rk_error *e)
{
	const cJSON *item;
	int rc = 0;

	cJSON_ArrayForEach(item, array)
	{
		rc = show_json_line(item, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int show_json_flows(const cJSON *answer, struct rk_error *e)
{
	return show_json_line(answer, e);
}

static void print_scalar(const cJSON *value)
{
	RK_CLEANUP_FREE char *text = cJSON_PrintUnformatted(value);

	fputs(text ? text : "null", stdout);
}

static void print_name(const char *name)
{
	cJSON *string = cJSON_CreateString(name);

	print_scalar(string);
	fputs(": ", stdout);
	cJSON_Delete(string);
}

// Depth is bounded by cJSON's own nesting limit.
static void print_indented(const cJSON *value, int depth)
{
	bool object = cJSON_IsObject(value);
	const cJSON *item;

	if ((!object && !cJSON_IsArray(value)) || !value->child) {
		print_scalar(value);
		return;
	}
	putchar(object ? '{' : '[');
	cJSON_ArrayForEach(item, value)
	{
		printf("%s\n%*s", item->prev && item != value->child ? "," : "",
			(depth + 1) * INDENT, "");
		if (object)
			print_name(item->string);
		print_indented(item, depth + 1);
	}
	printf("\n%*s%c", depth * INDENT, "", object ? '}' : ']');
}

void show_json_indented(const cJSON *value)
{
	print_indented(value, 0);
	putchar('\n');
}
