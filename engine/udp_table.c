// udp_table.c: find the flow of a client: a hash table with chains through the flow slots.

#include "engine/udp_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

// One step of a multiply-and-fold hash; seeded, so that clients cannot aim for one bucket.
static uint64_t mix(uint64_t state, uint64_t word)
{
	unsigned __int128 product = (unsigned __int128)(state ^ word) * 0x9e3779b97f4a7c15ull;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint32_t udp_table_hash(const struct rk_udp_table *table, const struct rk_udp_key *key)
{
	uint64_t words[2] = {0, 0};
	uint64_t local[2];
	uint64_t state = mix(table->seed, key->listener->slot);

	if (key->client->sa.sa_family == AF_INET)
		memcpy(words, &key->client->in4.sin_addr, sizeof(struct in_addr));
	else
		memcpy(words, &key->client->in6.sin6_addr, sizeof(struct in6_addr));
	memcpy(local, &key->local->ipi6_addr, sizeof(local));
	state = mix(state, words[0]);
	state = mix(state, words[1] ^ addr_port(key->client));
	state = mix(state, local[0]);
	return (uint32_t)mix(state, local[1]);
}

static bool flow_matches(const struct rk_udp_flow *flow, const struct rk_udp_key *key)
{
	return flow->listener == key->listener && addr_equal(&flow->client, key->client) &&
	       memcmp(&flow->local, key->local, sizeof(flow->local)) == 0;
}

struct rk_udp_flow *udp_table_find(
	struct rk_worker *worker, const struct rk_udp_key *key, uint32_t hash)
{
	struct rk_udp_table *table = worker->udp_table;
	uint32_t index = table->buckets[hash & table->mask];

	while (index != 0) {
		struct rk_udp_flow *flow =
			(struct rk_udp_flow *)slab_at(&worker->udp_flows, index - 1);

		if (flow->hash == hash && flow_matches(flow, key))
			return flow;
		index = flow->next;
	}
	return NULL;
}

void udp_table_insert(struct rk_udp_table *table, struct rk_udp_flow *flow)
{
	uint32_t *bucket = &table->buckets[flow->hash & table->mask];

	flow->next = *bucket;
	*bucket = flow->slot.index + 1;
}

void udp_table_remove(struct rk_worker *worker, struct rk_udp_flow *flow)
{
	struct rk_udp_table *table = worker->udp_table;
	uint32_t *link = &table->buckets[flow->hash & table->mask];

	while (*link != flow->slot.index + 1)
		link = &((struct rk_udp_flow *)slab_at(&worker->udp_flows, *link - 1))->next;
	*link = flow->next;
}

int udp_table_open(struct rk_worker *worker)
{
	struct rk_udp_table *table = calloc(1, sizeof(*table));
	uint32_t count = 1024;

	if (!table)
		return -ENOMEM;
	while (count < worker->options.max_flows)
		count *= 2;
	table->mask = count - 1;
	table->buckets = calloc(count, sizeof(*table->buckets));
	if (!table->buckets || getrandom(&table->seed, sizeof(table->seed), 0) < 0) {
		free(table->buckets);
		free(table);
		return -ENOMEM;
	}
	list_init(&table->starved);
	list_init(&table->overdue);
	list_init(&table->starved_listeners);
	worker->udp_table = table;
	return 0;
}

void udp_table_close(struct rk_worker *worker)
{
	if (!worker->udp_table)
		return;
	free(worker->udp_table->buckets);
	free(worker->udp_table);
	worker->udp_table = NULL;
}
