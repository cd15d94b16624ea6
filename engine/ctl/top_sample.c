// top_sample.c: what top knows of ports and clients in one moment, and their rates since another.

#include "engine/ctl/top_sample.h"
#include "engine/ctl/show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double number(const cJSON *object, const char *group, const char *name)
{
	const cJSON *member = group ? cJSON_GetObjectItemCaseSensitive(object, group) : object;

	member = cJSON_GetObjectItemCaseSensitive(member, name);
	return cJSON_IsNumber(member) ? member->valuedouble : 0;
}

static const char *text(const cJSON *object, const char *name)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(member) ? member->valuestring : "";
}

static void read_port(struct top_port *port, const cJSON *item)
{
	const cJSON *spec = cJSON_GetObjectItemCaseSensitive(item, "spec");
	const char *ip = text(spec, "parentIP");
	bool ipv6 = strchr(ip, ':');

	port->id = number(item, NULL, "id");
	port->open = number(item, "connections", "open");
	snprintf(port->proto, sizeof(port->proto), "%s", text(spec, "proto"));
	snprintf(port->parent, sizeof(port->parent), "%s%s%s:%.0f", ipv6 ? "[" : "", ip,
		ipv6 ? "]" : "", number(spec, NULL, "parentPort"));
	snprintf(port->state, sizeof(port->state), "%s", text(item, "state"));
	show_last_error(cJSON_GetObjectItemCaseSensitive(item, "lastError"), port->error,
		sizeof(port->error));
	port->total = (struct top_rates){
		.connections = number(item, "connections", "total"),
		.failed = number(item, "connections", "refused") +
			  number(item, "connections", "failed"),
		.in = number(item, "bytes", "in"),
		.out = number(item, "bytes", "out"),
		.dropped = number(item, "datagrams", "dropped"),
	};
}

static int read_ports(struct top_sample *sample, const cJSON *array, struct rk_error *e)
{
	size_t count = cJSON_IsArray(array) ? (size_t)cJSON_GetArraySize(array) : 0;
	const cJSON *item;

	sample->ports = calloc(count + 1, sizeof(*sample->ports));
	if (!sample->ports)
		return error_errno(e, ENOMEM, "figures of %zu ports", count);
	cJSON_ArrayForEach(item, array)
	{
		read_port(&sample->ports[sample->port_count++], item);
	}
	return 0;
}

static int by_address(const void *left, const void *right)
{
	return strcmp(((const struct top_client *)left)->address,
		((const struct top_client *)right)->address);
}

// One entry for all flows of one address; the list is sorted by address then.
static void merge_clients(struct top_sample *sample)
{
	size_t kept = 0;

	qsort(sample->clients, sample->client_count, sizeof(*sample->clients), by_address);
	for (size_t i = 0; i < sample->client_count; i++) {
		struct top_client *client = &sample->clients[i];

		if (kept > 0 && by_address(&sample->clients[kept - 1], client) == 0) {
			sample->clients[kept - 1].flows++;
			sample->clients[kept - 1].in += client->in;
			sample->clients[kept - 1].out += client->out;
		} else {
			sample->clients[kept++] = *client;
		}
	}
	sample->client_count = kept;
}

static int read_clients(struct top_sample *sample, const cJSON *answer, struct rk_error *e)
{
	const cJSON *array = cJSON_GetObjectItemCaseSensitive(answer, "flows");
	size_t count = cJSON_IsArray(array) ? (size_t)cJSON_GetArraySize(array) : 0;
	const cJSON *item;

	sample->truncated = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "truncated"));
	sample->clients = calloc(count + 1, sizeof(*sample->clients));
	if (!sample->clients)
		return error_errno(e, ENOMEM, "list of %zu flows", count);
	cJSON_ArrayForEach(item, array)
	{
		struct top_client *client = &sample->clients[sample->client_count];
		const char *address = text(item, "client");
		const char *port = strrchr(address, ':');

		if (!port)
			continue;
		snprintf(client->address, sizeof(client->address), "%.*s", (int)(port - address),
			address);
		client->flows = 1;
		client->in = number(item, "bytes", "in");
		client->out = number(item, "bytes", "out");
		sample->client_count++;
	}
	merge_clients(sample);
	return 0;
}

int top_sample_take(struct top_sample *sample, struct ctl_client *client, struct rk_error *e)
{
	cJSON *ports = NULL;
	cJSON *flows = NULL;
	struct timespec now;
	int rc;

	memset(sample, 0, sizeof(*sample));
	rc = client_request(client, "GET", "/v1/stats", NULL, &ports, e);
	clock_gettime(CLOCK_MONOTONIC, &now);
	sample->time = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	if (rc == 0)
		rc = client_request(client, "GET", "/v1/flows", NULL, &flows, e);
	if (rc == 0)
		rc = read_ports(sample, ports, e);
	if (rc == 0)
		rc = read_clients(sample, flows, e);
	cJSON_Delete(ports);
	cJSON_Delete(flows);
	if (rc < 0)
		top_sample_free(sample);
	return rc;
}

void top_sample_free(struct top_sample *sample)
{
	free(sample->ports);
	free(sample->clients);
	memset(sample, 0, sizeof(*sample));
}

static int by_id(const void *left, const void *right)
{
	double a = ((const struct top_port *)left)->id, b = ((const struct top_port *)right)->id;

	return (a > b) - (a < b);
}

static int by_port_rate(const void *left, const void *right)
{
	const struct top_port *a = left, *b = right;
	double first = a->rate.in + a->rate.out, second = b->rate.in + b->rate.out;

	return first != second ? (first < second) - (first > second) : by_id(left, right);
}

static int by_client_rate(const void *left, const void *right)
{
	const struct top_client *a = left, *b = right;

	return a->rate != b->rate ? (a->rate < b->rate) - (a->rate > b->rate)
				  : strcmp(a->address, b->address);
}

// What ended in between makes a sum smaller.
static double rate_of(double now, double before, double seconds)
{
	return now > before && seconds > 0 ? (now - before) / seconds : 0;
}

static void compare_port(struct top_port *port, const struct top_port *before, double seconds)
{
	const struct top_rates none = {0};
	const struct top_rates *from = before ? &before->total : &none;

	port->rate.connections = rate_of(port->total.connections, from->connections, seconds);
	port->rate.failed = rate_of(port->total.failed, from->failed, seconds);
	port->rate.in = rate_of(port->total.in, from->in, seconds);
	port->rate.out = rate_of(port->total.out, from->out, seconds);
	port->rate.dropped = rate_of(port->total.dropped, from->dropped, seconds);
}

// The server lists ports by id, and `before` was not sorted otherwise.
void top_sample_compare(struct top_sample *now, const struct top_sample *before)
{
	double seconds = now->time - before->time;

	for (size_t i = 0; i < now->port_count; i++)
		compare_port(&now->ports[i],
			bsearch(&now->ports[i], before->ports, before->port_count,
				sizeof(*before->ports), by_id),
			seconds);
	for (size_t i = 0; i < now->client_count; i++) {
		struct top_client *client = &now->clients[i];
		const struct top_client *former = bsearch(client, before->clients,
			before->client_count, sizeof(*before->clients), by_address);

		client->rate = rate_of(
			client->in + client->out, former ? former->in + former->out : 0, seconds);
	}
}

void top_sample_sort(struct top_sample *sample)
{
	qsort(sample->ports, sample->port_count, sizeof(*sample->ports), by_port_rate);
	qsort(sample->clients, sample->client_count, sizeof(*sample->clients), by_client_rate);
}

void top_sample_restore(struct top_sample *sample)
{
	qsort(sample->ports, sample->port_count, sizeof(*sample->ports), by_id);
	qsort(sample->clients, sample->client_count, sizeof(*sample->clients), by_address);
}
