/* Buckets are counted apart and summed when they are shown: an addition touches two numbers. */
#include "base/histogram.h"

#include "base/clock.h"
#include "base/exposition.h"

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
    /* leat_histogram_ends_us in seconds; not printed anew for each of thousands of lines. */
    static const char *const ends[LEAT_HISTOGRAM_BUCKETS] = {
        "0.001", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5",
        "1",     "2.5",   "5",    "10",    "30",   "120", "600",  "+Inf"};
    uint64_t total = 0, sum_us = histogram->sum_us;
    LEAT_AUTO_BUF start = LEAT_BUF_INIT;

    leat_buf_printf(&start, "%s_bucket{%s%sle=\"", name, labels, *labels != '\0' ? "," : "");
    for (size_t i = 0; i < LEAT_HISTOGRAM_BUCKETS; i++) {
        total += histogram->counts[i];
        leat_buf_add_slice(out, leat_buf_slice(&start));
        leat_buf_add_text(out, ends[i]);
        leat_buf_add_text(out, "\"} ");
        leat_exposition_end(out, total);
    }
    leat_buf_printf(out, "%s_sum{%s} %.6f\n%s_count{%s} ", name, labels, (double)sum_us / 1e6, name,
                    labels);
    leat_exposition_end(out, total);
}
