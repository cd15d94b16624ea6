// clock.h: moments of CLOCK_MONOTONIC, and how people are told of them.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Room for "2026-11-26T22:01:02.345Z", with the NUL.
#define CLOCK_TEXT_MAX 32

int64_t clock_now_ms(void); // CLOCK_MONOTONIC; signed, as what is left until a deadline
// The same moment since 1970, by what the wall clock says now.
uint64_t clock_wall_ms(uint64_t monotonic_ms);
// ... in RFC 3339. Returns `text`.
const char *clock_format(uint64_t monotonic_ms, char *text, size_t size);
