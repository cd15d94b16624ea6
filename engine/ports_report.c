// ports_report.c: what the published ports are and how they fare: lists, states, figures, flows.

#include "engine/ports_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// -ENOENT: the plane does not know the port.
static int read_stats(struct rk_ports *ports, uint32_t id, struct rk_port_stats *stats)
{
	*stats = (struct rk_port_stats){.state = PORT_LISTENING};
	return ports->backend ? 0 : plane_stats(ports->plane, id, stats);
}

ssize_t ports_list(struct rk_ports *ports, struct rk_port **list, struct rk_error *e)
{
	ssize_t count = ports_check_driver(ports, e);

	if (count < 0)
		return count;
	pthread_mutex_lock(&ports->lock);
	*list = calloc(ports->count + 1, sizeof(**list));
	if (*list) {
		count = (ssize_t)ports->count;
		if (count > 0)
			memcpy(*list, ports->items, ports->count * sizeof(**list));
	} else {
		count = error_errno(e, ENOMEM, "list of %zu ports", ports->count);
	}
	pthread_mutex_unlock(&ports->lock);
	return count;
}

ssize_t ports_report(struct rk_ports *ports, struct rk_port_report **list, struct rk_error *e)
{
	ssize_t count = ports_check_driver(ports, e);

	if (count < 0)
		return count;
	pthread_mutex_lock(&ports->lock);
	*list = calloc(ports->count + 1, sizeof(**list));
	if (!*list)
		count = error_errno(e, ENOMEM, "report of %zu ports", ports->count);
	for (size_t i = 0; *list && i < ports->count; i++) {
		struct rk_port_report *report = &(*list)[count];

		report->port = ports->items[i];
		// A port that the plane does not know is none to report on.
		if (read_stats(ports, report->port.id, &report->stats) < 0)
			continue;
		ports_leaving_report(&report->port, &report->stats);
		count++;
	}
	pthread_mutex_unlock(&ports->lock);
	return count;
}

ssize_t ports_worker_stats(
	struct rk_ports *ports, struct rk_worker_stats **list, struct rk_error *e)
{
	uint32_t count = ports->plane ? plane_worker_count(ports->plane) : 0;

	*list = calloc(count + 1u, sizeof(**list));
	if (!*list)
		return error_errno(e, ENOMEM, "figures of %u workers", count);
	pthread_mutex_lock(&ports->lock);
	for (uint32_t i = 0; i < count; i++)
		plane_worker_stats(ports->plane, i, &(*list)[i]);
	pthread_mutex_unlock(&ports->lock);
	return count;
}

ssize_t ports_flows(struct rk_ports *ports, uint32_t id, struct rk_flow_info **list,
	bool *truncated, struct rk_error *e)
{
	ssize_t count = 0;

	*truncated = false;
	*list = calloc(PLANE_FLOWS_MAX, sizeof(**list));
	if (!*list)
		return error_errno(e, ENOMEM, "list of flows");
	pthread_mutex_lock(&ports->lock);
	if (id && !ports_find(ports, id))
		count = ports_unknown_id(id, e);
	else if (ports->plane)
		count = (ssize_t)plane_flows(ports->plane, id, *list, PLANE_FLOWS_MAX, truncated);
	pthread_mutex_unlock(&ports->lock);
	return count;
}
