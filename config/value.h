// value.h: values of the key table: from text, back to text, and their memory.
#pragma once

#include "config/keys.h"

#include <stdio.h>

// A value is one line of an INI file at most; the file's own limit leaves room for "key = ".
#define RK_VALUE_MAX         4000
#define RK_DURATION_TEXT_MAX 16

// Sets one value of *config from text; a list grows by one. 0, or -code with *e saying what is
// wrong and what is allowed, but not for which key.
int value_set(
	struct rk_config *config, const struct rk_key *key, const char *text, struct rk_error *e);
// How many values there are: 1, or the length of the list.
size_t value_count(const struct rk_config *config, const struct rk_key *key);
// Writes value `index` as value_set() reads it.
void value_write(const struct rk_config *config, const struct rk_key *key, size_t index, FILE *out);
void value_free(struct rk_config *config, const struct rk_key *key);

// "180s", "3h", or "500ms" where no larger unit fits. Returns `text`.
const char *duration_format(uint32_t duration_ms, char *text, size_t size);
