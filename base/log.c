// log.c: format one record into a stack buffer and write it in one call.

#include "base/log.h"
#include "base/printable.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 1536

static struct {
	const char *program;
	enum rk_log_level level;
	enum rk_log_format format;
} log_state = {"rk-engine", LOG_LEVEL_INFO, LOG_FORMAT_TEXT};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_init(const char *program, enum rk_log_level level, enum rk_log_format format)
{
	log_state.program = program;
	log_state.level = level;
	log_state.format = format;
}

bool log_shows(enum rk_log_level level)
{
	return level <= log_state.level;
}

// How many bytes the UTF-8 character at `text` has (RFC 3629: the shortest form, no surrogates); 0:
// there is none.
static size_t utf8_length(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	size_t length = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;

	if ((c[0] >= 0x80 && c[0] < 0xc2) || c[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) ||
		(c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f))
		return 0;
	return length;
}

// JSON string escape (RFC 8259 section 7): quote, backslash and control characters. What is not
// UTF-8 becomes '?'.
static size_t escape_json(const char *text, char *out, size_t size)
{
	size_t used = 0;

	for (size_t length; *text && used + 7 < size; text += length ? length : 1) {
		unsigned char c = (unsigned char)*text;

		length = utf8_length(text);
		if (length == 0) {
			out[used++] = '?';
		} else if (c == '"' || c == '\\') {
			out[used++] = '\\';
			out[used++] = (char)c;
		} else if (c < 0x20) {
			used += (size_t)snprintf(out + used, size - used, "\\u%04x", c);
		} else {
			memcpy(out + used, text, length);
			used += length;
		}
	}
	out[used] = '\0';
	return used;
}

static int format_json(char *line, size_t size, enum rk_log_level level, const char *text)
{
	char escaped[LOG_LINE_MAX];
	struct timespec now;
	struct tm utc;
	char stamp[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	escape_json(text, escaped, sizeof(escaped));
	return snprintf(line, size,
		"{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d,"
		"\"message\":"
		"\"%s\"}\n",
		stamp, now.tv_nsec / 1000000, level_names[level], log_state.program, getpid(),
		escaped);
}

static int format_text(char *line, size_t size, enum rk_log_level level, char *text)
{
	printable_clean(text);
	return snprintf(line, size, "%s: %s: %s\n", log_state.program, level_names[level], text);
}

void log_write(enum rk_log_level level, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	char line[2 * LOG_LINE_MAX];
	va_list args;
	int length;

	if (!log_shows(level))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (log_state.format == LOG_FORMAT_JSON)
		length = format_json(line, sizeof(line), level, text);
	else
		length = format_text(line, sizeof(line), level, text);
	if (length >= (int)sizeof(line))
		length = sizeof(line) - 1;
	if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0)
		return; // stderr is gone: there is nowhere left to say so
}

void log_failure(const struct rk_error *e)
{
	char line[sizeof(e->text) + sizeof(e->hint) + 8];

	log_error("%s", error_line(e, line, sizeof(line)));
}
