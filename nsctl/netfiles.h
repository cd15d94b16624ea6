// netfiles.h: what nsctl writes about the network into the state directory, and reads back.
#pragma once

#include "base/error.h"
#include "base/msg.h"
#include "base/statedir.h"

#include <stddef.h>

// Writes resolv.conf and hosts for the child. Without a DNS server in *info resolv.conf names
// none, so that look-ups fail at once. 0 or -code with *e.
int netfiles_write_names(
	const struct rk_state_dir *dir, const struct rk_network_info *info, struct rk_error *e);

// Writes the file `network` (KEY=VALUE lines), from which `nsctl status` reports.
int netfiles_write_network(
	const struct rk_state_dir *dir, const struct rk_network_info *info, struct rk_error *e);

// Reads the text of `network`; unknown keys and cut lines are passed over.
void netfiles_parse_network(struct rk_network_info *info, const char *text, size_t length);
