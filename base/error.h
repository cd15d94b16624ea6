// error.h: the error record that set-up and control code fills and wraps on its way up.
// The data plane does not use it: there a function returns 0 or -errno.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// Caller's storage. `code` is a positive errno value (EINVAL where no system call failed), `text`
// says what failed on which object, `hint` what to do about it (a package, a sysctl); either may
// have been cut at the size of its buffer. Both are one line whatever was put into them: control
// characters are replaced (base/printable.h).
struct rk_error {
	int code;
	char text[640];
	char hint[384];
};

// Fills *e; returns -code, so that a caller can write `return error_set(e, EINVAL, ...)`.
// `e` may be NULL (the text is lost, the return value is not).
int error_set(struct rk_error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// error_set() with ": strerror(code)" appended.
int error_errno(struct rk_error *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// Sets the remedy; returns -e->code.
int error_hint(struct rk_error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Puts "CONTEXT: " before the text; returns -e->code.
int error_wrap(struct rk_error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Whether errno `code` is a failure that passes by itself (no descriptors, no memory, too many
// processes or descriptors in flight), as opposed to "this kernel has no IPv6".
bool error_is_shortage(int code);

// One line: "TEXT" or "TEXT (HINT)". Returns `buffer`.
const char *error_line(const struct rk_error *e, char *buffer, size_t size);
