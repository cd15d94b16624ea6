// ring_uring_lock.c: limit what can be done through a ring to what this engine does.
//
// How it works: operations of a ring pass by any filter of system calls, so the ring has a list of
// its own. The kernel takes the list while the ring is still disabled, and for ever. With no
// io_uring_setup(2) left (base/lockdown/syscalls.h) there will be no other ring.

#include "engine/ring_uring.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const uint8_t operations[] = {IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_RECV,
	IORING_OP_RECVMSG, IORING_OP_SEND, IORING_OP_SENDMSG, IORING_OP_POLL_ADD,
	IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE};
// What closing the ring takes.
static const uint8_t registrations[] = {IORING_UNREGISTER_PBUF_RING, IORING_UNREGISTER_RING_FDS};

// Debian 12's liburing declares functions for these two and does not export them.
static int register_with(
	struct rk_uring *uring, unsigned operation, const void *argument, unsigned count)
{
	long result = syscall(SYS_io_uring_register, uring->io.ring_fd, operation, argument, count);

	return result < 0 ? -errno : 0;
}

int uring_lock(struct rk_uring *uring)
{
	struct io_uring_restriction list[COUNT_OF(operations) + COUNT_OF(registrations) + 1];
	unsigned count = 0;
	int result;

	memset(list, 0, sizeof(list));
	for (size_t i = 0; i < COUNT_OF(operations); i++) {
		list[count].opcode = IORING_RESTRICTION_SQE_OP;
		list[count++].sqe_op = operations[i];
	}
	for (size_t i = 0; i < COUNT_OF(registrations); i++) {
		list[count].opcode = IORING_RESTRICTION_REGISTER_OP;
		list[count++].register_op = registrations[i];
	}
	list[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	list[count++].sqe_flags = IOSQE_BUFFER_SELECT;
	result = register_with(uring, IORING_REGISTER_RESTRICTIONS, list, count);
	return result < 0 ? result : register_with(uring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}
