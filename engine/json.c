// json.c: JSON from outside, read strictly; the only layer between the API and cJSON's parser.

#include "engine/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void json_cleanup(cJSON **tree)
{
	cJSON_Delete(*tree);
	*tree = NULL;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// cJSON ends a string at an escaped NUL without a word, so that "tcp\u0000x" would read as "tcp".
static bool has_nul(const char *text, size_t length)
{
	return memchr(text, '\0', length) || memmem(text, length, "\\u0000", 6);
}

// Exactly one value, for which `is_wanted` holds; `what` it is for the message.
static cJSON *parse(const char *text, size_t length, cJSON_bool (*is_wanted)(const cJSON *value),
	const char *what, struct rk_error *e)
{
	RK_CLEANUP_JSON cJSON *tree = NULL;
	const char *end = NULL;
	cJSON *taken;

	if (length == 0) {
		error_set(e, EINVAL, "the body is empty, a JSON %s is expected", what);
		return NULL;
	}
	if (has_nul(text, length)) {
		error_set(e, EINVAL, "the body has a NUL character");
		return NULL;
	}
	tree = cJSON_ParseWithLengthOpts(text, length, &end, false);
	if (!tree) {
		error_set(e, EINVAL, "the body is no JSON: error at byte %td of %zu",
			end ? end - text : (ptrdiff_t)0, length);
		return NULL;
	}
	while (end < text + length && is_space(*end))
		end++;
	if (end != text + length || !is_wanted(tree)) {
		error_set(e, EINVAL, "the body is not exactly one JSON %s", what);
		return NULL;
	}
	taken = tree;
	tree = NULL;
	return taken;
}

cJSON *json_parse_object(const char *text, size_t length, struct rk_error *e)
{
	return parse(text, length, cJSON_IsObject, "object", e);
}

cJSON *json_parse_array(const char *text, size_t length, struct rk_error *e)
{
	return parse(text, length, cJSON_IsArray, "array", e);
}

static const cJSON *find_member(const cJSON *object, const char *name)
{
	const cJSON *found = NULL;
	const cJSON *member;

	// The items of an array have no names.
	if (!cJSON_IsObject(object))
		return NULL;
	cJSON_ArrayForEach(member, object)
	{
		if (strcmp(member->string, name) == 0)
			found = member;
	}
	return found && !cJSON_IsNull(found) ? found : NULL;
}

bool json_has(const cJSON *object, const char *name)
{
	return find_member(object, name);
}

int json_get_text(const cJSON *object, const char *name, char *out, size_t size, struct rk_error *e)
{
	const cJSON *member = find_member(object, name);

	if (!member)
		return 0;
	if (!cJSON_IsString(member))
		return error_set(e, EINVAL, "%s: a string is expected", name);
	if (strlen(member->valuestring) >= size)
		return error_set(e, EINVAL, "%s: longer than %zu bytes", name, size - 1);
	strcpy(out, member->valuestring);
	return 0;
}

int json_read_integer(const cJSON *value, const char *name, uint32_t minimum, uint32_t maximum,
	uint32_t *out, struct rk_error *e)
{
	double number = cJSON_IsNumber(value) ? value->valuedouble : -1;

	// Written so that NaN fails, too; the range makes the conversions below defined.
	if (!(number >= minimum && number <= maximum) || number != (double)(uint32_t)number)
		return error_set(e, EINVAL,
			"%s: a whole number from %" PRIu32 " to %" PRIu32 " is expected", name,
			minimum, maximum);
	*out = (uint32_t)number;
	return 0;
}

int json_get_integer(const cJSON *object, const char *name, uint32_t minimum, uint32_t maximum,
	uint32_t *out, struct rk_error *e)
{
	const cJSON *member = find_member(object, name);

	return member ? json_read_integer(member, name, minimum, maximum, out, e) : 0;
}

int json_add_counter(cJSON *object, const char *name, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	return cJSON_AddRawToObject(object, name, digits) ? 0 : -ENOMEM;
}
