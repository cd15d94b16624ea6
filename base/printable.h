// printable.h: text that may come from outside, made fit for one line of a terminal or a log.
#pragma once

// Replaces control characters in place: line breaks and tabs by blanks, others by '?', so that
// nobody's words can forge a line or command a terminal. Bytes from 0x80 on stay: UTF-8.
void printable_clean(char *text);
