// quote.h: text from outside, made fit for a message.
#pragma once

#include <stddef.h>

#define RK_QUOTE_MAX 128 // a buffer that shows up to 122 characters of the text

// "TEXT" in double quotes; bytes that are not printable ASCII become '?', and what does not fit is
// replaced by "...". `text` needs no NUL; size >= 8. Returns `out`.
const char *quote_text(const char *text, size_t length, char *out, size_t size);
