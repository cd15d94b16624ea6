// worker_report.h: a worker's figures and flows, for the control thread.
//
// The worker fills memory of the control thread, which waits. A piece of the list of flows looks at
// no more than a bounded number of slots, so that a list of many flows holds nobody up.
#pragma once

#include "engine/worker.h"

void worker_report_stats(struct rk_worker *worker, struct rk_worker_stats *stats);
// Appends to list->items until it is full, one piece is done, or list->ended.
void worker_report_flows(struct rk_worker *worker, struct rk_flow_list *list);
