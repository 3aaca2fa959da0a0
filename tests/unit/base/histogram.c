/* A duration is in the first bucket that ends at or behind it, and all buckets sum up. */
#include "tests/unit/base/suite.h"

#include <string.h>

#include "base/clock.h"
#include "base/histogram.h"

START_TEST(durations_are_counted_where_they_belong)
{
    struct leat_histogram histogram = {0};
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    const char *text;

    leat_histogram_add(&histogram, -5);
    leat_histogram_add(&histogram, LEAT_MS_US);     /* the end of the first */
    leat_histogram_add(&histogram, LEAT_MS_US + 1); /* the second */
    leat_histogram_add(&histogram, 3 * LEAT_SECOND_US);
    leat_histogram_add(&histogram, 3600 * LEAT_SECOND_US);
    leat_histogram_render(&histogram, "x_seconds", "processor=\"p\"", &out);
    text = leat_buf_text(&out);
    ck_assert_ptr_nonnull(strstr(text, "x_seconds_bucket{processor=\"p\",le=\"0.001\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_seconds_bucket{processor=\"p\",le=\"0.005\"} 3\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_seconds_bucket{processor=\"p\",le=\"2.5\"} 3\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_seconds_bucket{processor=\"p\",le=\"5\"} 4\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_seconds_bucket{processor=\"p\",le=\"600\"} 4\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_seconds_bucket{processor=\"p\",le=\"+Inf\"} 5\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_seconds_sum{processor=\"p\"} 3603.002001\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_seconds_count{processor=\"p\"} 5\n"));
}
END_TEST

/* What is printed is what is counted by. */
START_TEST(the_ends_are_told_as_they_are)
{
    struct leat_histogram histogram = {0};
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;
    const char *at;

    leat_histogram_render(&histogram, "x", "", &out);
    at = leat_buf_text(&out);
    for (size_t i = 0; i < LEAT_HISTOGRAM_BUCKETS - 1; i++) {
        at = strstr(at, "le=\"") + strlen("le=\"");
        ck_assert_double_eq(strtod(at, NULL), (double)leat_histogram_ends_us[i] / 1e6);
    }
    ck_assert_ptr_nonnull(strstr(at, "x_bucket{le=\"+Inf\"} 0\n"));
}
END_TEST

START_TEST(the_ends_grow)
{
    for (size_t i = 1; i < LEAT_HISTOGRAM_BUCKETS - 1; i++)
        ck_assert_int_gt(leat_histogram_ends_us[i], leat_histogram_ends_us[i - 1]);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {durations_are_counted_where_they_belong,
                                  the_ends_are_told_as_they_are, the_ends_grow};

    return suite_run("base/histogram", tests, LEAT_COUNT_OF(tests));
}
