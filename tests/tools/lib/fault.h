// fault.h: what tests/tools/fault.c tells the library tests/tools/preload/fault.c: which call
// fails, how, in which process. It is a file that both map, so a fault can be switched while
// programs run.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define FAULT_ANY  "*"
#define FAULT_KILL (-1) // instead of an error: SIGKILL for the caller
#define FAULT_STOP (-2) // ... SIGSTOP; once it goes on the call is made as if nothing had been

struct fault_state {
	_Atomic uint32_t active;
	int32_t error;    // errno of the call, FAULT_KILL or FAULT_STOP
	char call[32];    // a function of libc or liburing, or FAULT_ANY
	char process[16]; // the name of the calling process, or FAULT_ANY
	// The calls that match are counted from 0: `skip` of them go well, then of the following
	// `count` every `every`-th fails.
	uint32_t skip, count, every;
	_Atomic uint32_t seen;          // calls that matched
	_Atomic uint32_t hits;          // ... and failed
	_Atomic int64_t clock_offset_s; // added to CLOCK_REALTIME
};
