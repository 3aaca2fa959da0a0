/* /metrics: the worker's numbers in Prometheus' text format. Reads counters alone: no database, no AWS. Any thread. */
#ifndef LEAT_WORKER_METRICS_H
#define LEAT_WORKER_METRICS_H

#include "worker/parts.h"

void leat_metrics_render(struct leat_parts *parts, struct leat_buf *out);

#endif
