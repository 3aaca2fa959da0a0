/* What /metrics is put together from; metrics.c calls them in order. Each adds whole families. */
#ifndef LEAT_WORKER_METRICS_PARTS_H
#define LEAT_WORKER_METRICS_PARTS_H

#include "worker/parts.h"

/* metrics_streams.c: by processor, and by processor and stream. */
void leat_metrics_add_streams(struct leat_parts *parts, struct leat_buf *out);
/* metrics_shards.c: lag, standing and states of the shards that this worker holds. */
void leat_metrics_add_shards(struct leat_parts *parts, struct leat_buf *out);
/* metrics_process.c: what any process has. */
void leat_metrics_add_process(struct leat_buf *out);
/* metrics_plugins.c */
void leat_metrics_add_plugins(struct leat_parts *parts, struct leat_buf *out);

/* metrics.c: the head of a line of the table. */
void leat_metrics_head(struct leat_buf *out, const char *name);
void leat_metrics_add(struct leat_buf *out, const char *name, double value); /* without labels */

#endif
