// cgroup_paths.c: where our cgroup (version 2) is, from what /proc says about it.

#include "nsctl/cgroup_paths.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define OWN_PREFIX "0::"
// Of a line of mountinfo: ID PARENT DEVICE ROOT TARGET OPTIONS ... - TYPE SOURCE OPTIONS
#define ROOT_FIELD 3
#define TYPE_MARK  " - cgroup2 "

// A piece of the text, without its separator.
struct piece {
	const char *text;
	size_t length;
};

static struct piece cut(struct piece *rest, char separator)
{
	const char *end = rest->length > 0 ? memchr(rest->text, separator, rest->length) : NULL;
	struct piece head = {rest->text, end ? (size_t)(end - rest->text) : rest->length};

	rest->text += head.length + (end ? 1 : 0);
	rest->length -= head.length + (end ? 1 : 0);
	return head;
}

static bool copy(struct piece piece, char *out, size_t size)
{
	if (piece.length >= size || memchr(piece.text, '\0', piece.length))
		return false;
	memcpy(out, piece.text, piece.length);
	out[piece.length] = '\0';
	return true;
}

// The kernel shows a group outside of our cgroup namespace by "/.." (cgroup_namespaces(7)).
static bool leads_out(const char *path)
{
	size_t length = strlen(path);

	return strstr(path, "/../") || (length >= 3 && strcmp(path + length - 3, "/..") == 0);
}

int cgroup_parse_own(const char *text, size_t length, char *path, size_t size)
{
	const size_t prefix = strlen(OWN_PREFIX);
	struct piece rest = {text, length};

	while (rest.length > 0) {
		struct piece line = cut(&rest, '\n');

		if (line.length <= prefix || memcmp(line.text, OWN_PREFIX "/", prefix + 1) != 0)
			continue;
		line.text += prefix;
		line.length -= prefix;
		return copy(line, path, size) && !leads_out(path) ? 0 : -ENOENT;
	}
	return -ENOENT;
}

// Names with blanks in them are written with escapes, which no cgroup mount of a real system needs.
static bool take_mount(struct piece line, char *root, char *target, size_t size)
{
	struct piece field = {NULL, 0};

	if (!memmem(line.text, line.length, TYPE_MARK, strlen(TYPE_MARK)))
		return false;
	for (unsigned i = 0; i <= ROOT_FIELD; i++)
		field = cut(&line, ' ');
	if (!copy(field, root, size) || !copy(cut(&line, ' '), target, size))
		return false;
	return root[0] == '/' && target[0] == '/';
}

int cgroup_parse_mount(const char *text, size_t length, char *root, char *target, size_t size)
{
	struct piece rest = {text, length};

	while (rest.length > 0) {
		if (!take_mount(cut(&rest, '\n'), root, target, size))
			continue;
		if (strcmp(root, "/") == 0)
			root[0] = '\0';
		return 0;
	}
	return -ENOENT;
}

int cgroup_join(const char *own, const char *root, const char *target, char *path, size_t size)
{
	size_t length = strlen(root);

	// "/a/b" is not above "/a/bc".
	if (strncmp(own, root, length) != 0 || (own[length] && own[length] != '/'))
		return -ENOENT;
	if (snprintf(path, size, "%s%s", target, own + length) >= (int)size)
		return -ENAMETOOLONG;
	return 0;
}
