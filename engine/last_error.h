// last_error.h: the last thing that went wrong with a port: what, for which client, when and where.
//
// How it works: one writer (the worker) and any number of readers, without a lock. `sequence` is
// odd while the record changes; a reader that saw it odd, or saw it change, reads again. The writer
// never waits. All fields are relaxed atomics between the two fences of the sequence.
#pragma once

#include "base/addr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum rk_error_phase {
	ERROR_ACCEPT,      // accepting, or receiving from clients of UDP
	ERROR_SOCKET,      // getting a socket of the namespace
	ERROR_CONNECT,     // connecting to the child
	ERROR_FROM_CLIENT, // receiving
	ERROR_FROM_CHILD,
	ERROR_TO_CLIENT, // sending
	ERROR_TO_CHILD,
	ERROR_REMOVE, // removing the port
	ERROR_PHASES
};

struct rk_last_error {
	int32_t code; // errno, 0 = nothing has gone wrong
	enum rk_error_phase phase;
	struct rk_addr client; // AF_UNSPEC: of no client
	uint64_t at_ms;        // CLOCK_MONOTONIC
};

#define ERROR_ADDR_WORDS ((sizeof(struct rk_addr) + 7) / 8)

struct rk_error_record {
	_Atomic uint32_t sequence;
	_Atomic uint32_t phase;
	_Atomic int32_t code;
	_Atomic uint64_t at_ms;
	_Atomic uint64_t client[ERROR_ADDR_WORDS];
};

// "connect to the child" and so on.
const char *error_phase_name(enum rk_error_phase phase);
// Worker: `client` NULL = of no client.
void error_record_write(struct rk_error_record *record, enum rk_error_phase phase, int32_t code,
	const struct rk_addr *client, uint64_t now_ms);
// Any thread: a consistent copy.
void error_record_read(struct rk_error_record *record, struct rk_last_error *error);
