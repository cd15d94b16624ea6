// embed.c: librkengine in a program of one's own: publish ports of an existing network namespace.
//
//   cc embed.c $(pkg-config --cflags --libs librkengine) -o embed
//   ./embed PID|NETNS-FILE PORT-SPEC...
//
// Prints "ready" when the ports accept; on SIGTERM or SIGINT it ends and prints what they carried.

#include <rk_engine.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct rk_engine *engine;

static void on_signal(int number)
{
	(void)number;
	rk_engine_stop(engine);
}

static int publish(char **specs, struct rk_engine_error *error)
{
	for (; *specs; specs++) {
		int rc = rk_engine_add_port(engine, *specs, NULL, error);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int print_port(const struct rk_engine_port *port, void *context)
{
	struct rk_engine_stats stats = RK_ENGINE_STATS_INIT;

	(void)context;
	if (rk_engine_stats(engine, port->id, &stats, NULL) == 0)
		printf("%" PRIu32 " %s: %" PRIu64 " connections, %" PRIu64 " bytes in, %" PRIu64
		       " bytes out\n",
			port->id, port->spec, stats.connections_total, stats.bytes_in,
			stats.bytes_out);
	return 0;
}

static int serve(char **specs, struct rk_engine_error *error)
{
	int rc = publish(specs, error);

	if (rc < 0)
		return rc;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	puts("ready");
	fflush(stdout);
	rc = rk_engine_run(engine, error);
	return rc < 0 ? rc : rk_engine_list(engine, print_port, NULL, error);
}

int main(int argc, char **argv)
{
	struct rk_engine_options options = RK_ENGINE_OPTIONS_INIT;
	struct rk_engine_error error;
	int rc;

	if (argc < 3) {
		fprintf(stderr, "usage: %s PID|NETNS-FILE PORT-SPEC...\n", argv[0]);
		return EXIT_FAILURE;
	}
	options.target = argv[1];
	options.helper = getenv("NSCTL");
	rc = rk_engine_create(&engine, &options, &error);
	if (rc == 0)
		rc = serve(argv + 2, &error);
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", argv[0], error.message);
	rk_engine_destroy(engine);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
