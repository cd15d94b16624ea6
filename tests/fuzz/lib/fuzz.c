// fuzz.c: what the fuzz targets share: promises that must hold, taking an input apart.

#include "tests/fuzz/lib/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_require(bool holds, const char *promise, const char *file, int line)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, promise);
	abort();
}

void fuzz_error_spoil(struct rk_error *e)
{
	memset(e, '~', sizeof(*e));
}

void fuzz_error_require(const struct rk_error *e, int rc)
{
	FUZZ_REQUIRE(rc < 0);
	FUZZ_REQUIRE(e->code == -rc);
	FUZZ_REQUIRE(memchr(e->text, '\0', sizeof(e->text)));
	FUZZ_REQUIRE(memchr(e->hint, '\0', sizeof(e->hint)));
	FUZZ_REQUIRE(e->text[0]);
}

void fuzz_require_printable(const char *text, const char *allowed)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		FUZZ_REQUIRE((c >= ' ' && c != 0x7f) || strchr(allowed, c));
	}
}

int fuzz_next_fd(void)
{
	int fd = dup(STDERR_FILENO);

	FUZZ_REQUIRE(fd >= 0);
	close(fd);
	return fd;
}

const char *fuzz_guarded(const uint8_t *data, size_t size)
{
	static unsigned char *memory;
	unsigned char *copy;

	if (!memory) {
		size_t page = (size_t)sysconf(_SC_PAGESIZE);

		memory = mmap(NULL, FUZZ_GUARDED_MAX + page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		FUZZ_REQUIRE(memory != MAP_FAILED);
		FUZZ_REQUIRE(mprotect(memory + FUZZ_GUARDED_MAX, page, PROT_NONE) == 0);
	}
	FUZZ_REQUIRE(size <= FUZZ_GUARDED_MAX);
	copy = memory + FUZZ_GUARDED_MAX - size;
	if (size > 0)
		memcpy(copy, data, size);
	return (const char *)copy;
}

void fuzz_take(struct fuzz_input *input, void *out, size_t size)
{
	size_t taken = size < input->left ? size : input->left;

	memset(out, 0, size);
	if (taken > 0)
		memcpy(out, input->at, taken);
	input->at += taken;
	input->left -= taken;
}

uint8_t fuzz_take_u8(struct fuzz_input *input)
{
	uint8_t value;

	fuzz_take(input, &value, sizeof(value));
	return value;
}

uint32_t fuzz_take_u32(struct fuzz_input *input)
{
	uint32_t value;

	fuzz_take(input, &value, sizeof(value));
	return value;
}

int fuzz_take_words(
	const uint8_t *data, size_t size, const char *program, char *words[FUZZ_WORDS_MAX + 1])
{
	static char *text;
	int count = 1;
	char *at;

	free(text);
	text = malloc(size + 1);
	FUZZ_REQUIRE(text);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	words[0] = (char *)program;
	for (at = text; at < text + size && count < FUZZ_WORDS_MAX; at += strlen(at) + 1) {
		at[strcspn(at, "\n")] = '\0';
		words[count++] = at;
	}
	words[count] = NULL;
	return count;
}

static char *output;
static size_t output_size;

void fuzz_output_open(void)
{
	FILE *stream;

	if (output)
		return;
	stream = open_memstream(&output, &output_size);
	FUZZ_REQUIRE(stream);
	fflush(stream);
	stdout = stream;
}

const char *fuzz_output_take(void)
{
	static char *taken;

	fflush(stdout);
	free(taken);
	taken = strndup(output, output_size);
	FUZZ_REQUIRE(taken);
	rewind(stdout);
	return taken;
}
