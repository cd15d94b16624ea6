// subid.c: ranges of subordinate ids from /etc/subuid and /etc/subgid, or from getsubids(1).

#include "nsctl/subid.h"
#include "base/fd.h"
#include "base/spawn.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBID_FILE_MAX     (4u << 20)
#define PROGRAM            "getsubids"
#define PROGRAM_OUTPUT_MAX (32u << 10)
#define PROGRAM_TIMEOUT_MS 10000 // its source may be a directory server

// A piece of the file: a line or one field of it.
struct piece {
	const char *text;
	size_t length;
};

// Cuts off what stands before `separator`; the last piece has none after it.
static struct piece piece_cut(struct piece *rest, char separator)
{
	const char *end = rest->length > 0 ? memchr(rest->text, separator, rest->length) : NULL;
	struct piece head = *rest;

	if (end)
		head.length = (size_t)(end - rest->text);
	rest->text += head.length + (end ? 1 : 0);
	rest->length -= head.length + (end ? 1 : 0);
	return head;
}

static bool piece_is(struct piece piece, const char *text)
{
	return piece.length > 0 && piece.length == strlen(text) &&
	       memcmp(piece.text, text, piece.length) == 0;
}

// Decimal, digits only, at most UINT32_MAX.
static bool piece_number(struct piece piece, uint32_t *number)
{
	uint64_t value = 0;

	if (piece.length == 0)
		return false;
	for (size_t i = 0; i < piece.length; i++) {
		if (piece.text[i] < '0' || piece.text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(piece.text[i] - '0');
		if (value > UINT32_MAX)
			return false;
	}
	*number = (uint32_t)value;
	return true;
}

// The id UINT32_MAX means "no id" to the kernel: a range must end below it.
static bool line_range(struct piece line, char separator, struct subid_range *range)
{
	if (!piece_number(piece_cut(&line, separator), &range->start))
		return false;
	return piece_number(line, &range->count) && range->count > 0 &&
	       range->count <= UINT32_MAX - range->start;
}

void subid_parse(
	struct subid_list *list, const char *text, size_t length, const char *user, uint32_t uid)
{
	struct piece rest = {text, length};
	char number[16];

	snprintf(number, sizeof(number), "%u", uid);
	list->count = 0;
	while (rest.length > 0 && list->count < SUBID_RANGES_MAX) {
		struct piece line = piece_cut(&rest, '\n');
		struct piece owner = piece_cut(&line, ':');

		if (!piece_is(owner, user) && !piece_is(owner, number))
			continue;
		if (line_range(line, ':', &list->ranges[list->count]))
			list->count++;
	}
}

int subid_read_file(struct subid_list *list, const char *path, const char *user, uint32_t uid)
{
	RK_CLEANUP_FREE char *text = malloc(SUBID_FILE_MAX);
	ssize_t length;

	list->count = 0;
	if (!text)
		return -ENOMEM;
	length = file_read_text(path, text, SUBID_FILE_MAX);
	if (length == -ENOENT)
		return 0;
	if (length < 0)
		return (int)length;
	subid_parse(list, text, (size_t)length, user, uid);
	return 0;
}

void subid_parse_program(struct subid_list *list, const char *text, size_t length)
{
	struct piece rest = {text, length};

	list->count = 0;
	while (rest.length > 0 && list->count < SUBID_RANGES_MAX) {
		struct piece line = piece_cut(&rest, '\n');

		piece_cut(&line, ' '); // the index
		piece_cut(&line, ' '); // the user
		if (line_range(line, ' ', &list->ranges[list->count]))
			list->count++;
	}
}

// It exits with a failure both when there is no range and when it could not look.
int subid_read_program(struct subid_list *list, const char *user, bool groups, struct rk_error *e)
{
	const char *argv[] = {PROGRAM, groups ? "-g" : user, groups ? user : NULL, NULL};
	RK_CLEANUP_FREE char *output = malloc(PROGRAM_OUTPUT_MAX);
	int status;

	list->count = 0;
	if (!output)
		return error_errno(e, ENOMEM, "run " PROGRAM);
	status = spawn_run(argv, output, PROGRAM_OUTPUT_MAX, PROGRAM_TIMEOUT_MS, e);
	if (status == -ENOENT)
		return error_hint(e, "install the package uidmap");
	if (status < 0)
		return status;
	if (status == 0)
		subid_parse_program(list, output, strlen(output));
	return 0;
}
