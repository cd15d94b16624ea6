// fault.c: a library for LD_PRELOAD: calls of libc and liburing fail as tests/tools/fault.c says.
//
// How it works: RK_FAULT names a file that holds a struct fault_state and is mapped before main().
// Every function below looks there before it calls the real one. After the start nothing but memory
// is touched, so a seccomp filter of the program does not see us. Processes are told apart by the
// name they had at their start, or gave themselves by prctl(2) since.

#include "tests/tools/lib/fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct fault_state *state;
static char process[16];

__attribute__((constructor)) static void fault_open(void)
{
	const char *path = getenv("RK_FAULT");
	long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
	long memory = -1;

	if (fd < 0)
		return;
	memory = syscall(SYS_mmap, 0L, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	syscall(SYS_close, fd);
	syscall(SYS_prctl, PR_GET_NAME, process, 0, 0, 0);
	if (memory != -1)
		state = (struct fault_state *)memory;
}

static bool matches(const char *pattern, const char *text)
{
	return strcmp(pattern, FAULT_ANY) == 0 || strcmp(pattern, text) == 0;
}

// True when this call shall fail with errno, which is set.
static bool strikes(const char *call)
{
	uint32_t number;

	if (!state || !atomic_load(&state->active) || !matches(state->process, process) ||
		!matches(state->call, call))
		return false;
	number = atomic_fetch_add(&state->seen, 1);
	if (number < state->skip || number - state->skip >= state->count ||
		(number - state->skip) % state->every != 0)
		return false;
	atomic_fetch_add(&state->hits, 1);
	// The one call of its kind that an engine may make once it has given up its rights.
	if (state->error == FAULT_KILL)
		syscall(SYS_tgkill, getpid(), gettid(), SIGKILL);
	if (state->error == FAULT_STOP) {
		syscall(SYS_tgkill, getpid(), gettid(), SIGSTOP);
		return false;
	}
	errno = state->error;
	return true;
}

#define REAL(type, name, parameters)                                                               \
	static type(*real) parameters;                                                             \
	if (!real)                                                                                 \
	real = (type(*) parameters)dlsym(RTLD_NEXT, #name)

// `failure` is what the function returns when it fails.
#define FAULT_AS(failure, type, name, parameters, arguments)                                       \
	type name parameters                                                                       \
	{                                                                                          \
		REAL(type, name, parameters);                                                      \
		return strikes(#name) ? (failure) : real arguments;                                \
	}
#define FAULT(type, name, parameters, arguments) FAULT_AS(-1, type, name, parameters, arguments)
#define FAULT_CODE(name, parameters, arguments)  FAULT_AS(-errno, int, name, parameters, arguments)

#pragma GCC diagnostic ignored "-Wnonnull-compare"

// --- sockets

FAULT(int, socket, (int family, int type, int protocol), (family, type, protocol))
FAULT(int, socketpair, (int family, int type, int protocol, int ends[2]),
	(family, type, protocol, ends))
FAULT(int, bind, (int fd, const struct sockaddr *address, socklen_t length), (fd, address, length))
FAULT(int, listen, (int fd, int backlog), (fd, backlog))
FAULT(int, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags),
	(fd, address, length, flags))
FAULT(int, connect, (int fd, const struct sockaddr *address, socklen_t length),
	(fd, address, length))
FAULT(ssize_t, recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
FAULT(ssize_t, recvfrom,
	(int fd, void *data, size_t size, int flags, struct sockaddr *address, socklen_t *length),
	(fd, data, size, flags, address, length))
FAULT(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
FAULT(int, recvmmsg,
	(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout),
	(fd, messages, count, flags, timeout))
FAULT(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
FAULT(ssize_t, sendto,
	(int fd, const void *data, size_t size, int flags, const struct sockaddr *address,
		socklen_t length),
	(fd, data, size, flags, address, length))
FAULT(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
FAULT(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t length),
	(fd, level, option, value, length))
FAULT(int, getsockopt, (int fd, int level, int option, void *value, socklen_t *length),
	(fd, level, option, value, length))
FAULT(int, getpeername, (int fd, struct sockaddr *address, socklen_t *length),
	(fd, address, length))
FAULT(int, getsockname, (int fd, struct sockaddr *address, socklen_t *length),
	(fd, address, length))
FAULT(int, shutdown, (int fd, int how), (fd, how))

// --- waiting

FAULT(int, epoll_create1, (int flags), (flags))
FAULT(int, epoll_ctl, (int fd, int operation, int which, struct epoll_event *event),
	(fd, operation, which, event))
FAULT(int, epoll_wait, (int fd, struct epoll_event *events, int count, int timeout),
	(fd, events, count, timeout))
FAULT(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
FAULT(int, eventfd, (unsigned value, int flags), (value, flags))
FAULT(int, signalfd, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))

// --- files

FAULT(int, pipe2, (int ends[2], int flags), (ends, flags))
FAULT(ssize_t, splice,
	(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t size, unsigned flags),
	(from, from_offset, to, to_offset, size, flags))
FAULT(int, dup, (int fd), (fd))
FAULT(int, dup2, (int from, int to), (from, to))
FAULT(int, memfd_create, (const char *name, unsigned flags), (name, flags))
FAULT(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
FAULT(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
FAULT(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t offset),
	(fd, data, size, offset))
FAULT(int, ftruncate, (int fd, off_t length), (fd, length))
FAULT(int, mkdir, (const char *path, mode_t mode), (path, mode))
FAULT(int, rmdir, (const char *path), (path))
FAULT(int, unlink, (const char *path), (path))
FAULT(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
FAULT(int, renameat, (int from_dir, const char *from, int to_dir, const char *to),
	(from_dir, from, to_dir, to))
FAULT(int, flock, (int fd, int operation), (fd, operation))
FAULT(int, fstat, (int fd, struct stat *status), (fd, status))
FAULT(int, chmod, (const char *path, mode_t mode), (path, mode))
FAULT(int, statx,
	(int dir, const char *restrict path, int flags, unsigned mask,
		struct statx *restrict status),
	(dir, path, flags, mask, status))

int open(const char *path, int flags, ...)
{
	REAL(int, open, (const char *, int, ...));
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = va_arg(list, mode_t);
	va_end(list);
	return strikes("open") ? -1 : real(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	REAL(int, openat, (int, const char *, int, ...));
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = va_arg(list, mode_t);
	va_end(list);
	return strikes("openat") ? -1 : real(dir, path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
	REAL(int, fcntl, (int, int, ...));
	va_list list;
	long argument;

	va_start(list, command);
	argument = va_arg(list, long);
	va_end(list);
	return strikes("fcntl") ? -1 : real(fd, command, argument);
}

int ioctl(int fd, unsigned long request, ...)
{
	REAL(int, ioctl, (int, unsigned long, ...));
	va_list list;
	long argument;

	va_start(list, request);
	argument = va_arg(list, long);
	va_end(list);
	return strikes("ioctl") ? -1 : real(fd, request, argument);
}

// --- processes, namespaces, memory

FAULT(pid_t, fork, (void), ())
FAULT(int, execvp, (const char *file, char *const words[]), (file, words))
FAULT(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
FAULT(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int options),
	(type, id, info, options))
FAULT(int, pidfd_open, (pid_t pid, unsigned flags), (pid, flags))
FAULT(int, pidfd_send_signal, (int fd, int number, siginfo_t *info, unsigned flags),
	(fd, number, info, flags))
FAULT(int, kill, (pid_t pid, int number), (pid, number))
FAULT(int, setresuid, (uid_t real_id, uid_t effective, uid_t saved), (real_id, effective, saved))
FAULT(int, setresgid, (gid_t real_id, gid_t effective, gid_t saved), (real_id, effective, saved))
FAULT(int, unshare, (int flags), (flags))
FAULT(int, setns, (int fd, int type), (fd, type))
FAULT(int, mount,
	(const char *source, const char *target, const char *type, unsigned long flags,
		const void *data),
	(source, target, type, flags, data))
FAULT(int, umount2, (const char *target, int flags), (target, flags))
FAULT(int, close_range, (unsigned first, unsigned last, int flags), (first, last, flags))
FAULT_AS(MAP_FAILED, void *, mmap,
	(void *address, size_t size, int protection, int flags, int fd, off_t offset),
	(address, size, protection, flags, fd, offset))
FAULT_AS(errno, int, pthread_create,
	(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
		void *(*start)(void *), void *restrict argument),
	(thread, attributes, start, argument))

int prctl(int option, ...)
{
	REAL(int, prctl, (int, ...));
	unsigned long argument[4];
	va_list list;

	va_start(list, option);
	for (int i = 0; i < 4; i++)
		argument[i] = va_arg(list, unsigned long);
	va_end(list);
	// A worker names itself, not the process.
	if (option == PR_SET_NAME && gettid() == getpid())
		strncpy(process, (const char *)argument[0], sizeof(process) - 1);
	return strikes("prctl") ? -1
				: real(option, argument[0], argument[1], argument[2], argument[3]);
}

// What is made through syscall(2) and of interest: "clone3", and "io_uring_register" of what
// liburing has no function for.
long syscall(long number, ...)
{
	REAL(long, syscall, (long, ...));
	long argument[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		argument[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_clone3 && strikes("clone3"))
		return -1;
	if (number == SYS_io_uring_register && strikes("io_uring_register"))
		return -1;
	return real(number, argument[0], argument[1], argument[2], argument[3], argument[4],
		argument[5]);
}

// --- liburing

FAULT_CODE(io_uring_register_buf_ring,
	(struct io_uring * ring, struct io_uring_buf_reg *registration, unsigned flags),
	(ring, registration, flags))
FAULT_CODE(io_uring_register_ring_fd, (struct io_uring * ring), (ring))

// Single features of io_uring, as calls of their own: "setup.NAME" and "enter.NAME" are flags,
// "op.NAME" is a form of an operation, which is refused by the kernel itself: it gets a code that
// no kernel knows. ("*" does not mean these.)
struct feature {
	const char *name;
	unsigned flag;
};
static const struct feature setup_features[] = {
	{"setup.CLAMP", IORING_SETUP_CLAMP},
	{"setup.CQSIZE", IORING_SETUP_CQSIZE},
	{"setup.R_DISABLED", IORING_SETUP_R_DISABLED},
	{"setup.SUBMIT_ALL", IORING_SETUP_SUBMIT_ALL},
	{"setup.SINGLE_ISSUER", IORING_SETUP_SINGLE_ISSUER},
	{"setup.DEFER_TASKRUN", IORING_SETUP_DEFER_TASKRUN},
};
static const struct feature enter_features[] = {
	{"enter.EXT_ARG", IORING_ENTER_EXT_ARG},
	{"enter.REGISTERED_RING", IORING_ENTER_REGISTERED_RING},
	{"enter.NO_IOWAIT", 1u << 7},
};
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define NO_OPERATION    255

static bool is_chosen(const char *feature)
{
	return state && strcmp(state->call, feature) == 0;
}

static bool strikes_feature(const struct feature *features, size_t count, unsigned flags)
{
	for (size_t i = 0; i < count; i++)
		if (flags & features[i].flag && is_chosen(features[i].name))
			return strikes(features[i].name);
	return false;
}

static const char *name_operation(const struct io_uring_sqe *sqe)
{
	bool repeats = sqe->ioprio & IORING_RECV_MULTISHOT;

	switch (sqe->opcode) {
	case IORING_OP_ACCEPT:
		return sqe->ioprio & IORING_ACCEPT_MULTISHOT ? "op.ACCEPT_MULTISHOT" : "";
	case IORING_OP_RECVMSG:
		return repeats ? "op.RECVMSG_MULTISHOT" : "";
	case IORING_OP_POLL_ADD:
		return sqe->len & IORING_POLL_ADD_MULTI ? "op.POLL_MULTISHOT" : "";
	case IORING_OP_ASYNC_CANCEL:
		return sqe->cancel_flags & IORING_ASYNC_CANCEL_FD ? "op.CANCEL_FD" : "op.CANCEL";
	case IORING_OP_RECV:
		// A stream's; both at a time are chosen by the shorter name.
		if (sqe->ioprio & 1u << 4 && is_chosen("op.RECV_BUNDLE"))
			return "op.RECV_BUNDLE";
		if (sqe->file_index && is_chosen("op.RECV_LIMIT"))
			return "op.RECV_LIMIT";
		return repeats ? "op.RECV_MULTISHOT" : "";
	default:
		return "";
	}
}

static __thread struct io_uring *ring_of_thread;

static void spoil_operations(void)
{
	struct io_uring_sq *sq = ring_of_thread ? &ring_of_thread->sq : NULL;

	if (!sq || !state || strncmp(state->call, "op.", 3) != 0)
		return;
	for (unsigned head = *sq->khead; head != *sq->ktail; head++) {
		struct io_uring_sqe *sqe = &sq->sqes[sq->array[head & sq->ring_mask]];
		const char *name = name_operation(sqe);

		if (is_chosen(name) && strikes(name))
			sqe->opcode = NO_OPERATION;
	}
}

int io_uring_queue_init_params(
	unsigned entries, struct io_uring *ring, struct io_uring_params *parameters)
{
	REAL(int, io_uring_queue_init_params,
		(unsigned, struct io_uring *, struct io_uring_params *));

	if (strikes("io_uring_queue_init_params") ||
		strikes_feature(setup_features, COUNT_OF(setup_features), parameters->flags))
		return -errno;
	ring_of_thread = ring;
	return real(entries, ring, parameters);
}

int io_uring_enter2(unsigned fd, unsigned submit, unsigned wanted, unsigned flags,
	sigset_t *argument, size_t size)
{
	REAL(int, io_uring_enter2, (unsigned, unsigned, unsigned, unsigned, sigset_t *, size_t));

	if (strikes("io_uring_enter2") ||
		strikes_feature(enter_features, COUNT_OF(enter_features), flags))
		return -errno;
	spoil_operations();
	return real(fd, submit, wanted, flags, argument, size);
}

// --- the clock on the wall

int clock_gettime(clockid_t clock, struct timespec *now)
{
	REAL(int, clock_gettime, (clockid_t, struct timespec *));
	int result = real(clock, now);

	if (state && clock == CLOCK_REALTIME)
		now->tv_sec += atomic_load(&state->clock_offset_s);
	return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	REAL(int, gettimeofday, (struct timeval *, void *));
	int result = real(now, zone);

	if (state)
		now->tv_sec += atomic_load(&state->clock_offset_s);
	return result;
}

time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
