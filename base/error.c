// error.c: fill, wrap and print error records.

#include "base/error.h"
#include "base/printable.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static int error_fill(
	struct rk_error *e, int code, const char *format, va_list args)
{
	if (!e)
		return -code;
	e->code = code;
	e->hint[0] = '\0';
	vsnprintf(e->text, sizeof(e->text), format, args);
	printable_clean(e->text);
	return -code;
}

int error_set(struct rk_error *e, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_fill(e, code, format, args);
	va_end(args);
	return -code;
}

int error_errno(struct rk_error *e, int code, const char *format, ...)
{
	va_list args;
	size_t used;

	va_start(args, format);
	error_fill(e, code, format, args);
	va_end(args);
	if (e) {
		used = strlen(e->text);
		snprintf(e->text + used, sizeof(e->text) - used, ": %s", strerror(code));
	}
	return -code;
}

int error_hint(struct rk_error *e, const char *format, ...)
{
	va_list args;

	if (!e)
		return -EINVAL;
	va_start(args, format);
	vsnprintf(e->hint, sizeof(e->hint), format, args);
	printable_clean(e->hint);
	va_end(args);
	return -e->code;
}

int error_wrap(struct rk_error *e, const char *format, ...)
{
	char inner[sizeof(e->text)];
	va_list args;
	size_t used;

	if (!e)
		return -EINVAL;
	memcpy(inner, e->text, sizeof(inner));
	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	printable_clean(e->text);
	used = strlen(e->text);
	snprintf(e->text + used, sizeof(e->text) - used, ": %s", inner);
	return -e->code;
}

bool error_is_shortage(int code)
{
	switch (code) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case EAGAIN:
	case EINTR:
	case ETOOMANYREFS:
		return true;
	default:
		return false;
	}
}

const char *error_line(const struct rk_error *e, char *buffer, size_t size)
{
	if (e->hint[0])
		snprintf(buffer, size, "%s (%s)", e->text, e->hint);
	else
		snprintf(buffer, size, "%s", e->text);
	return buffer;
}
