// log.h: one line a record on stderr, as text or as JSON; safe to call from any thread.
// Each record is one write(2), so lines of several processes on one stderr never mix.
#pragma once

#include "base/error.h"

#include <stdbool.h>

enum rk_log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum rk_log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

// Call once before threads start. `program` must outlive the process (a literal).
void log_init(const char *program, enum rk_log_level level, enum rk_log_format format);
void log_write(enum rk_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

// Whether records of `level` are written.
bool log_shows(enum rk_log_level level);

// Prints the record of `e` at level error: text, then the hint in brackets.
void log_failure(const struct rk_error *e);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
