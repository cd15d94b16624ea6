// printable.c: text that may come from outside, made fit for one line of a terminal or a log.

#include "base/printable.h"

#include <stdbool.h>

// UTF-8 writes the control characters U+0080 to U+009F (ECMA-48) as 0xc2 and one of these.
static bool is_control_tail(char byte)
{
	unsigned char c = (unsigned char)byte;

	return c >= 0x80 && c <= 0x9f;
}

void printable_clean(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '\n' || c == '\t')
			*text = ' ';
		else if (c < ' ' || c == 0x7f)
			*text = '?';
		else if (c == 0xc2 && is_control_tail(text[1]))
			text[0] = text[1] = '?';
	}
}
