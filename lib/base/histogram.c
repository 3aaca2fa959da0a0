/* Buckets are counted apart and summed when they are shown: an addition touches two numbers. */
#include "base/histogram.h"

#include "base/clock.h"

const int64_t leat_histogram_ends_us[LEAT_HISTOGRAM_BUCKETS - 1] = {
    1 * LEAT_MS_US,      5 * LEAT_MS_US,       10 * LEAT_MS_US,      25 * LEAT_MS_US,
    50 * LEAT_MS_US,     100 * LEAT_MS_US,     250 * LEAT_MS_US,     500 * LEAT_MS_US,
    1 * LEAT_SECOND_US,  2500 * LEAT_MS_US,    5 * LEAT_SECOND_US,   10 * LEAT_SECOND_US,
    30 * LEAT_SECOND_US, 120 * LEAT_SECOND_US, 600 * LEAT_SECOND_US,
};

void
leat_histogram_add(struct leat_histogram *histogram, int64_t duration_us)
{
    size_t bucket = 0;

    if (duration_us < 0)
        duration_us = 0;
    while (bucket < LEAT_HISTOGRAM_BUCKETS - 1 && duration_us > leat_histogram_ends_us[bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum_us += (uint64_t)duration_us;
}

void
leat_histogram_render(const struct leat_histogram *histogram, const char *name, const char *labels,
                      struct leat_buf *out)
{
    const char *comma = *labels != '\0' ? "," : "";
    uint64_t total = 0, sum_us = histogram->sum_us;

    for (size_t i = 0; i < LEAT_HISTOGRAM_BUCKETS; i++) {
        uint64_t count = histogram->counts[i];

        total += count;
        if (i < LEAT_HISTOGRAM_BUCKETS - 1)
            leat_buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, labels, comma,
                            (double)leat_histogram_ends_us[i] / 1e6, (unsigned long long)total);
        else
            leat_buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma,
                            (unsigned long long)total);
    }
    leat_buf_printf(out, "%s_sum{%s} %.6f\n%s_count{%s} %llu\n", name, labels, (double)sum_us / 1e6,
                    name, labels, (unsigned long long)total);
}
