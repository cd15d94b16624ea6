// keys.h: the key table: everything that is known about a setting, in one row.
//
// How it works: a row says where the value lives in struct rk_config, how its text is read, what is
// allowed and what it means. The INI reader, the command line, --help, --print-config and
// docs/configuration.md walk the table; a new setting is a member of the struct and a row.
#pragma once

#include "config/config.h"

enum rk_key_type {
	KEY_BOOL,     // bool
	KEY_NUMBER,   // uint32_t, minimum..maximum
	KEY_DURATION, // uint32_t in ms, minimum..maximum; text with a unit: 180s, 500ms, 3m, 1h
	KEY_CHOICE,   // an enum whose members count up from 0 in the order of `choices`
	KEY_STRING,   // char *, owned
	KEY_STRINGS,  // struct rk_string_list; repeatable
	KEY_PORTS,    // struct rk_port_list; repeatable
};

struct rk_key {
	const char *section;
	const char *name;
	enum rk_key_type type;
	size_t offset;              // in struct rk_config
	const char *initial;        // default, as text; NULL: an empty list
	const char *const *choices; // KEY_CHOICE: names, NULL-terminated
	uint32_t minimum;
	uint32_t maximum;
	// KEY_STRING, KEY_STRINGS: what goes beyond being a legal string, or NULL.
	int (*check)(const char *value, struct rk_error *e);
	const char *allowed; // KEY_STRING, KEY_STRINGS: what `check` demands, for people
	const char *help;
};

struct rk_section {
	const char *name;
	const char *help;
};

// Both tables end with a row whose `name` is NULL; the keys of a section stand together, in the
// order of rk_sections.
extern const struct rk_section rk_sections[];
extern const struct rk_key rk_keys[];

#define RK_KEYS_MAX        64 // rows, at most (checked when the table is compiled)
#define RK_KEY_ALLOWED_MAX 128

// 0, or -EINVAL with *e listing the names there are.
int section_check(const char *section, struct rk_error *e);
int key_find(const char *section, const char *name, const struct rk_key **key, struct rk_error *e);

bool key_is_repeatable(const struct rk_key *key);
// "true, false", "0 to 65521", "100ms to 1h": what a value may be. Returns `text`.
const char *key_allowed(const struct rk_key *key, char *text, size_t size);
