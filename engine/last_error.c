// last_error.c: the last thing that went wrong with a port, written and read without a lock.

#include "engine/last_error.h"

#include <sched.h>
#include <string.h>

const char *error_phase_name(enum rk_error_phase phase)
{
	static const char *const names[ERROR_PHASES] = {
		[ERROR_ACCEPT] = "accept",
		[ERROR_SOCKET] = "get a socket of the namespace",
		[ERROR_CONNECT] = "connect to the child",
		[ERROR_FROM_CLIENT] = "receive from the client",
		[ERROR_FROM_CHILD] = "receive from the child",
		[ERROR_TO_CLIENT] = "send to the client",
		[ERROR_TO_CHILD] = "send to the child",
		[ERROR_REMOVE] = "remove the port",
	};

	return phase < ERROR_PHASES ? names[phase] : "?";
}

void error_record_write(struct rk_error_record *record, enum rk_error_phase phase, int32_t code,
	const struct rk_addr *client, uint64_t now_ms)
{
	uint32_t sequence = atomic_load_explicit(&record->sequence, memory_order_relaxed);
	uint64_t words[ERROR_ADDR_WORDS] = {0};

	if (client)
		memcpy(words, client, sizeof(*client));
	atomic_store_explicit(&record->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&record->phase, phase, memory_order_relaxed);
	atomic_store_explicit(&record->code, code, memory_order_relaxed);
	atomic_store_explicit(&record->at_ms, now_ms, memory_order_relaxed);
	for (unsigned i = 0; i < ERROR_ADDR_WORDS; i++)
		atomic_store_explicit(&record->client[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&record->sequence, sequence + 2, memory_order_release);
}

static bool try_read(struct rk_error_record *record, struct rk_last_error *error, uint64_t words[])
{
	uint32_t before = atomic_load_explicit(&record->sequence, memory_order_acquire);

	error->phase = atomic_load_explicit(&record->phase, memory_order_relaxed);
	error->code = atomic_load_explicit(&record->code, memory_order_relaxed);
	error->at_ms = atomic_load_explicit(&record->at_ms, memory_order_relaxed);
	for (unsigned i = 0; i < ERROR_ADDR_WORDS; i++)
		words[i] = atomic_load_explicit(&record->client[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	return !(before & 1u) &&
	       before == atomic_load_explicit(&record->sequence, memory_order_relaxed);
}

void error_record_read(struct rk_error_record *record, struct rk_last_error *error)
{
	uint64_t words[ERROR_ADDR_WORDS];

	// The writer is done within some instructions, unless it was preempted there.
	while (!try_read(record, error, words))
		sched_yield();
	memcpy(&error->client, words, sizeof(error->client));
}
