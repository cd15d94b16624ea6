// fuzz_canary.c: a parser that is broken on purpose, as others are by mistake: it trusts a length.
// The smoke run fails unless libFuzzer finds that in the time that every target has.

#include "tests/fuzz/lib/fuzz.h"

#include <string.h>

// "RK", a type, the length of a text, the text.
static size_t count_blanks(const uint8_t *record, size_t size)
{
	size_t blanks = 0;

	if (size < 4 || memcmp(record, "RK", 2) != 0 || record[2] != 7)
		return 0;
	for (size_t i = 0; i < record[3]; i++) // and not: record[3] <= size - 4
		blanks += record[4 + i] == ' ';
	return blanks;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FUZZ_REQUIRE(count_blanks(data, size) <= UINT8_MAX);
	return 0;
}
