// ini.c: reads an INI file over a configuration. The only file that knows inih.
//
// How it works: inih takes lines from a reader that is ours, one line a call, so that the line
// number is exact and lines that inih would cut are refused first. Three habits of inih are
// switched off, because they change values silently: comments behind a value (" ;"), a line that
// starts with a blank as continuation of the one before, and a limit of 200 bytes a line. A value
// is therefore everything behind the '=' with the blanks at both ends taken off, as in
// command = /bin/sh -c "a; b". Debian's inih has these switches as variables (ini.h).

#include "base/fd.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/quote.h"
#include "config/value.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_SIZE_MAX (1 << 20)
#define LINE_SIZE_MAX 4096 // with its newline
#define INI_LINE_ROOM (LINE_SIZE_MAX + 1)

#define BLANKS "\t\v\f\r "

_Static_assert(RK_VALUE_MAX + 64 < LINE_SIZE_MAX, "key = VALUE must fit a line");

// The text that is read, and what was found in it so far.
struct source {
	const char *name;
	const char *at;
	const char *end;
	unsigned line;                    // number of the line that inih works on, from 1
	unsigned first_line[RK_KEYS_MAX]; // where a key of the table was set, 0 = not yet
	struct rk_config *config;
	struct rk_error *e;
	int rc; // -code as soon as *e is filled
};

// Puts FILE:LINE before the error in *source->e and remembers it.
static void source_fail(struct source *source, int rc)
{
	error_wrap(source->e, "%s:%u", source->name, source->line);
	source->rc = rc;
}

// A section line is checked here because inih reports a section only with its first key, and
// ignores what stands behind the ']'.
static int section_line_check(const char *line, struct rk_error *e)
{
	const char *name = line + strspn(line, BLANKS) + 1;
	const char *close = strchr(name, ']');
	char section[RK_QUOTE_MAX], quoted[RK_QUOTE_MAX];
	const char *rest;
	size_t length;

	if (!close)
		return error_set(e, EINVAL, "the section's ']' is missing");
	rest = close + 1 + strspn(close + 1, BLANKS "\n");
	if (*rest && *rest != '#' && *rest != ';')
		return error_set(e, EINVAL, "%s behind the section is not allowed",
			quote_text(rest, strcspn(rest, "\n"), quoted, sizeof(quoted)));
	length = (size_t)(close - name);
	snprintf(section, sizeof(section), "%.*s", (int)length, name);
	if (section_check(section, e) == 0)
		return 0;
	// The quotes of quote_text() give way to the brackets of a section.
	quote_text(name, length, quoted, sizeof(quoted));
	return error_wrap(e, "[%.*s]", (int)strlen(quoted) - 2, quoted + 1);
}

// The ini_reader: copies the next line. NULL at the end, and to make inih stop after an error.
static char *line_read(char *buffer, int size, void *context)
{
	struct source *source = context;
	const char *newline;
	size_t length;

	if (source->rc < 0 || source->at == source->end)
		return NULL;
	source->line++;
	newline = memchr(source->at, '\n', (size_t)(source->end - source->at));
	length = (size_t)((newline ? newline + 1 : source->end) - source->at);
	if (length > LINE_SIZE_MAX || length >= (size_t)size) {
		error_set(source->e, EINVAL, "the line is too long, allowed: %d bytes",
			LINE_SIZE_MAX - 1);
		source_fail(source, -EINVAL);
		return NULL;
	}
	if (memchr(source->at, '\0', length)) {
		error_set(source->e, EINVAL, "the line has a NUL byte in it");
		source_fail(source, -EINVAL);
		return NULL;
	}
	memcpy(buffer, source->at, length);
	buffer[length] = '\0';
	source->at += length;
	if (buffer[strspn(buffer, BLANKS)] == '[' && section_line_check(buffer, source->e) < 0) {
		source_fail(source, -EINVAL);
		return NULL;
	}
	return buffer;
}

static int setting_apply(
	struct source *source, const char *section, const char *name, const char *value)
{
	const struct rk_key *key;
	unsigned *first_line;
	int rc;

	if (!section[0])
		return error_set(source->e, EINVAL, "a key before the first [section]");
	rc = key_find(section, name, &key, source->e);
	if (rc < 0)
		return rc;
	first_line = &source->first_line[key - rk_keys];
	if (*first_line && !key_is_repeatable(key))
		return error_set(source->e, EINVAL, "given twice, first on line %u", *first_line);
	*first_line = source->line;
	return value_set(source->config, key, value, source->e);
}

// The ini_handler: nonzero = go on.
static int setting_read(void *context, const char *section, const char *name, const char *value)
{
	struct source *source = context;
	char quoted[RK_QUOTE_MAX];
	int rc = setting_apply(source, section, name, value);

	if (rc == 0)
		return 1;
	quote_text(name, strlen(name), quoted, sizeof(quoted));
	error_wrap(source->e, "[%s] %.*s", section, (int)strlen(quoted) - 2, quoted + 1);
	source_fail(source, rc);
	return 0;
}

int config_read_text(struct rk_config *config, const char *name, const char *text, size_t length,
	struct rk_error *e)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	struct source source = {
		.name = name, .at = text, .end = text + length, .config = config, .e = e};
	struct rk_error unwanted;
	int rc;

	if (!e)
		source.e = &unwanted;
	if (length >= 3 && memcmp(text, byte_order_mark, 3) == 0)
		source.at += 3;
	ini_allow_inline_comments = false;
	ini_allow_multiline = false;
	ini_stop_on_first_error = true;
	ini_use_stack = false;
	ini_initial_alloc = INI_LINE_ROOM;
	ini_max_line = INI_LINE_ROOM;
	rc = ini_parse_stream(line_read, &source, setting_read, &source);
	if (source.rc < 0)
		return source.rc;
	if (rc == 0)
		return 0;
	if (rc < 0)
		return error_set(e, ENOMEM, "%s: out of memory", name);
	return error_set(e, EINVAL,
		"%s:%u: the line is neither a [section] nor key = value nor a # comment", name,
		source.line);
}

int config_read_file(struct rk_config *config, const char *path, struct rk_error *e)
{
	RK_CLEANUP_FREE char *text = malloc(FILE_SIZE_MAX + 1);
	ssize_t length;

	if (!text)
		return error_set(e, ENOMEM, "%s: out of memory", path);
	length = file_read_text(path, text, FILE_SIZE_MAX + 1);
	if (length == -EFBIG)
		return error_set(e, EFBIG, "%s: the file is too large, allowed: %d bytes", path,
			FILE_SIZE_MAX);
	if (length < 0)
		return error_errno(e, (int)-length, "%s: cannot read the configuration", path);
	return config_read_text(config, path, text, (size_t)length, e);
}
