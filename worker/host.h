/*
 * What a plugin is given as its host: log lines that name it, counters and gauges that /metrics shows, the order of sequence
 * numbers, the time. One per configured plugin. Every function may be called from any thread.
 */
#ifndef LEAT_WORKER_HOST_H
#define LEAT_WORKER_HOST_H

#include <leat/host.h>

#include "base/buf.h"

struct leat_plugin_host;

/* name: the processor's, as configured; kind: how log lines name it. */
struct leat_plugin_host *leat_plugin_host_new(const char *kind, const char *name);
void leat_plugin_host_free(struct leat_plugin_host *host); /* NULL is fine */
const struct leat_host *leat_plugin_host_table(struct leat_plugin_host *host);
/* Its counters and gauges: the name as /metrics has it. Under the host's lock: each must not block. */
void leat_plugin_host_each_metric(struct leat_plugin_host *host,
                                  void (*each)(void *context, const char *name, bool is_gauge,
                                               double value),
                                  void *context);

#endif
