// test_api_socket.c: whose socket of the control API stays when several want one path.

#include "base/fd.h"
#include "engine/api_socket.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 300

static char directory[64];
static struct sockaddr_un address;
static struct rk_error e;

static void make_directory(void)
{
	strcpy(directory, "/tmp/rk-api-socket.XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/api.sock", directory);
}

// Fails when anything but the socket is there.
static void remove_directory(void)
{
	unlink(address.sun_path);
	cr_expect_eq(rmdir(directory), 0, "something is left in %s", directory);
}

// A bound socket, as an engine that was killed or has not come far leaves it.
static int bind_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

// Whether the path leads to the listener `fd`.
static bool leads_to(int fd)
{
	RK_CLEANUP_FD int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	RK_CLEANUP_FD int accepted = -1;

	if (connect(client, (struct sockaddr *)&address, sizeof(address)) < 0)
		return false;
	accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return accepted >= 0;
}

Test(api_socket, one_that_was_left_behind_is_replaced, .init = make_directory,
	.fini = remove_directory)
{
	struct rk_api_socket_file file;
	struct stat status;
	int fd;

	close(bind_socket());
	fd = api_socket_listen(&file, address.sun_path, &e);
	cr_assert_geq(fd, 0, "%s", e.text);
	cr_expect(leads_to(fd));
	cr_expect_eq(lstat(address.sun_path, &status), 0);
	cr_expect_eq(status.st_mode & 07777, 0600);
	api_socket_remove(&file);
	cr_expect_eq(lstat(address.sun_path, &status), -1);
	close(fd);
}

Test(api_socket, one_that_answers_stays, .init = make_directory, .fini = remove_directory)
{
	struct rk_api_socket_file file, other;
	int fd = api_socket_listen(&file, address.sun_path, &e);

	cr_assert_geq(fd, 0, "%s", e.text);
	cr_expect_eq(api_socket_listen(&other, address.sun_path, &e), -EADDRINUSE);
	cr_expect(strstr(e.text, address.sun_path) && strstr(e.hint, "[api] socket"), "%s", e.text);
	cr_expect(leads_to(fd));
	close(fd);
}

Test(api_socket, what_is_no_socket_stays, .init = make_directory, .fini = remove_directory)
{
	struct rk_api_socket_file file;

	cr_assert_eq(file_write_text(address.sun_path, "text"), 0);
	cr_expect_eq(api_socket_listen(&file, address.sun_path, &e), -EEXIST);
	cr_expect_eq(access(address.sun_path, F_OK), 0);
}

// The path was taken over meanwhile.
Test(api_socket, the_socket_of_another_is_not_removed, .init = make_directory,
	.fini = remove_directory)
{
	struct rk_api_socket_file file;
	int fd = api_socket_listen(&file, address.sun_path, &e);
	int other;

	cr_assert_geq(fd, 0, "%s", e.text);
	unlink(address.sun_path);
	other = bind_socket();
	api_socket_remove(&file);
	cr_expect_eq(access(address.sun_path, F_OK), 0);
	close(other);
	close(fd);
}

// --- two begin at the same moment

struct engine {
	pid_t pid;
	int said; // the result, a byte: whether it listens
	int stop; // it ends with the end of this
};

static void be_engine(int start, int said, int stop)
{
	struct rk_api_socket_file file;
	char byte = 0;
	int fd;

	if (read(start, &byte, 1) < 0)
		_exit(1);
	fd = api_socket_listen(&file, address.sun_path, &e);
	byte = fd >= 0;
	if (write(said, &byte, 1) != 1 || read(stop, &byte, 1) < 0)
		_exit(1);
	if (fd >= 0)
		api_socket_remove(&file);
	_exit(0);
}

// It begins at the end of `start`.
static void start_engine(struct engine *engine, const int start[2])
{
	int said[2], stop[2];

	cr_assert_eq(pipe(said), 0);
	cr_assert_eq(pipe(stop), 0);
	engine->pid = fork();
	cr_assert_geq(engine->pid, 0);
	if (engine->pid == 0) {
		close(start[1]);
		close(stop[1]);
		be_engine(start[0], said[1], stop[0]);
	}
	close(said[1]);
	close(stop[0]);
	engine->said = said[0];
	engine->stop = stop[1];
}

// The process that listens at the path, 0 = none.
static pid_t listener(void)
{
	RK_CLEANUP_FD int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ucred peer = {.pid = 0};
	socklen_t length = sizeof(peer);

	if (connect(client, (struct sockaddr *)&address, sizeof(address)) == 0)
		getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	return peer.pid;
}

// Whoever listens has the path, so there is one at most. (Neither may be: each saw the other.)
static void compete(void)
{
	struct engine engines[2];
	int start[2];

	close(bind_socket());
	cr_assert_eq(pipe(start), 0);
	for (unsigned i = 0; i < 2; i++)
		start_engine(&engines[i], start);
	close(start[0]);
	close(start[1]);
	for (unsigned i = 0; i < 2; i++) {
		char listens = 0;

		cr_expect_eq(read(engines[i].said, &listens, 1), 1);
		engines[i].pid = listens ? engines[i].pid : -engines[i].pid;
	}
	for (unsigned i = 0; i < 2; i++)
		if (engines[i].pid > 0)
			cr_expect_eq(listener(), engines[i].pid, "nobody can reach an engine");
	// The second has the first one's descriptors.
	for (unsigned i = 0; i < 2; i++) {
		close(engines[i].stop);
		close(engines[i].said);
	}
	for (unsigned i = 0; i < 2; i++)
		waitpid(abs(engines[i].pid), NULL, 0);
	unlink(address.sun_path);
}

Test(api_socket, of_two_that_begin_at_once_none_loses_its_socket, .init = make_directory,
	.fini = remove_directory)
{
	for (unsigned round = 0; round < ROUNDS; round++)
		compete();
}
