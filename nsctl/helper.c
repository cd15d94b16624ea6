// helper.c: makes sockets in the child's network namespace ahead of the workers' need.
//
// How it works: each worker has one SEQPACKET channel and asks for `count` sockets of a kind; what
// it asked for is kept as a number (`owed`), so that nothing is forgotten when sockets cannot be
// made or sent for a while. Each round pays every worker at most one batch a kind, which keeps one
// greedy worker from starving the others. The lack of descriptors or memory makes the helper pause
// and try again; it never ends for it. A full channel waits for its reader. Any other failure ends
// it with a status that makes its parent start another.
//
// Where clients keep their address (nsctl/srcip.c) every socket is made ready for it here, ahead of
// need: transparent and marked. Neither changes anything for a connection that does not use it, and
// the engine needs no capability over the namespace.
//
// Limits: it holds no capability (making sockets in the namespace needs none) but CAP_NET_ADMIN and
// CAP_NET_RAW over the namespace for those two options, at most one batch of sockets at a time, and
// a fixed table of workers.

#include "nsctl/helper.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/msg.h"
#include "nsctl/family.h"
#include "nsctl/lockdown.h"
#include "nsctl/srcip_probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH_MAX        32
#define OWED_MAX         (1u << 20) // a worker that asks for more at once is told no lie: it is capped
#define PAUSE_FIRST_MS   2
#define PAUSE_LONGEST_MS 200
#define WORKERS_MAX      RK_MSG_FDS_MAX

// One worker's side of the helper.
struct customer {
	int channel; // -1 when the worker has gone
	bool full;   // the last send found no room: wait for POLLOUT
	uint32_t owed[SOCKET_KIND_COUNT];
};

struct helper {
	struct customer customers[WORKERS_MAX];
	unsigned count;
	int pause_ms; // 0 = nothing is short
	struct srcip srcip;
};

static const struct socket_form {
	int family;
	int type;
} socket_forms[SOCKET_KIND_COUNT] = {
	[SOCKET_TCP4] = {AF_INET, SOCK_STREAM},
	[SOCKET_TCP6] = {AF_INET6, SOCK_STREAM},
	[SOCKET_UDP4] = {AF_INET, SOCK_DGRAM},
	[SOCKET_UDP6] = {AF_INET6, SOCK_DGRAM},
};

// The other end of these connections is on this host, so there is no network whose congestion could
// be controlled; an algorithm that paces (bbr) only costs timers and waiting. Reno is built into
// every kernel and open to every user (tcp_allowed_congestion_control).
static void set_stream_options(int fd)
{
	static const char algorithm[] = "reno";
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, algorithm, sizeof(algorithm) - 1);
}

// Returns the socket or -errno. The options cannot fail on a socket of their own family; where the
// administrator forbids reno, the default stays.
static int make_socket(const struct srcip *srcip, enum rk_socket_kind kind)
{
	const struct socket_form *form = &socket_forms[kind];
	int fd = socket(form->family, form->type | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -errno;
	if (form->type == SOCK_STREAM)
		set_stream_options(fd);
	if (form->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (srcip->enabled)
		srcip_prepare_socket(fd, form->family, srcip->mark);
	return fd;
}

static void close_batch(int *fds, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		fd_close(&fds[i]);
}

// Makes up to `count` sockets; the number made, or -errno when there is none.
static int make_batch(const struct srcip *srcip, enum rk_socket_kind kind, int *fds, uint32_t count)
{
	uint32_t made;

	for (made = 0; made < count; made++) {
		fds[made] = make_socket(srcip, kind);
		if (fds[made] < 0)
			return made > 0 ? (int)made : fds[made];
	}
	return (int)made;
}

static void customer_drop(struct customer *customer)
{
	fd_close(&customer->channel);
	memset(customer->owed, 0, sizeof(customer->owed));
	customer->full = false;
}

// A failure of our own: the next helper starts with fresh channels (a status of 0 would say that no
// worker is left). Nothing is lost, for what is owed is asked for again.
__attribute__((noreturn)) static void give_up(const char *what, int code)
{
	log_warning("helper: %s: %s", what, strerror(code));
	_exit(1);
}

// Sends a batch or a refusal. 0, or -errno of a shortage after which the debt stands.
static int customer_send(struct customer *customer, const struct rk_msg_pool *pool, const int *fds)
{
	int rc = msg_send(
		customer->channel, MSG_POOL_SOCKETS, pool, sizeof(*pool), fds, pool->count);

	if (rc == -EAGAIN) {
		customer->full = true;
		return 0;
	}
	if (rc < 0 && error_is_shortage(-rc))
		return rc;
	if (rc == -EPIPE || rc == -ECONNRESET)
		customer_drop(customer);
	else if (rc < 0)
		give_up("hand sockets over", -rc);
	else if (pool->error)
		customer->owed[pool->kind] = 0;
	else
		customer->owed[pool->kind] -= pool->count;
	return 0;
}

// Pays one batch of one kind. 0, or -errno of a shortage.
static int customer_pay(
	struct customer *customer, enum rk_socket_kind kind, const struct srcip *srcip)
{
	struct rk_msg_pool pool = {.kind = kind};
	int fds[BATCH_MAX];
	uint32_t wanted = customer->owed[kind] < BATCH_MAX ? customer->owed[kind] : BATCH_MAX;
	int made = make_batch(srcip, kind, fds, wanted);
	int rc;

	if (made < 0 && error_is_shortage(-made))
		return made;
	if (made < 0)
		pool.error = -made;
	else
		pool.count = (uint32_t)made;
	rc = customer_send(customer, &pool, fds);
	close_batch(fds, pool.count);
	return rc;
}

static void customer_receive(struct customer *customer)
{
	static struct rk_message message;
	uint32_t *owed;
	int rc = msg_receive(customer->channel, &message);

	if (rc == -EAGAIN)
		return;
	if (rc < 0 && rc != -ECONNRESET && rc != -EPROTO)
		give_up("receive a request", -rc);
	if (rc > 0)
		msg_close_fds(&message);
	if (rc <= 0 || message.header.type != MSG_POOL_REQUEST) {
		if (rc != 0 && rc != -ECONNRESET)
			log_warning("helper: a worker broke the protocol, its channel is closed");
		customer_drop(customer);
		return;
	}
	owed = &customer->owed[message.pool.kind];
	*owed += message.pool.count < OWED_MAX - *owed ? message.pool.count : OWED_MAX - *owed;
}

static bool customer_is_waiting(const struct customer *customer)
{
	if (customer->channel < 0 || customer->full)
		return false;
	for (int kind = 0; kind < SOCKET_KIND_COUNT; kind++) {
		if (customer->owed[kind] > 0)
			return true;
	}
	return false;
}

// One batch of every kind that is owed to every worker. A shortage ends the round.
static void pay_round(struct helper *helper)
{
	for (unsigned i = 0; i < helper->count; i++) {
		struct customer *customer = &helper->customers[i];

		for (int kind = 0; kind < SOCKET_KIND_COUNT; kind++) {
			if (!customer_is_waiting(customer))
				break;
			if (customer->owed[kind] == 0)
				continue;
			if (customer_pay(customer, (enum rk_socket_kind)kind, &helper->srcip) < 0) {
				helper->pause_ms = helper->pause_ms == 0 ? PAUSE_FIRST_MS
									 : helper->pause_ms * 2;
				if (helper->pause_ms > PAUSE_LONGEST_MS)
					helper->pause_ms = PAUSE_LONGEST_MS;
				return;
			}
		}
	}
	helper->pause_ms = 0;
}

static int poll_timeout(const struct helper *helper)
{
	if (helper->pause_ms > 0)
		return helper->pause_ms;
	for (unsigned i = 0; i < helper->count; i++) {
		if (customer_is_waiting(&helper->customers[i]))
			return 0;
	}
	return -1;
}

// Polls all channels once; false when every worker has gone.
static bool poll_customers(struct helper *helper)
{
	struct pollfd fds[WORKERS_MAX];
	bool any = false;

	for (unsigned i = 0; i < helper->count; i++) {
		const struct customer *customer = &helper->customers[i];

		fds[i].fd = customer->channel;
		fds[i].events = customer->full ? POLLIN | POLLOUT : POLLIN;
		any = any || customer->channel >= 0;
	}
	if (!any)
		return false;
	if (poll(fds, helper->count, poll_timeout(helper)) < 0) {
		if (errno != EINTR)
			give_up("wait for requests", errno);
		return true;
	}
	for (unsigned i = 0; i < helper->count; i++) {
		if (fds[i].revents & POLLOUT)
			helper->customers[i].full = false;
		if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
			customer_receive(&helper->customers[i]);
	}
	return true;
}

void helper_serve(const int *channels, unsigned count, const struct srcip *srcip,
	enum rk_tristate seccomp, int death_signal)
{
	static struct helper helper;
	int keep[WORKERS_MAX];

	// Signals for the family are blocked since main(); SIGKILL and EOF end the helper.
	prctl(PR_SET_NAME, "nsctl-helper");
	memcpy(keep, channels, count * sizeof(*keep));
	family_close_fds(keep, count);
	fd_raise_limit();
	helper.srcip = srcip ? *srcip : SRCIP_NONE;
	prctl(PR_SET_PDEATHSIG, death_signal);
	lockdown_helper(helper.srcip.enabled, seccomp);
	helper.count = count;
	for (unsigned i = 0; i < count; i++) {
		helper.customers[i].channel = channels[i];
		fd_set_nonblocking(channels[i], true);
	}
	while (poll_customers(&helper))
		pay_round(&helper);
	_exit(0);
}

int helper_make_channels(int *workers, int *helpers, unsigned count, struct rk_error *e)
{
	for (unsigned i = 0; i < count; i++) {
		int pair[2];
		int rc = msg_channel(pair);

		if (rc < 0) {
			close_batch(workers, i);
			close_batch(helpers, i);
			return error_errno(e, -rc, "make the helper's channels");
		}
		workers[i] = pair[0];
		helpers[i] = pair[1];
	}
	return 0;
}

int helper_start(const int *channels, unsigned count, const struct srcip *srcip,
	enum rk_tristate seccomp, pid_t *pid, struct rk_error *e)
{
	if (count > WORKERS_MAX)
		return error_set(
			e, EINVAL, "%u workers: the helper serves at most %u", count, WORKERS_MAX);
	*pid = fork();
	if (*pid < 0)
		return error_errno(e, errno, "start the helper");
	if (*pid == 0)
		helper_serve(channels, count, srcip, seccomp, SIGKILL);
	return 0;
}
