// value.c: values of the key table: from text, back to text, and their memory.
//
// How it works: value_set() looks at the row's type and calls one small reader. A reader either
// stores the value or says what is wrong; what is allowed is added in one place, from the row.
// Strings are limited to what a line of an INI file can carry, so that everything that was set can
// be printed and read back.

#include "config/value.h"

#include "config/quote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	uint32_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};

#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

static void *value_at(struct rk_config *config, const struct rk_key *key)
{
	return (char *)config + key->offset;
}

static const void *value_at_const(const struct rk_config *config, const struct rk_key *key)
{
	return (const char *)config + key->offset;
}

static int refuse(const char *text, const char *wrong, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];

	return error_set(
		e, EINVAL, "%s %s", quote_text(text, strlen(text), quoted, sizeof(quoted)), wrong);
}

static int out_of_memory(struct rk_error *e)
{
	return error_set(e, ENOMEM, "out of memory");
}

static int bool_set(bool *value, const char *text, struct rk_error *e)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return refuse(text, "is neither true nor false", e);
	*value = text[0] == 't';
	return 0;
}

// Reads decimal digits and sets *end behind them; what 64 bits cannot hold reads as UINT64_MAX.
static int digits_parse(const char *text, uint64_t *number, const char **end)
{
	size_t length = strspn(text, "0123456789");

	if (length == 0)
		return -EINVAL;
	*number = strtoull(text, NULL, 10);
	*end = text + length;
	return 0;
}

static int number_set(
	uint32_t *value, const struct rk_key *key, const char *text, struct rk_error *e)
{
	const char *end;
	uint64_t number;

	if (digits_parse(text, &number, &end) < 0 || *end)
		return refuse(text, "is not a number", e);
	if (number < key->minimum || number > key->maximum)
		return refuse(text, "is out of range", e);
	*value = (uint32_t)number;
	return 0;
}

static int duration_set(
	uint32_t *value_ms, const struct rk_key *key, const char *text, struct rk_error *e)
{
	const char *unit;
	uint64_t number;
	size_t i = 0;

	if (digits_parse(text, &number, &unit) < 0)
		return refuse(text, "is not a duration", e);
	while (i < UNIT_COUNT && strcmp(unit, units[i].name) != 0)
		i++;
	if (i == UNIT_COUNT)
		return refuse(text, *unit ? "has an unknown unit" : "has no unit", e);
	if (number > key->maximum / units[i].ms || number * units[i].ms < key->minimum)
		return refuse(text, "is out of range", e);
	*value_ms = (uint32_t)number * units[i].ms;
	return 0;
}

const char *duration_format(uint32_t duration_ms, char *text, size_t size)
{
	size_t i = 0;

	// Seconds stay seconds (180s, not 3m) below an hour, as people write time-outs.
	if (duration_ms % units[3].ms == 0 && duration_ms > 0)
		i = 3;
	else if (duration_ms % units[1].ms == 0)
		i = 1;
	snprintf(text, size, "%u%s", duration_ms / units[i].ms, units[i].name);
	return text;
}

static int choice_set(
	unsigned *value, const struct rk_key *key, const char *text, struct rk_error *e)
{
	for (unsigned i = 0; key->choices[i]; i++) {
		if (strcmp(text, key->choices[i]) == 0) {
			*value = i;
			return 0;
		}
	}
	return refuse(text, "is not one of the choices", e);
}

// What one line "key = value" can carry: no line break or other control byte except tab, and no
// blank at either end, because the reader of the file would take it off.
static int string_check(const char *text, const struct rk_key *key, struct rk_error *e)
{
	size_t length = strlen(text);

	if (length > RK_VALUE_MAX)
		return error_set(e, EINVAL, "the value has %zu bytes, at most %d are read", length,
			RK_VALUE_MAX);
	for (size_t i = 0; i < length; i++) {
		if ((text[i] >= 0 && text[i] < ' ' && text[i] != '\t') || text[i] == '\x7f')
			return refuse(text, "has a line break or control character in it", e);
	}
	if (length > 0 && (strchr(" \t", text[0]) || strchr(" \t", text[length - 1])))
		return refuse(text, "begins or ends with a blank", e);
	return key->check ? key->check(text, e) : 0;
}

static int string_set(char **value, const struct rk_key *key, const char *text, struct rk_error *e)
{
	int rc = string_check(text, key, e);
	char *copy;

	if (rc < 0)
		return rc;
	copy = strdup(text);
	if (!copy)
		return out_of_memory(e);
	free(*value);
	*value = copy;
	return 0;
}

static int strings_add(
	struct rk_string_list *list, const struct rk_key *key, const char *text, struct rk_error *e)
{
	char **items = reallocarray(list->items, list->count + 1, sizeof(*items));
	int rc;

	if (!items)
		return out_of_memory(e);
	list->items = items;
	items[list->count] = NULL;
	rc = string_set(&items[list->count], key, text, e);
	if (rc == 0)
		list->count++;
	return rc;
}

static int ports_add(struct rk_port_list *list, const char *text, struct rk_error *e)
{
	struct rk_port_spec *items = reallocarray(list->items, list->count + 1, sizeof(*items));
	int rc;

	if (!items)
		return out_of_memory(e);
	list->items = items;
	rc = port_spec_parse(&items[list->count], text, strlen(text), e);
	if (rc == 0)
		list->count++;
	return rc;
}

static int value_store(
	struct rk_config *config, const struct rk_key *key, const char *text, struct rk_error *e)
{
	void *value = value_at(config, key);

	switch (key->type) {
	case KEY_BOOL:
		return bool_set(value, text, e);
	case KEY_NUMBER:
		return number_set(value, key, text, e);
	case KEY_DURATION:
		return duration_set(value, key, text, e);
	case KEY_CHOICE:
		return choice_set(value, key, text, e);
	case KEY_STRING:
		return string_set(value, key, text, e);
	case KEY_STRINGS:
		return strings_add(value, key, text, e);
	case KEY_PORTS:
		return ports_add(value, text, e);
	}
	return error_set(e, EINVAL, "the key has an unknown type");
}

int value_set(
	struct rk_config *config, const struct rk_key *key, const char *text, struct rk_error *e)
{
	char allowed[RK_KEY_ALLOWED_MAX];
	struct rk_error inner;
	int rc = value_store(config, key, text, &inner);

	if (rc == 0)
		return 0;
	if (rc == -ENOMEM)
		return error_set(e, ENOMEM, "%s", inner.text);
	return error_set(e, EINVAL, "%s, allowed: %s", inner.text,
		key_allowed(key, allowed, sizeof(allowed)));
}

size_t value_count(const struct rk_config *config, const struct rk_key *key)
{
	const void *value = value_at_const(config, key);

	if (key->type == KEY_STRINGS)
		return ((const struct rk_string_list *)value)->count;
	if (key->type == KEY_PORTS)
		return ((const struct rk_port_list *)value)->count;
	return 1;
}

void value_write(const struct rk_config *config, const struct rk_key *key, size_t index, FILE *out)
{
	const void *value = value_at_const(config, key);
	const struct rk_port_list *ports = value;
	char text[RK_PORT_TEXT_MAX];

	switch (key->type) {
	case KEY_BOOL:
		fputs(*(const bool *)value ? "true" : "false", out);
		break;
	case KEY_NUMBER:
		fprintf(out, "%u", *(const uint32_t *)value);
		break;
	case KEY_DURATION:
		fputs(duration_format(*(const uint32_t *)value, text, sizeof(text)), out);
		break;
	case KEY_CHOICE:
		fputs(key->choices[*(const unsigned *)value], out);
		break;
	case KEY_STRING:
		fputs(*(char *const *)value, out);
		break;
	case KEY_STRINGS:
		fputs(((const struct rk_string_list *)value)->items[index], out);
		break;
	case KEY_PORTS:
		fputs(port_spec_format(&ports->items[index], text, sizeof(text)), out);
		break;
	}
}

static void strings_free(struct rk_string_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct rk_string_list){0};
}

void value_free(struct rk_config *config, const struct rk_key *key)
{
	void *value = value_at(config, key);
	struct rk_port_list *ports = value;

	if (key->type == KEY_STRING) {
		free(*(char **)value);
		*(char **)value = NULL;
	} else if (key->type == KEY_STRINGS) {
		strings_free(value);
	} else if (key->type == KEY_PORTS) {
		free(ports->items);
		*ports = (struct rk_port_list){0};
	}
}
