// fd.h: ownership of file descriptors and small operations on them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

// `RK_CLEANUP_FD int fd = -1;` closes fd when the scope ends; fd_take(&fd) hands it on instead.
#define RK_CLEANUP_FD __attribute__((cleanup(fd_close)))
// `RK_CLEANUP_FREE char *text = NULL;` frees it when the scope ends.
#define RK_CLEANUP_FREE __attribute__((cleanup(fd_cleanup_free)))

// Closes *fd when it is >= 0 and sets it to -1; errno is kept.
void fd_close(int *fd);
static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
static inline void fd_cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

// Closes every descriptor from number `first` on: for a fork that keeps only what it needs.
void fd_close_from(int first);

int fd_set_nonblocking(int fd, bool on); // 0 or -errno
int fd_set_cloexec(int fd, bool on);     // 0 or -errno

// Whole-buffer write to a blocking descriptor; 0 or -errno.
int fd_write_all(int fd, const void *data, size_t length);
// Reads until EOF or until size - 1 bytes are in, terminates with NUL. Returns the length or -errno
// (-EFBIG: more was there than fits).
ssize_t fd_read_text(int fd, char *buffer, size_t size);
// The same for a file by path, and its opposite (created 0644, replaced when it exists).
ssize_t file_read_text(const char *path, char *buffer, size_t size);
int file_write_text(const char *path, const char *text); // 0 or -errno

// Flushes stdout at the end of a program that printed to it: 0, or -errno when not all of it got
// out.
int fd_flush_output(void);

// Raises the soft RLIMIT_NOFILE to the hard one; returns the limit now in force.
size_t fd_raise_limit(void);
