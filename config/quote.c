// quote.c: text from outside, made fit for a message: no control bytes reach a terminal or a log,
// and no value, however long, pushes the rest of the message out of its buffer.

#include "config/quote.h"

#include <string.h>

const char *quote_text(const char *text, size_t length, char *out, size_t size)
{
	const size_t room = size - sizeof("\"...\"");
	const size_t shown = length < room ? length : room;
	char *end = out;

	*end++ = '"';
	for (size_t i = 0; i < shown; i++)
		*end++ = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	if (shown < length)
		end = stpcpy(end, "...");
	*end++ = '"';
	*end = '\0';
	return out;
}
