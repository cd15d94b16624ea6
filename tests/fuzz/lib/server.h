// server.h: a server on a UNIX socket that answers what the fuzzer says, for clients under test.
//
// It runs in a thread of its own. Each connection is read once, then gets the next of the answers
// whole, then its end; a connection for which there is no answer left is closed at once.
#pragma once

#include <stddef.h>
#include <stdint.h>

// In a fresh directory, which is removed at the end of the program.
const char *fuzz_server_directory(void);
// Starts listening on NAME in that directory, on the first call; returns the path.
const char *fuzz_server_path(const char *name);
// Answers from now on; they stand in the input one after the other, with a line "====" between.
void fuzz_server_answer(const uint8_t *data, size_t size);
// Waits until no connection is left.
void fuzz_server_settle(void);
