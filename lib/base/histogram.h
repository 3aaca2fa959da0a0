/* Durations in buckets, as Prometheus has them. Added to by any thread, without a lock. */
#ifndef LEAT_BASE_HISTOGRAM_H
#define LEAT_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"

#define LEAT_HISTOGRAM_BUCKETS 16 /* the last one has no end */

struct leat_histogram {
    _Atomic uint64_t counts[LEAT_HISTOGRAM_BUCKETS];
    _Atomic uint64_t sum_us;
};

/* The ends of the buckets but the last, µs: 1 ms to 10 minutes. */
extern const int64_t leat_histogram_ends_us[LEAT_HISTOGRAM_BUCKETS - 1];

/* A negative duration counts as 0. */
void leat_histogram_add(struct leat_histogram *histogram, int64_t duration_us);
/* name_bucket{labels,le="…"}, name_sum and name_count, in seconds. labels: "processor=\"p\"", or "". */
void leat_histogram_render(const struct leat_histogram *histogram, const char *name,
                           const char *labels, struct leat_buf *out);

#endif
