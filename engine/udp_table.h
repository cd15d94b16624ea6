// udp_table.h: find the flow of a client.
#pragma once

#include "engine/udp.h"

// What identifies a flow.
struct rk_udp_key {
	const struct rk_listener *listener;
	const struct rk_addr *client;
	const struct in6_pktinfo *local;
};

uint32_t udp_table_hash(const struct rk_udp_table *table, const struct rk_udp_key *key);
struct rk_udp_flow *udp_table_find(
	struct rk_worker *worker, const struct rk_udp_key *key, uint32_t hash);
void udp_table_insert(struct rk_udp_table *table, struct rk_udp_flow *flow); // by flow->hash
void udp_table_remove(struct rk_worker *worker, struct rk_udp_flow *flow);
