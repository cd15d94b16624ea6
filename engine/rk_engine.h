// rk_engine.h: forward ports of the host into a network namespace that exists already.
//
// The public interface of librkengine; everything else in the library is hidden. The engine runs in
// threads of its own and never enters the namespace: a helper process (`nsctl helper`, which must
// be installed) joins it and makes sockets there. The caller needs the right to join the namespace:
// it is root, or the user who made the namespace's user namespace.
//
//	struct rk_engine_options options = RK_ENGINE_OPTIONS_INIT;
//	options.target = "/run/netns/web";
//	if (rk_engine_create(&engine, &options, &error) < 0) ...
//	rk_engine_add_port(engine, "127.0.0.1:8080:80/tcp", &id, &error);
//	rk_engine_run(engine, &error);
//	rk_engine_destroy(engine);
//
// Every function that returns int gives 0, or a negative errno value with *error filled; `error`
// may be NULL. All functions may be called from any thread, except that nothing may be called
// during or after rk_engine_destroy().
//
// Compatibility: structs that cross the border start with their size and only grow at the end, so a
// program works with newer libraries without being compiled again. Set them up with their _INIT.
#ifndef RK_ENGINE_H
#define RK_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RK_ENGINE_API __attribute__((visibility("default")))

struct rk_engine; // opaque

// What failed, on which object, and what to do about it. The layout is final.
struct rk_engine_error {
	int code; // a positive errno value
	char message[1052];
};

// 0 and NULL mean the default, which is that of rk-engine (see its configuration reference).
struct rk_engine_options {
	size_t size;
	const char *target; // a process id in decimal, or the file of a network namespace
	const char *helper; // path of nsctl; default: beside the program, then on PATH
	const char *io;     // "auto", "io_uring" or "epoll"
	uint32_t workers;   // threads; default: one per CPU
	uint32_t max_flows; // per worker; fewer when RLIMIT_NOFILE is low, which stays yours to
			    // raise
	uint32_t udp_idle_timeout_ms;
	uint32_t connect_timeout_ms;
	uint32_t max_pending; // clients of one port that wait for its service to accept them; at
			      // most 1048576
	uint32_t reserved; // 0
};
#define RK_ENGINE_OPTIONS_INIT                                                                     \
	{                                                                                          \
		sizeof(struct rk_engine_options), 0, 0, 0, 0, 0, 0, 0, 0, 0                        \
	}

struct rk_engine_port {
	size_t size;
	uint32_t id;
	const char *spec; // as rk_engine_add_port() takes it; valid during the callback
};

enum rk_engine_port_state {
	RK_ENGINE_LISTENING,
	RK_ENGINE_PAUSED, // short of descriptors, memory or flows, or its service does not accept
			  // those who wait for it; goes on by itself
	RK_ENGINE_FAILED  // a worker cannot accept, or the last client reached no service
};

// in = from clients to the namespace, out = from the namespace to clients.
struct rk_engine_stats {
	size_t size;
	int32_t state;      // enum rk_engine_port_state
	int32_t last_error; // errno of the last failure, 0 = none
	uint64_t connections_open, connections_total;
	uint64_t connections_refused, connections_failed;
	uint64_t bytes_in, bytes_out;
	uint64_t datagrams_in, datagrams_out, datagrams_dropped;
	uint64_t connections_timed_out; // of those that failed
	uint64_t resets_by_client, resets_by_service;
	uint64_t retries; // another target was tried
	uint64_t pauses;  // for want of descriptors, memory, flows, or a service that accepts
	uint64_t kernel_dropped; // by the kernel, at the listening sockets
	uint64_t backlog;        // clients that wait to be accepted
};
#define RK_ENGINE_STATS_INIT                                                                       \
	{                                                                                          \
		sizeof(struct rk_engine_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
			0                                                                          \
	}

// "0.1.0": the library's.
RK_ENGINE_API const char *rk_engine_version(void);

// Joins the namespace through the helper and starts the workers. *options is copied.
RK_ENGINE_API int rk_engine_create(struct rk_engine **engine,
	const struct rk_engine_options *options, struct rk_engine_error *error);

// Publishes [HOST-IP]:HOST-PORT[:NAMESPACE-IP]:PORT/PROTOCOL: ":8080:80/tcp" on all addresses,
// "[::1]:8080:80/udp" on one; protocol tcp, tcp4, tcp6, udp, udp4 or udp6. When it returns, the
// host's socket accepts. `id` may be NULL. -EADDRINUSE, -EACCES (privileged port), -EEXIST
// (published here already), -EINVAL...
RK_ENGINE_API int rk_engine_add_port(
	struct rk_engine *engine, const char *spec, uint32_t *id, struct rk_engine_error *error);

// Returns when the host's socket is closed; open connections go on. -ENOENT: no such id.
RK_ENGINE_API int rk_engine_remove_port(
	struct rk_engine *engine, uint32_t id, struct rk_engine_error *error);

// Calls `each` for every port by ascending id, until it returns other than 0, which is then
// returned. `each` may call any function but rk_engine_destroy().
typedef int rk_engine_port_function(const struct rk_engine_port *port, void *context);
RK_ENGINE_API int rk_engine_list(struct rk_engine *engine, rk_engine_port_function *each,
	void *context, struct rk_engine_error *error);

// The counters of one port; stats->size says how many of them the caller knows.
RK_ENGINE_API int rk_engine_stats(struct rk_engine *engine, uint32_t id,
	struct rk_engine_stats *stats, struct rk_engine_error *error);

// Looks after the helper, in the calling thread, until rk_engine_stop() or until the process that
// is the target has ended (both 0), or the namespace cannot be joined again. Ports are forwarded
// without it, too, but a helper that dies is replaced only while it runs. One thread at a time
// (-EBUSY).
RK_ENGINE_API int rk_engine_run(struct rk_engine *engine, struct rk_engine_error *error);

// Makes rk_engine_run() return, now or when it is called. Safe in signal handlers.
RK_ENGINE_API void rk_engine_stop(struct rk_engine *engine);

// Closes everything, connections included; rk_engine_run() must have returned. NULL is allowed.
RK_ENGINE_API void rk_engine_destroy(struct rk_engine *engine);

#ifdef __cplusplus
}
#endif

#endif
