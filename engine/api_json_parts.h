// api_json_parts.h: pieces of the API's JSON; for api_json*.c only.
#pragma once

#include "engine/ports.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

// Each is false when there is no memory.
bool api_add_text(cJSON *object, const char *name, const char *text);
bool api_add_port(cJSON *object, const struct rk_port *port);
// A new object at the end of `array`, NULL when there is no memory.
cJSON *api_append_object(cJSON *array);
// Prints `tree` unless something could not be added to it, and frees it.
char *api_print_and_free(cJSON *tree, bool complete);
