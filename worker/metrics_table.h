/* Every metric there is: name, type, labels, unit, meaning, and what to alert on. */
#ifndef LEAT_WORKER_METRICS_TABLE_H
#define LEAT_WORKER_METRICS_TABLE_H

#include "base/buf.h"

struct leat_metric {
    const char *name;
    const char *type; /* counter, gauge, histogram */
    const char *labels, *unit;
    const char *text;
    const char *alert; /* "": nothing that anybody must be woken for */
};

extern const struct leat_metric leat_metrics_table[]; /* ends with name NULL */

/* One that is not there is a programming error. */
const struct leat_metric *leat_metric_find(const char *name);
/* docs/metrics.md. */
void leat_metrics_page(struct leat_buf *out);

#endif
