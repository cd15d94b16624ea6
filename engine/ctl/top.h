// top.h: rootlessctl top: the busiest ports and clients, live.
//
// How it works: each round asks for /v1/stats and /v1/flows, compares with the round before and
// prints the rates, busiest first. On a terminal it has the screen until q or ctrl-C; with -b, or
// when the output is no terminal, frames follow each other as plain text, uncut.
#pragma once

#include "engine/ctl/commands.h"

int top_run(struct ctl_client *client, char *const *words, const struct ctl_options *options,
	struct rk_error *e);
