/* Busy time measured: shares, smoothing, what is news, and what stays for a while. */
#include "lease/measure.h"

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "support/slow.h"

#define ROUND_US (5 * LEAT_SECOND_US)

static struct leat_lease_key
key_of(const char *shard)
{
    return (struct leat_lease_key){leat_slice_from("s@1"), leat_slice_from(shard)};
}

/* What the array says of it, µs in a second. */
static int64_t
told(const struct leat_measure *measure, const char *shard)
{
    size_t count = leat_loads_count(leat_buf_slice(&measure->loads));
    struct leat_load loads[100];

    ck_assert_uint_le(count, 100);
    leat_loads_decode(leat_buf_slice(&measure->loads), loads);
    for (size_t i = 0; i < count; i++) {
        if (loads[i].hash == leat_load_hash(key_of(shard)))
            return leat_load_busy_us(loads[i].step);
    }
    return 0;
}

START_TEST(test_a_share_is_what_was_busy_of_the_time)
{
    struct leat_measure measure;
    int64_t now_us = LEAT_SECOND_US;

    leat_measure_init(&measure);
    leat_measure_shard(&measure, key_of("a"), 0, now_us);
    ck_assert(leat_measure_end(&measure, now_us)); /* the first is told, though it says nothing */
    ck_assert_uint_eq(measure.loads.size, 0);
    leat_measure_shard(&measure, key_of("a"), LEAT_SECOND_US, now_us += ROUND_US);
    ck_assert(leat_measure_end(&measure, now_us));
    ck_assert_double_eq_tol((double)told(&measure, "a"), 200000, 5000);
    /* Twice as busy: half of the way in a round. */
    leat_measure_shard(&measure, key_of("a"), 3 * LEAT_SECOND_US, now_us += ROUND_US);
    ck_assert(leat_measure_end(&measure, now_us));
    ck_assert_double_eq_tol((double)told(&measure, "a"), 300000, 8000);
    leat_measure_release(&measure);
}
END_TEST

/* Ten shards or ten thousand: an idle fleet has no news after the first round. */
START_TEST(test_idle_shards_are_no_news)
{
    struct leat_measure measure;
    int64_t now_us = LEAT_SECOND_US;

    leat_measure_init(&measure);
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < 10000; i += test_skips_slow() ? 50 : 1) {
            char shard[16];

            snprintf(shard, sizeof shard, "%zu", i);
            leat_measure_shard(&measure, key_of(shard), (int64_t)round * 100, now_us);
        }
        ck_assert(leat_measure_end(&measure, now_us) == (round == 0));
        ck_assert_uint_eq(measure.loads.size, 0);
        now_us += ROUND_US;
    }
    leat_measure_release(&measure);
}
END_TEST

/* Busy by 50 ms a second, more or less by a twentieth: hardly ever told anew. */
START_TEST(test_noise_is_no_news)
{
    struct leat_measure measure;
    struct leat_random random;
    int64_t now_us = LEAT_SECOND_US, total_us = 0;
    size_t news = 0;

    leat_random_seed(&random, 5);
    leat_measure_init(&measure);
    for (size_t round = 0; round < 1000; round++) {
        total_us += 237500 + (int64_t)leat_random_below(&random, 25000);
        leat_measure_shard(&measure, key_of("a"), total_us, now_us += ROUND_US);
        news += leat_measure_end(&measure, now_us);
    }
    ck_assert_uint_le(news, 30);
    leat_measure_release(&measure);
}
END_TEST

START_TEST(test_a_shard_that_left_stays_for_half_a_minute)
{
    struct leat_measure measure;
    int64_t now_us = LEAT_SECOND_US;

    leat_measure_init(&measure);
    leat_measure_shard(&measure, key_of("a"), 0, now_us);
    leat_measure_end(&measure, now_us);
    leat_measure_shard(&measure, key_of("a"), LEAT_SECOND_US, now_us += ROUND_US);
    leat_measure_end(&measure, now_us);
    for (size_t round = 0; round < 5; round++) {
        ck_assert(!leat_measure_end(&measure, now_us += ROUND_US));
        ck_assert_int_gt(told(&measure, "a"), 0);
    }
    ck_assert(leat_measure_end(&measure, now_us += ROUND_US));
    ck_assert_int_eq(told(&measure, "a"), 0);
    ck_assert_uint_eq(measure.shards.count, 0);
    leat_measure_release(&measure);
}
END_TEST

/* It left and came back, and its totals begin anew: no share of what lies between. */
START_TEST(test_a_shard_that_came_back_begins_anew)
{
    struct leat_measure measure;
    int64_t now_us = LEAT_SECOND_US;

    leat_measure_init(&measure);
    leat_measure_shard(&measure, key_of("a"), 0, now_us);
    leat_measure_end(&measure, now_us);
    leat_measure_shard(&measure, key_of("a"), LEAT_SECOND_US, now_us += ROUND_US);
    leat_measure_end(&measure, now_us);
    leat_measure_end(&measure, now_us += ROUND_US);
    leat_measure_shard(&measure, key_of("a"), 2 * LEAT_SECOND_US, now_us += ROUND_US);
    ck_assert(!leat_measure_end(&measure, now_us)); /* still what is last known */
    leat_measure_shard(&measure, key_of("a"), 4 * LEAT_SECOND_US, now_us += ROUND_US);
    ck_assert(leat_measure_end(&measure, now_us));
    ck_assert_double_eq_tol((double)told(&measure, "a"), 400000, 10000);
    leat_measure_shard(&measure, key_of("a"), 100, now_us += ROUND_US); /* less than it was */
    ck_assert(!leat_measure_end(&measure, now_us));
    leat_measure_release(&measure);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("measure");
    TCase *tests = tcase_create("measure");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_a_share_is_what_was_busy_of_the_time);
    tcase_add_test(tests, test_idle_shards_are_no_news);
    tcase_add_test(tests, test_noise_is_no_news);
    tcase_add_test(tests, test_a_shard_that_left_stays_for_half_a_minute);
    tcase_add_test(tests, test_a_shard_that_came_back_begins_anew);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
