/*
 * Metrics in Prometheus' text format 0.0.4: one head a name, then all its samples. Whoever renders keeps them together; what
 * is written here keeps each line well formed, whatever bytes a label or a number is made of (a scraper drops the whole
 * page for one bad line).
 */
#ifndef LEAT_BASE_EXPOSITION_H
#define LEAT_BASE_EXPOSITION_H

#include <stdint.h>

#include "base/buf.h"

void leat_exposition_head(struct leat_buf *out, const char *name, const char *type,
                          const char *help);
/* Behind what is there: `processor="a",stream="b"`. Bytes that are no UTF-8 are shown as U+FFFD. */
void leat_exposition_label(struct leat_buf *labels, const char *name, struct leat_slice value);
/* labels: of leat_exposition_label, or "". */
void leat_exposition_sample(struct leat_buf *out, const char *name, const char *labels,
                            double value);
void leat_exposition_count(struct leat_buf *out, const char *name, const char *labels,
                           uint64_t value);

/* A number and the line's end: for whoever has the rest of the line at hand. */
void leat_exposition_end(struct leat_buf *out, uint64_t value);

#endif
