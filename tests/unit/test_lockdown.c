// test_lockdown.c: what a locked-down process can no longer do, and what it still must. Each try is
// made in a process of its own, since there is no way back.

#include "base/fd.h"
#include "base/lockdown/files.h"
#include "base/lockdown/rights.h"
#include "base/lockdown/syscalls.h"
#include "engine/ring_uring.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

// A try returns 0 or the errno that it got; a child of ours makes it under `profile`.
typedef int try_it(void);

#define DIED 1000 // by SIGSYS

static int outcome_of(enum rk_syscall_profile profile, try_it *try)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (syscalls_restrict(profile, true, NULL) < 0)
			_exit(255);
		_exit(try());
	}
	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? DIED : -WTERMSIG(status);
	return WEXITSTATUS(status);
}

static int result_of(long result)
{
	return result < 0 ? errno : 0;
}

static int try_execute(void)
{
	char *words[] = {"true", NULL};

	return result_of(execv("/bin/true", words));
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int try_namespace(void)
{
	return result_of(unshare(CLONE_NEWUSER));
}

static int try_clone_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return result_of(pid);
}

static int try_join(void)
{
	return result_of(setns(0, CLONE_NEWNET));
}

static int try_trace(void)
{
	return result_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int try_mount(void)
{
	return result_of(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int try_bpf(void)
{
	return result_of(syscall(SYS_bpf, 0, NULL, 0));
}

static int try_key(void)
{
	return result_of(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
}

static int try_module(void)
{
	return result_of(syscall(SYS_finit_module, -1, "", 0));
}

static int try_kexec(void)
{
	return result_of(syscall(SYS_kexec_load, 0, 0, NULL, 0));
}

static int try_read_memory(void)
{
	return result_of(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int try_handle(void)
{
	return result_of(syscall(SYS_open_by_handle_at, -1, NULL, 0));
}

static int try_ring(void)
{
	struct io_uring_params parameters = {0};

	return result_of(syscall(SYS_io_uring_setup, 4, &parameters));
}

static int try_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? errno
		       : 0;
}

static int try_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? errno
		       : 0;
}

static int try_unknown(void)
{
	return result_of(syscall(1023)); // no kernel has it
}

static int try_kill(void)
{
	return result_of(kill(getppid(), 0));
}

static int try_open(void)
{
	return result_of(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
}

static int try_tcp(void)
{
	return result_of(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int try_local(void)
{
	return result_of(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int try_raw(void)
{
	return result_of(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int try_packet(void)
{
	return result_of(socket(AF_PACKET, SOCK_DGRAM, 0));
}

static int try_terminal(void)
{
	return result_of(syscall(SYS_ioctl, 0, 0x5412, "x")); // TIOCSTI: types into the terminal
}

static const struct {
	const char *name;
	try_it *try;
	int outcome[SYSCALLS_PROFILES];
} tries[] = {
	// clang-format off
	//                                       engine  helper  manager starter
	{"execute a program", try_execute,       {DIED,   DIED,   DIED,   0}},
	{"make a user namespace", try_namespace, {DIED,   DIED,   DIED,   0}},
	{"fork into one", try_clone_namespace,   {ENOSYS, ENOSYS, DIED,   EPERM}},
	{"join a namespace", try_join,           {DIED,   DIED,   DIED,   EINVAL}},
	{"be traced", try_trace,                 {DIED,   DIED,   DIED,   EPERM}},
	{"mount", try_mount,                     {DIED,   DIED,   DIED,   EPERM}},
	{"bpf", try_bpf,                         {DIED,   DIED,   DIED,   EPERM}},
	{"keyctl", try_key,                      {DIED,   DIED,   DIED,   EPERM}},
	{"load a module", try_module,            {DIED,   DIED,   DIED,   EPERM}},
	{"kexec", try_kexec,                     {DIED,   DIED,   DIED,   EPERM}},
	{"read another's memory", try_read_memory, {DIED, DIED,   DIED,   EPERM}},
	{"open by handle", try_handle,           {DIED,   DIED,   DIED,   EPERM}},
	{"make a ring", try_ring,                {DIED,   DIED,   DIED,   EPERM}},
	{"fork", try_fork,                       {ENOSYS, ENOSYS, 0,      0}},
	{"map code", try_code,                   {ENOSYS, ENOSYS, 0,      0}},
	{"map memory", try_memory,               {0,      0,      0,      0}},
	{"an unknown call", try_unknown,         {ENOSYS, ENOSYS, ENOSYS, ENOSYS}},
	{"kill", try_kill,                       {ENOSYS, ENOSYS, 0,      0}},
	{"open a file", try_open,                {0,      ENOSYS, 0,      0}},
	{"a TCP socket", try_tcp,                {0,      0,      0,      0}},
	{"a UNIX socket", try_local,             {0,      ENOSYS, 0,      0}},
	// clang-format on
};

Test(lockdown, each_profile_allows_what_it_says)
{
	if (!syscalls_can_restrict())
		return; // a build with a sanitizer; can_restrict_without_sanitizers says when
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		for (int profile = 0; profile < SYSCALLS_PROFILES; profile++) {
			int outcome = outcome_of((enum rk_syscall_profile)profile, tries[i].try);

			cr_expect_eq(outcome, tries[i].outcome[profile],
				"%s, profile %d: is %d, expected %d", tries[i].name, profile,
				outcome, tries[i].outcome[profile]);
		}
}

// What an allowlist does not name, even where the kernel would allow it to us.
Test(lockdown, no_other_sockets_and_requests)
{
	if (!syscalls_can_restrict())
		return;
	for (int profile = SYSCALLS_ENGINE; profile <= SYSCALLS_HELPER; profile++) {
		cr_expect_eq(outcome_of((enum rk_syscall_profile)profile, try_raw), ENOSYS);
		cr_expect_eq(outcome_of((enum rk_syscall_profile)profile, try_packet), ENOSYS);
		cr_expect_eq(outcome_of((enum rk_syscall_profile)profile, try_terminal), ENOSYS);
	}
}

Test(lockdown, can_restrict_without_sanitizers)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	cr_expect_not(syscalls_can_restrict());
#else
	cr_expect(syscalls_can_restrict());
#endif
}

// --- threads that exist already

struct old_thread {
	sem_t start;
	int result;
};

static void *wait_and_try(void *argument)
{
	struct old_thread *old = argument;

	while (sem_wait(&old->start) < 0)
		;
	old->result = try_fork();
	return NULL;
}

static int try_in_old_thread(void)
{
	struct old_thread old = {.result = -1};
	pthread_t thread;

	sem_init(&old.start, 0, 0);
	pthread_create(&thread, NULL, wait_and_try, &old);
	if (syscalls_restrict(SYSCALLS_ENGINE, true, NULL) < 0)
		return 255;
	sem_post(&old.start);
	pthread_join(thread, NULL);
	return old.result;
}

// Runs `try` in a child without a profile of its own.
static int outcome_plain(try_it *try)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(try());
	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

Test(lockdown, reaches_threads_that_run_already)
{
	if (syscalls_can_restrict())
		cr_expect_eq(outcome_plain(try_in_old_thread), ENOSYS);
}

// --- files

static char directory[64];

static int restricted(void)
{
	const struct rk_files_rule rules[] = {
		{"/proc", FILES_READ},
		{directory, FILES_OWN},
		{"/no/such/directory", FILES_READ},
	};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return files_restrict(rules, 3, NULL);
}

static int try_file(const char *path, int flags)
{
	int rc = restricted();
	int fd;

	if (rc < 0)
		return -rc;
	fd = open(path, flags | O_CLOEXEC, 0600);
	return fd < 0 ? errno : 0;
}

static int try_foreign_file(void)
{
	return try_file("/etc/passwd", O_RDONLY);
}

static int try_foreign_write(void)
{
	return try_file("/proc/self/comm", O_WRONLY);
}

static int try_new_file_elsewhere(void)
{
	return try_file("/tmp/rk-lockdown-must-not-be", O_WRONLY | O_CREAT);
}

static int try_proc(void)
{
	return try_file("/proc/self/status", O_RDONLY);
}

static int try_other_process(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
	return try_file(path, O_RDONLY);
}

static int try_own_directory(void)
{
	char path[128];
	int rc;

	snprintf(path, sizeof(path), "%s/file", directory);
	rc = try_file(path, O_WRONLY | O_CREAT | O_TRUNC);
	return rc ? rc : result_of(unlink(path));
}

static int try_execute_restricted(void)
{
	return restricted() < 0 ? 255 : try_execute();
}

// No program, but that is seen only behind the right to execute it.
static int try_execute_own(void)
{
	char path[128];
	char *words[] = {path, NULL};
	int fd, result;

	snprintf(path, sizeof(path), "%s/program", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	if (fd < 0 || restricted() < 0)
		return 255;
	close(fd);
	result = result_of(execv(path, words));
	unlink(path);
	return result;
}

// A ring's operations obey, too.
static int try_ring_open(void)
{
	struct io_uring ring;
	struct io_uring_cqe *done;

	if (io_uring_queue_init(4, &ring, 0) < 0)
		return EACCES; // no io_uring here: as good
	if (restricted() < 0)
		return 255;
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	io_uring_submit(&ring);
	return io_uring_wait_cqe(&ring, &done) < 0 ? 255 : -done->res;
}

// Somebody else's abstract socket; the child that restricts itself is not its owner.
static int try_abstract(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s", directory);
	if (restricted() < 0)
		return 255;
	return result_of(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static void expect_abstract_is_out_of_reach(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s", directory);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_expect_eq(outcome_plain(try_abstract), abi >= 6 ? EPERM : 0);
	close(fd);
}

Test(lockdown, landlock_leaves_what_the_rules_say)
{
	strcpy(directory, "/tmp/rk-lockdown-XXXXXX");
	cr_assert(mkdtemp(directory));
	if (outcome_plain(try_proc) == ENOSYS || outcome_plain(try_proc) == EOPNOTSUPP) {
		rmdir(directory);
		cr_skip_test("this kernel has no Landlock");
	}
	cr_expect_eq(outcome_plain(try_proc), 0);
	cr_expect_eq(outcome_plain(try_own_directory), 0);
	cr_expect_eq(outcome_plain(try_foreign_file), EACCES);
	cr_expect_eq(outcome_plain(try_foreign_write), EACCES);
	cr_expect_eq(outcome_plain(try_new_file_elsewhere), EACCES);
	cr_expect_eq(outcome_plain(try_other_process), EACCES);
	cr_expect_eq(outcome_plain(try_execute_restricted), EACCES);
	cr_expect_eq(outcome_plain(try_execute_own), EACCES);
	cr_expect_eq(outcome_plain(try_ring_open), EACCES);
	expect_abstract_is_out_of_reach();
	cr_expect_eq(rmdir(directory), 0);
}

// --- capabilities

static int kept_one(void)
{
	static const int keep[] = {CAP_NET_BIND_SERVICE};
	bool had = prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1 && geteuid() == 0;
	char text[4096];

	if (rights_keep(keep, 1, NULL) < 0)
		return 1;
	if (file_read_text("/proc/self/status", text, sizeof(text)) < 0)
		return 2;
	if (!strstr(text, "NoNewPrivs:\t1") || !strstr(text, "CapInh:\t0000000000000000") ||
		!strstr(text, "CapAmb:\t0000000000000000"))
		return 3;
	// Root had it, an ordinary user had nothing.
	if (!strstr(text, had ? "CapPrm:\t0000000000000400" : "CapPrm:\t0000000000000000"))
		return 4;
	return had && !strstr(text, "CapBnd:\t0000000000000400") ? 5 : 0;
}

Test(lockdown, keeps_of_capabilities_what_it_had_and_wants)
{
	cr_expect_eq(outcome_plain(kept_one), 0);
}

// A parent-death signal set before is still there after.
static int kept_death_signal(void)
{
	int signal = 0;

	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	if (rights_keep(NULL, 0, NULL) < 0 || restricted() < 0 ||
		syscalls_restrict(SYSCALLS_MANAGER, true, NULL) < 0)
		return 1;
	prctl(PR_GET_PDEATHSIG, &signal);
	return signal == SIGUSR1 ? 0 : 2;
}

Test(lockdown, keeps_the_parent_death_signal)
{
	strcpy(directory, "/tmp");
	cr_expect_eq(outcome_plain(kept_death_signal), 0);
}

// --- the ring

static int last_result;

static void take_result(void *context, const struct rk_completion *completion)
{
	(void)context;
	last_result = completion->result;
}

static int ring_result(struct rk_ring *ring)
{
	last_result = 1;
	while (last_result == 1)
		cr_assert_eq(ring_wait(ring, 1000, take_result, NULL), 0);
	return last_result;
}

Test(lockdown, a_ring_takes_no_operation_but_ours)
{
	const struct rk_ring_options options = {.io = IO_URING,
		.entries = 64,
		.buffer_count = {256, 64},
		.buffer_size = {32768, 4096}};
	struct io_uring plain;
	struct rk_ring *ring;
	struct io_uring_sqe *sqe;

	if (io_uring_queue_init(4, &plain, 0) < 0)
		cr_skip_test("this machine has no io_uring");
	io_uring_queue_exit(&plain);
	cr_assert_eq(ring_open(&ring, &options), 0);
	io_uring_prep_openat(uring_entry(uring_of(ring), 0), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	cr_expect_eq(ring_result(ring), -EACCES);
	io_uring_prep_socket(uring_entry(uring_of(ring), 0), AF_INET, SOCK_STREAM, 0, 0);
	cr_expect_eq(ring_result(ring), -EACCES);
	// An allowed one with a flag that is not.
	sqe = uring_entry(uring_of(ring), 0);
	io_uring_prep_close(sqe, -1);
	sqe->flags |= IOSQE_ASYNC;
	cr_expect_eq(ring_result(ring), -EACCES);
	io_uring_prep_close(uring_entry(uring_of(ring), 0), -1);
	cr_expect_eq(ring_result(ring), -EBADF);
	cr_expect_eq(io_uring_register_files(&uring_of(ring)->io, &last_result, 1), -EACCES);
	ring_close(ring);
}
