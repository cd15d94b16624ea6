// test_ports_leaving.c: ports that are to go while their port driver fails to remove them.

#include "base/bind.h"
#include "base/fd.h"
#include "engine/ports.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORTS   5u
#define WAIT_MS 30000

// A port driver that answers as the test says.
static struct {
	unsigned adds, removes;
	unsigned add_fails_at; // the number of the add, 0 = none
	int add_error, remove_error;
} driver;

static int driver_add(struct rk_port_backend *backend, const struct rk_port_spec *spec,
	const struct rk_forward *forward, struct rk_error *e)
{
	(void)backend;
	(void)spec;
	(void)forward;
	driver.adds++;
	return driver.adds == driver.add_fails_at ? error_errno(e, driver.add_error, "add") : 0;
}

static int driver_remove(struct rk_port_backend *backend, uint32_t id, struct rk_error *e)
{
	(void)backend;
	driver.removes++;
	return driver.remove_error ? error_errno(e, driver.remove_error, "remove %u", id) : 0;
}

static const struct rk_port_driver fake_driver = {
	.name = "fake", .add = driver_add, .remove = driver_remove};
static struct rk_port_backend backend = {.driver = &fake_driver, .watch_fd = -1};
static struct rk_ports *ports;

static void start_table(void)
{
	memset(&driver, 0, sizeof(driver));
	ports = ports_create(NULL);
	cr_assert_not_null(ports);
	ports_use_backend(ports, &backend);
}

static void stop_table(void)
{
	ports_destroy(ports);
}

static struct rk_port_spec spec_of(unsigned number)
{
	struct rk_port_spec spec;
	struct rk_error e;
	char text[64];

	snprintf(text, sizeof(text), "127.0.0.1:%u:80/tcp", 8000 + number);
	cr_assert_eq(port_spec_parse(&spec, text, strlen(text), &e), 0, "%s", e.text);
	return spec;
}

static int add_list(struct rk_error *e)
{
	struct rk_port_spec specs[PORTS];

	for (unsigned i = 0; i < PORTS; i++)
		specs[i] = spec_of(i);
	return ports_add_all(ports, specs, PORTS, NULL, NULL, e);
}

// Of all ports, how many are to go; each of them says so.
static unsigned leaving(int error)
{
	struct rk_port_report *list;
	struct rk_error e;
	ssize_t count = ports_report(ports, &list, &e);
	unsigned found = 0;

	cr_assert_geq(count, 0);
	for (ssize_t i = 0; i < count; i++) {
		if (list[i].stats.state != PORT_FAILED)
			continue;
		found++;
		cr_expect_eq(list[i].stats.reason, REASON_ERROR);
		cr_expect_eq(list[i].stats.reason_error, error);
		cr_expect_eq(list[i].stats.last_error.code, error);
		cr_expect_eq(list[i].stats.last_error.phase, ERROR_REMOVE);
	}
	free(list);
	return found;
}

static ssize_t count_ports(void)
{
	struct rk_port *list = NULL;
	struct rk_error e;
	ssize_t count = ports_list(ports, &list, &e);

	free(list);
	return count;
}

// Until the descriptor that the control thread polls is readable, then what it does.
static void wait_for_round(void)
{
	struct pollfd event = {ports_owners_fd(ports), POLLIN, 0};

	cr_assert_eq(poll(&event, 1, WAIT_MS), 1, "nobody tries again");
	ports_free_ended(ports);
}

// A process that has ended, or will.
static pid_t start_owner(struct rk_owner *owner)
{
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	*owner = (struct rk_owner){.pid = pid, .pidfd = pidfd_open(pid, 0)};
	cr_assert_geq(owner->pidfd, 0);
	return pid;
}

static void end_owner(pid_t pid, struct rk_owner *owner)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	fd_close(&owner->pidfd);
}

// A port whose owner has ended, and that could not be removed; returns its spec.
static struct rk_port_spec add_orphan(void)
{
	struct rk_port_spec spec = spec_of(0);
	struct rk_owner owner;
	struct rk_port port;
	struct rk_error e;
	pid_t pid = start_owner(&owner);

	spec.owned = true;
	cr_assert_eq(ports_add(ports, &spec, &owner, &port, &e), 0, "%s", e.text);
	driver.remove_error = EIO;
	end_owner(pid, &owner);
	wait_for_round();
	return spec;
}

Test(ports_leaving, a_port_goes_after_its_owner_when_the_driver_works_again, .init = start_table,
	.fini = stop_table)
{
	struct rk_port_spec spec = add_orphan();
	struct rk_port port;
	struct rk_error e;

	cr_expect_eq(leaving(EIO), 1);
	wait_for_round();
	cr_expect_eq(leaving(EIO), 1);
	cr_expect_eq(driver.removes, 2);
	cr_expect_eq(ports_add(ports, &spec, NULL, &port, &e), -EEXIST);
	cr_expect(strstr(e.hint, "failed to remove it (Input/output error)"), "%s", e.hint);
	driver.remove_error = 0;
	wait_for_round();
	cr_expect_eq(count_ports(), 0);
}

Test(ports_leaving, a_port_that_somebody_takes_over_stays, .init = start_table, .fini = stop_table)
{
	struct rk_port_spec spec = add_orphan();
	struct rk_port port;
	struct rk_error e;

	spec.owned = false;
	cr_expect_eq(ports_ensure(ports, &spec, NULL, &port, &e), 1, "%s", e.text);
	driver.remove_error = 0;
	wait_for_round();
	cr_expect_eq(count_ports(), 1);
	cr_expect_eq(leaving(0), 0);
	cr_expect_eq(ports_remove(ports, port.id, &e), 0, "%s", e.text);
}

Test(ports_leaving, a_removal_that_was_asked_for_fails_as_before, .init = start_table,
	.fini = stop_table)
{
	struct rk_port_spec spec = spec_of(0);
	struct rk_port port;
	struct rk_error e;

	cr_assert_eq(ports_add(ports, &spec, NULL, &port, &e), 0, "%s", e.text);
	driver.remove_error = EIO;
	cr_expect_eq(ports_remove(ports, port.id, &e), -EIO);
	cr_expect_eq(leaving(EIO), 0);
	cr_expect_eq(count_ports(), 1);
}

// Each try at a driver that hangs costs everybody its time limit.
Test(ports_leaving, a_list_that_is_taken_back_asks_a_hanging_driver_once, .init = start_table,
	.fini = stop_table)
{
	struct rk_error e;

	driver.add_fails_at = PORTS;
	driver.add_error = EADDRINUSE;
	driver.remove_error = ETIMEDOUT;
	cr_expect_eq(add_list(&e), -EADDRINUSE);
	cr_expect_eq(driver.removes, 1);
	cr_expect_eq(leaving(ETIMEDOUT), PORTS - 1);
	wait_for_round();
	cr_expect_eq(driver.removes, 2);
	driver.remove_error = 0;
	wait_for_round();
	cr_expect_eq(count_ports(), 0);
	cr_expect_eq(driver.removes, 2 + PORTS - 1);
}

Test(ports_leaving, a_list_whose_driver_hangs_is_taken_back_later, .init = start_table,
	.fini = stop_table)
{
	struct rk_error e;

	driver.add_fails_at = PORTS;
	driver.add_error = ETIMEDOUT;
	cr_expect_eq(add_list(&e), -ETIMEDOUT);
	cr_expect_eq(driver.removes, 0);
	wait_for_round();
	cr_expect_eq(count_ports(), 0);
	cr_expect_eq(driver.removes, PORTS - 1);
}
