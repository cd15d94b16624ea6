// fuzz.h: what the fuzz targets share: the entry, promises that must hold, taking an input apart.
//
// A target is one file, tests/fuzz/fuzz_NAME.c, that defines LLVMFuzzerTestOneInput(): libFuzzer
// calls it with one input after the other. Its kept inputs are in tests/fuzz/corpus/NAME, words
// that help to find new ones in tests/fuzz/NAME.dict.
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Ends the program, as a crash would, when the promise does not hold.
#define FUZZ_REQUIRE(condition) fuzz_require((condition), #condition, __FILE__, __LINE__)
void fuzz_require(bool holds, const char *promise, const char *file, int line);

// An error record with nothing sensible in it, and what must hold for one after a failure that
// returned `rc`: it was filled, its texts are terminated, its code is what was returned.
void fuzz_error_spoil(struct rk_error *e);
void fuzz_error_require(const struct rk_error *e, int rc);

// Requires that `text` has no control character but those in `allowed`.
void fuzz_require_printable(const char *text, const char *allowed);

// The descriptor that the next open() will return: the same before and after when none leaked.
int fuzz_next_fd(void);

// A copy whose last byte is the last before memory that cannot be read: libraries that are not
// instrumented crash as well when they read past it. It is good until the next call; at most
// FUZZ_GUARDED_MAX bytes.
#define FUZZ_GUARDED_MAX (256u * 1024)
const char *fuzz_guarded(const uint8_t *data, size_t size);

// An input that is taken apart from its start. What is not there any more reads as zeros.
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

uint8_t fuzz_take_u8(struct fuzz_input *input);
uint32_t fuzz_take_u32(struct fuzz_input *input);
void fuzz_take(struct fuzz_input *input, void *out, size_t size);

// The words of the input, which are lines; words[0] is `program`, the last is followed by NULL.
// Good until the next call.
#define FUZZ_WORDS_MAX 64
int fuzz_take_words(
	const uint8_t *data, size_t size, const char *program, char *words[FUZZ_WORDS_MAX + 1]);

// From now on the program's standard output goes to memory; fuzz_output_take() returns what has
// come since it was called last, NUL-terminated, good until the next call.
void fuzz_output_open(void);
const char *fuzz_output_take(void);
