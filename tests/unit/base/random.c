/* Random numbers: bounds, repeatability, full jitter. */
#include "tests/unit/base/suite.h"

START_TEST(below_its_bound)
{
    struct leat_random random = suite_random();
    unsigned seen[10] = {0};

    for (int i = 0; i < 10 * CASES; i++) {
        uint64_t number = leat_random_below(&random, 10);

        ck_assert_uint_lt(number, 10);
        seen[number]++;
    }
    for (int i = 0; i < 10; i++)
        ck_assert(seen[i] > CASES * 9 / 10 && seen[i] < CASES * 11 / 10);
}
END_TEST

START_TEST(a_seed_repeats)
{
    struct leat_random a, b, c;

    leat_random_seed(&a, 1);
    leat_random_seed(&b, 1);
    leat_random_seed(&c, 2);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(leat_random_next(&a), leat_random_next(&b));
    ck_assert_uint_ne(leat_random_next(&a), leat_random_next(&c));
}
END_TEST

START_TEST(identities_are_positive)
{
    for (int i = 0; i < 1000; i++)
        ck_assert_int_gt(leat_random_identity(), 0);
}
END_TEST

START_TEST(backoff_has_a_cap)
{
    struct leat_random random = suite_random();
    int64_t largest = 0;

    for (int i = 0; i < CASES; i++) {
        int64_t second = leat_backoff_us(&random, 100, 1000, 1);
        int64_t late = leat_backoff_us(&random, 100, 1000, (unsigned)i * 1000);

        ck_assert(second >= 0 && second <= 200);
        ck_assert(late >= 0 && late <= 1000);
        largest = late > largest ? late : largest;
    }
    ck_assert_int_gt(largest, 990);
    ck_assert_int_eq(leat_backoff_us(&random, 0, 1000, 5), 0);
    ck_assert_int_ge(leat_backoff_us(&random, INT64_MAX / 2, INT64_MAX - 1, 3), 0);
}
END_TEST

SUITE_MAIN("random", below_its_bound, a_seed_repeats, identities_are_positive, backoff_has_a_cap)
