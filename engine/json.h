// json.h: JSON from outside, read strictly; the only layer between the API and cJSON's parser.
#pragma once

#include "base/error.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// `RK_CLEANUP_JSON cJSON *tree = NULL;` frees the tree when the scope ends.
#define RK_CLEANUP_JSON __attribute__((cleanup(json_cleanup)))
void json_cleanup(cJSON **tree);

// Parses exactly one object, or one array, of `length` bytes; no NUL needed. NULL with *e (EINVAL)
// for anything else: the other of them, two values, a truncated text, a string with a NUL in it.
cJSON *json_parse_object(const char *text, size_t length, struct rk_error *e);
cJSON *json_parse_array(const char *text, size_t length, struct rk_error *e);

// Whether `object` has a member of that name that is not null.
bool json_has(const cJSON *object, const char *name);
// A number that stands alone; `name` is for the message.
int json_read_integer(const cJSON *value, const char *name, uint32_t minimum, uint32_t maximum,
	uint32_t *out, struct rk_error *e);

// A member of `object`. Absent and null leave *out alone, and
// so does everything in an `object` that is none; the wrong type, a fraction or a value
// out of range is -EINVAL with *e naming the member. The last of several members of one name wins
// (as encoding/json reads it, and so as RootlessKit does).
int json_get_text(
	const cJSON *object, const char *name, char *out, size_t size, struct rk_error *e);
int json_get_integer(const cJSON *object, const char *name, uint32_t minimum, uint32_t maximum,
	uint32_t *out, struct rk_error *e);

// Adds a counter exactly (a double holds 53 bits only). -ENOMEM when there is no memory.
int json_add_counter(cJSON *object, const char *name, uint64_t value);
