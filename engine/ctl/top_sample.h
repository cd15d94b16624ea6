// top_sample.h: what top knows of ports and clients in one moment, and their rates since another.
#pragma once

#include "base/error.h"
#include "engine/ctl/client.h"

#include <stdbool.h>
#include <stddef.h>

#define TOP_TEXT_MAX 160

struct top_rates {
	double connections, failed, in, out, dropped; // a second; in and out: bytes
};

struct top_port {
	double id, open;
	char proto[8];
	char parent[80];
	char state[16];
	char error[TOP_TEXT_MAX];
	struct top_rates total; // since the engine started
	struct top_rates rate;
};

struct top_client {
	char address[64]; // without the port
	unsigned flows;
	double in, out; // bytes of its present flows
	double rate;    // bytes a second, both ways
};

struct top_sample {
	double time; // seconds
	struct top_port *ports;
	size_t port_count;
	struct top_client *clients;
	size_t client_count;
	bool truncated; // not all flows were counted
};

int top_sample_take(struct top_sample *sample, struct ctl_client *client, struct rk_error *e);
void top_sample_free(struct top_sample *sample);
// Fills the rates of `now` since `before`; both in the order in which they were taken.
void top_sample_compare(struct top_sample *now, const struct top_sample *before);
// Busiest first, for showing; and back, for comparing.
void top_sample_sort(struct top_sample *sample);
void top_sample_restore(struct top_sample *sample);
