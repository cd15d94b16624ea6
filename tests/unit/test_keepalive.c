// test_keepalive.c: the options that a connection gets so that it notices a dead peer.

#include "engine/keepalive.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	cr_assert_eq(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

static int socket_with(const struct rk_keepalive *keepalive)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	cr_assert_geq(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	cr_expect_eq(keepalive_apply(keepalive, fd), 0);
	return fd;
}

Test(keepalive, zeroed_leaves_the_kernels_times)
{
	int plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket_with(&(struct rk_keepalive){0});

	cr_expect_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	cr_expect_eq(
		option(fd, IPPROTO_TCP, TCP_KEEPIDLE), option(plain, IPPROTO_TCP, TCP_KEEPIDLE));
	cr_expect_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
	close(fd);
	close(plain);
}

Test(keepalive, off_is_off)
{
	int fd = socket_with(&(struct rk_keepalive){.off = true});

	cr_expect_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	close(fd);
}

// The probes take as long as the silence before them, or less than an interval more.
Test(keepalive, probes_fill_the_time_once_more)
{
	static const uint32_t times[] = {1, 2, 4, 5, 7, 60, 3600, 32400};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		int fd = socket_with(&(struct rk_keepalive){.time_s = times[i]});
		int interval = option(fd, IPPROTO_TCP, TCP_KEEPINTVL);
		int probes = interval * option(fd, IPPROTO_TCP, TCP_KEEPCNT);

		cr_expect_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), (int)times[i]);
		cr_expect(probes >= (int)times[i] && probes < (int)times[i] + interval,
			"%u s: probes for %d s", times[i], probes);
		close(fd);
	}
}

Test(keepalive, the_user_timeout_stands_alone)
{
	int fd = socket_with(&(struct rk_keepalive){.off = true, .user_timeout_ms = 2500});

	cr_expect_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 2500);
	close(fd);
}

Test(keepalive, accepted_sockets_have_what_the_listener_has)
{
	int listener = socket_with(&(struct rk_keepalive){.time_s = 7, .user_timeout_ms = 4000});
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in addr = {.sin_family = AF_INET};
	socklen_t length = sizeof(addr);
	int accepted;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&addr, &length), 0);
	cr_assert_eq(connect(client, (struct sockaddr *)&addr, length), 0);
	accepted = accept(listener, NULL, NULL);
	cr_expect_eq(option(accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
	cr_expect_eq(option(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 7);
	cr_expect_eq(option(accepted, IPPROTO_TCP, TCP_USER_TIMEOUT), 4000);
	close(accepted);
	close(client);
	close(listener);
}

Test(keepalive, a_failure_is_reported)
{
	cr_expect_lt(keepalive_apply(&(struct rk_keepalive){.time_s = 40000}, -1), 0);
}
