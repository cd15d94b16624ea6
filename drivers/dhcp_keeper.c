// dhcp_keeper.c: the process that keeps a DHCP lease.
//
// How it works: a fork of the host side that stays in the host's namespaces, as the user, with the
// packet socket in the child's network namespace, a channel to report on, and nothing else. It
// sleeps until half of the lease is over (T1) and asks the server for more, from then on again at
// half of the time that is left, at least once a minute; from seven eighths (T2) on it asks any
// server. The child has its address as a static one: nothing is to be done there as long as the
// answer is the same address. Any other answer, and the end of the lease, end the run, because the
// address was told to the command and to the engine, and another host may have it now.
//
// The child's kernel answers each ACK with "port unreachable", as no UDP socket waits for it; a
// DHCP server takes no notice.

#include "base/fd.h"
#include "base/msg.h"
#include "drivers/dhcp_lease.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define RETRY_LEAST_MS 1000
#define RETRY_MOST_MS  60000

enum { SOCKET_FD = STDERR_FILENO + 1, REPORT_FD, END_FD };

struct keeper {
	struct rk_dhcp_lease lease;
	int timer;
	int signals;
	bool asking;      // a REQUEST is out
	uint32_t id;      // of that
	int64_t asked_ms; // first time, on the clock of the lease
};

static const char *address_text(uint32_t address, char text[INET_ADDRSTRLEN])
{
	struct in_addr in = {htonl(address)};

	return inet_ntop(AF_INET, &in, text, INET_ADDRSTRLEN);
}

static int64_t age_deadline_ms(const struct keeper *keeper, uint32_t age_s)
{
	return keeper->lease.since_ms + (int64_t)age_s * 1000;
}

static int set_timer(const struct keeper *keeper, int64_t at_ms, struct rk_error *e)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000}};

	// For ever: the timer stays off.
	if (keeper->lease.terms.lease_s == UINT32_MAX)
		return 0;
	if (timerfd_settime(keeper->timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		return error_errno(e, errno, "DHCP: set a timer");
	return 0;
}

// Half of the way to the next step of the lease, within the limits, and never past its end.
static int64_t retry_at_ms(const struct keeper *keeper, int64_t now_ms)
{
	int64_t rebind_ms = age_deadline_ms(keeper, keeper->lease.terms.rebind_s);
	int64_t end_ms = age_deadline_ms(keeper, keeper->lease.terms.lease_s);
	int64_t pause_ms = ((now_ms < rebind_ms ? rebind_ms : end_ms) - now_ms) / 2;

	if (pause_ms > RETRY_MOST_MS)
		pause_ms = RETRY_MOST_MS;
	if (pause_ms < RETRY_LEAST_MS)
		pause_ms = RETRY_LEAST_MS;
	return now_ms + pause_ms < end_ms ? now_ms + pause_ms : end_ms;
}

static void send_question(const struct keeper *keeper, enum rk_dhcp_type type, bool to_server)
{
	const struct rk_dhcp_offer *terms = &keeper->lease.terms;
	struct rk_dhcp_question question = {
		.type = type,
		.id = keeper->id,
		.address = terms->address,
		.server = type == DHCP_RELEASE ? terms->server : 0,
		.to = to_server ? terms->server : 0,
		.to_mac = terms->from,
	};
	uint8_t frame[RK_DHCP_FRAME_BYTES];

	dhcp_put_question(frame, keeper->lease.mac, &question);
	// A frame that cannot be sent is a frame lost: the timer comes again.
	send(SOCKET_FD, frame, sizeof(frame), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// The timer: time to ask, to ask again, or the end.
static int on_timer(struct keeper *keeper, struct rk_error *e)
{
	const struct rk_dhcp_offer *terms = &keeper->lease.terms;
	int64_t now_ms = dhcp_lease_clock_ms();
	char address[INET_ADDRSTRLEN];
	uint64_t expirations;

	if (read(keeper->timer, &expirations, sizeof(expirations)) < 0)
		return 0;
	if (now_ms >= age_deadline_ms(keeper, terms->lease_s))
		return error_set(e, ETIMEDOUT,
			"the lease of %s has ended: no DHCP server answered for %u s",
			address_text(terms->address, address), terms->lease_s - terms->renew_s);
	if (!keeper->asking) {
		if (getrandom(&keeper->id, sizeof(keeper->id), 0) != sizeof(keeper->id))
			return error_errno(e, errno, "DHCP: getrandom");
		keeper->asking = true;
		keeper->asked_ms = now_ms;
	}
	send_question(keeper, DHCP_REQUEST,
		terms->server && now_ms < age_deadline_ms(keeper, terms->rebind_s));
	return set_timer(keeper, retry_at_ms(keeper, now_ms), e);
}

static int take_answer(struct keeper *keeper, enum rk_dhcp_type type,
	const struct rk_dhcp_offer *answer, struct rk_error *e)
{
	char address[INET_ADDRSTRLEN], other[INET_ADDRSTRLEN];
	uint32_t ours = keeper->lease.terms.address;

	if (type == DHCP_NAK)
		return error_set(e, EADDRNOTAVAIL, "the DHCP server has withdrawn the address %s",
			address_text(ours, address));
	if (type != DHCP_ACK)
		return 0;
	if (answer->address != ours)
		return error_set(e, EADDRNOTAVAIL,
			"the DHCP server now gives the address %s instead of %s",
			address_text(answer->address, other), address_text(ours, address));
	keeper->asking = false;
	keeper->lease.terms = *answer;
	keeper->lease.since_ms = keeper->asked_ms;
	dhcp_lease_set_times(&keeper->lease.terms);
	return set_timer(keeper, age_deadline_ms(keeper, keeper->lease.terms.renew_s), e);
}

static int on_frame(struct keeper *keeper, struct rk_error *e)
{
	struct rk_dhcp_offer answer;
	uint8_t frame[2048];
	ssize_t got = recv(SOCKET_FD, frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC);

	// Down or removed: the lease runs on, to its end if need be.
	if (got < 0 || (size_t)got > sizeof(frame) || !keeper->asking)
		return 0;
	return take_answer(keeper,
		dhcp_parse_answer(&answer, frame, (size_t)got, keeper->lease.mac, keeper->id),
		&answer, e);
}

// 1 = SIGTERM came, 0 = on, -code with *e.
static int serve_once(struct keeper *keeper, struct rk_error *e)
{
	struct pollfd fds[] = {
		{keeper->signals, POLLIN, 0}, {SOCKET_FD, POLLIN, 0}, {keeper->timer, POLLIN, 0}};
	int rc = 0;

	if (poll(fds, 3, -1) < 0)
		return errno == EINTR ? 0 : error_errno(e, errno, "DHCP: wait for events");
	if (fds[0].revents)
		return 1;
	if (fds[1].revents)
		rc = on_frame(keeper, e);
	if (rc == 0 && fds[2].revents)
		rc = on_timer(keeper, e);
	return rc;
}

static int prepare(struct keeper *keeper, struct rk_error *e)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	keeper->signals = signalfd(-1, &term, SFD_CLOEXEC);
	keeper->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (keeper->signals < 0 || keeper->timer < 0)
		return error_errno(e, errno, "DHCP: make a signalfd and a timer");
	return set_timer(keeper, age_deadline_ms(keeper, keeper->lease.terms.renew_s), e);
}

// Both go above the numbers that they get, so that none is overwritten before it is moved.
static int keep_only(int socket, int report)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	socket = fcntl(socket, F_DUPFD_CLOEXEC, END_FD);
	report = fcntl(report, F_DUPFD_CLOEXEC, END_FD);
	if (null_fd < 0 || socket < 0 || report < 0)
		return -errno;
	for (int i = 0; i <= STDERR_FILENO; i++) {
		if (dup2(null_fd, i) < 0)
			return -errno;
	}
	if (dup2(socket, SOCKET_FD) < 0 || dup2(report, REPORT_FD) < 0)
		return -errno;
	fd_close_from(END_FD);
	return 0;
}

__attribute__((noreturn)) static void become_keeper(
	const struct rk_dhcp_lease *lease, int socket, int report, pid_t parent)
{
	struct keeper keeper = {.lease = *lease};
	struct rk_error e = {0};
	sigset_t all;
	int rc;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "nsctl-dhcp");
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || chdir("/") < 0 ||
		keep_only(socket, report) < 0)
		_exit(1);
	rc = prepare(&keeper, &e);
	while (rc == 0)
		rc = serve_once(&keeper, &e);
	if (rc > 0)
		send_question(&keeper, DHCP_RELEASE, keeper.lease.terms.server != 0);
	else
		msg_send(REPORT_FD, MSG_ERROR, &e, sizeof(e), NULL, 0);
	_exit(rc < 0);
}

int dhcp_keeper_start(
	const struct rk_dhcp_lease *lease, int fd, struct rk_process *process, struct rk_error *e)
{
	RK_CLEANUP_FD int ours = -1;
	RK_CLEANUP_FD int theirs = -1;
	pid_t parent = getpid();
	int ends[2];
	int rc = msg_channel(ends);
	pid_t pid;

	*process = RK_PROCESS_NONE;
	if (rc < 0)
		return error_errno(e, -rc, "DHCP: make a channel");
	ours = ends[0];
	theirs = ends[1];
	pid = fork();
	if (pid == 0)
		become_keeper(lease, fd, theirs, parent);
	if (pid < 0)
		return error_errno(e, errno, "DHCP: fork");
	process->pidfd = pidfd_open(pid, 0);
	if (process->pidfd < 0) {
		error_errno(e, errno, "DHCP: pidfd_open");
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return -e->code;
	}
	process->pid = pid;
	return fd_take(&ours);
}
