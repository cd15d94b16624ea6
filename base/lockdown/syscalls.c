// syscalls.c: the lists behind syscalls.h, and their way into the kernel.
//
// The lists are what the programs were seen to need with every driver and both I/O methods, and
// what libc uses instead on other kernels and architectures.

#include "base/lockdown/syscalls.h"
#include "base/log.h"

#include <errno.h>
#include <linux/sched.h>
#include <net/if.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define NAMESPACE_FLAGS                                                                            \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
		CLONE_NEWPID | CLONE_NEWNET)
#define SOCKET_TYPE_MASK 0xfu // without SOCK_CLOEXEC and SOCK_NONBLOCK

// What any of our processes needs to live, to wait and to log.
static const int basic_calls[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(fcntl),
	SCMP_SYS(fcntl64),
	SCMP_SYS(fstat),
	SCMP_SYS(fstat64),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstatat64),
	SCMP_SYS(lseek),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(ppoll_time64),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	// memory; pages of code: see add_memory()
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	// threads and signals
	SCMP_SYS(futex),
	SCMP_SYS(futex_time64),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(tgkill),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(membarrier),
	SCMP_SYS(getcpu),
	// time, and who we are
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_gettime64),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_nanosleep_time64),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(uname),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	// sockets that exist
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(send),
	SCMP_SYS(recv),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockopt),
	SCMP_SYS(shutdown),
};

// The engine after its start, beyond the basic calls.
static const int engine_calls[] = {
	// data plane
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(splice),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(socketpair),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_settime64),
	SCMP_SYS(pipe2),
	// state directory and /proc; Landlock says which files
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(statx),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rmdir),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(ftruncate),
	SCMP_SYS(flock),
	SCMP_SYS(fchmod),
	SCMP_SYS(dup),
	SCMP_SYS(getcwd),
	// nsctl's life; limits
	SCMP_SYS(waitid),
	SCMP_SYS(wait4),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(getrlimit),
	SCMP_SYS(ugetrlimit),
	SCMP_SYS(prlimit64),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getrusage),
};

// What no code of ours does in a steady state, but an intruder's might.
static const int forbidden_calls[] = {
	// other processes
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(process_madvise),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(kcmp),
	// mounts and files past all paths
	SCMP_SYS(mount),
	SCMP_SYS(umount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(move_mount),
	SCMP_SYS(open_tree),
	SCMP_SYS(fsopen),
	SCMP_SYS(fsmount),
	SCMP_SYS(fsconfig),
	SCMP_SYS(fspick),
	SCMP_SYS(mount_setattr),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(name_to_handle_at),
	SCMP_SYS(quotactl),
	SCMP_SYS(acct),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(mknod),
	SCMP_SYS(mknodat),
	// the kernel itself
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(syslog),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(modify_ldt),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(adjtimex),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(io_uring_setup),
};

// Also forbidden to whoever starts no program any more.
static const int starting_calls[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(setns),
	SCMP_SYS(unshare), SCMP_SYS(personality)};

static const struct profile {
	bool allowlist;
	bool starts_programs;
} profiles[SYSCALLS_PROFILES] = {
	[SYSCALLS_ENGINE] = {.allowlist = true},
	[SYSCALLS_HELPER] = {.allowlist = true},
	[SYSCALLS_MANAGER] = {.allowlist = false},
	[SYSCALLS_STARTER] = {.allowlist = false, .starts_programs = true},
};

bool syscalls_can_restrict(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
	return false;
#else
	return true;
#endif
#else
	return true;
#endif
}

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = seccomp_rule_add(filter, action, calls[i], 0);
	return rc;
}

// Memory, but none that can be executed: what was not code at the start never becomes it.
static int add_memory(scmp_filter_ctx filter)
{
	static const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)};
	int rc = 0;

	for (size_t i = 0; i < COUNT_OF(calls) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return rc;
}

// The engine's requests: of the data plane's sockets, the name of a link-local address's interface.
static int add_requests(scmp_filter_ctx filter)
{
	static const unsigned long requests[] = {
		FIONBIO, FIONREAD, SIOCATMARK, SIOCGIFINDEX, SIOCGIFNAME};
	int rc = 0;

	for (size_t i = 0; i < COUNT_OF(requests) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, requests[i]));
	return rc;
}

// TCP and UDP; `local`: UNIX sockets, too. No raw or packet sockets, no netlink.
static int add_sockets(scmp_filter_ctx filter, bool local)
{
	static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	size_t count = local ? 3 : 2;
	int rc = 0;

	for (size_t i = 0; i < count * 2 && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i / 2]),
			SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK, (scmp_datum_t)types[i % 2]));
	return rc;
}

static int add_allowed(scmp_filter_ctx filter, enum rk_syscall_profile profile)
{
	int rc = add_all(filter, SCMP_ACT_ALLOW, basic_calls, COUNT_OF(basic_calls));

	if (rc == 0)
		rc = add_memory(filter);
	if (rc == 0)
		rc = add_sockets(filter, profile == SYSCALLS_ENGINE);
	if (rc < 0 || profile != SYSCALLS_ENGINE)
		return rc;
	rc = add_requests(filter);
	// libmicrohttpd's thread may get to its own name when the filter is there already.
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
			SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	if (rc < 0)
		return rc;
	return add_all(filter, SCMP_ACT_ALLOW, engine_calls, COUNT_OF(engine_calls));
}

// clone3 cannot be looked into; without it libc forks with clone, which can.
static int add_forks(scmp_filter_ctx filter, uint32_t action)
{
	int rc = 0;

	for (unsigned bit = 0; bit < 32 && rc == 0; bit++)
		if (NAMESPACE_FLAGS & 1u << bit)
			rc = seccomp_rule_add(filter, action, SCMP_SYS(clone), 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, 1u << bit, 1u << bit));
	return rc < 0 ? rc : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int add_forbidden(scmp_filter_ctx filter, const struct profile *profile)
{
	uint32_t action = profile->starts_programs ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS;
	int rc = add_all(filter, action, forbidden_calls, COUNT_OF(forbidden_calls));

	if (rc == 0 && !profile->starts_programs)
		rc = add_all(filter, action, starting_calls, COUNT_OF(starting_calls));
	if (rc == 0 && !profile->allowlist)
		rc = add_forks(filter, action);
	return rc;
}

static int load(scmp_filter_ctx filter, enum rk_syscall_profile name)
{
	const struct profile *profile = &profiles[name];
	int rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1);

	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	// Without these two the filter is only slower, or says less.
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (log_shows(LOG_LEVEL_DEBUG))
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	if (rc == 0)
		rc = add_forbidden(filter, profile);
	if (rc == 0 && profile->allowlist)
		rc = add_allowed(filter, name);
	return rc < 0 ? rc : seccomp_load(filter);
}

static int restrict_all(enum rk_syscall_profile profile)
{
	scmp_filter_ctx filter =
		seccomp_init(profiles[profile].allowlist ? SCMP_ACT_ERRNO(ENOSYS) : SCMP_ACT_ALLOW);
	int rc;

	if (!filter)
		return -ENOMEM;
	rc = load(filter, profile);
	seccomp_release(filter);
	return rc;
}

int syscalls_restrict(enum rk_syscall_profile profile, bool required, struct rk_error *e)
{
	int rc = syscalls_can_restrict() ? restrict_all(profile) : 0;

	if (rc == 0)
		return 0;
	if (required) {
		error_errno(e, -rc, "[engine] seccomp: no filter of system calls");
		return error_hint(e, "set it to auto to go on without");
	}
	log_warning("no filter of system calls here: %s", strerror(-rc));
	return 0;
}
