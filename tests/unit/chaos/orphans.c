/* For how long a lease is an orphan: only while somebody could take it. */
#include "chaos/orphans.h"

#include "tests/unit/base/suite.h"

START_TEST(counts_from_the_last_of_three)
{
    ck_assert_int_eq(chaos_orphan_for(100, 10, 20, 30), 70);
    ck_assert_int_eq(chaos_orphan_for(100, 10, 30, 20), 70);
    ck_assert_int_eq(chaos_orphan_for(100, 40, 30, 20), 60);
    ck_assert_int_eq(chaos_orphan_for(100, 100, 1, 1), 0);
}
END_TEST

START_TEST(is_none)
{
    ck_assert_int_eq(chaos_orphan_for(100, 0, 20, 30), 0); /* it has an owner */
    ck_assert_int_eq(chaos_orphan_for(100, 10, 0, 30), 0); /* nobody is there */
    ck_assert_int_eq(chaos_orphan_for(100, 10, 20, 0), 0); /* the database is away */
    ck_assert_int_eq(chaos_orphan_for(100, 10, 20, 101), 0);
}
END_TEST

START_TEST(never_more_than_any_of_the_three)
{
    struct leat_random random = suite_random();

    for (int i = 0; i < CASES; i++) {
        int64_t now = 1 + (int64_t)leat_random_below(&random, 1000);
        int64_t since[3], found;

        for (int s = 0; s < 3; s++)
            since[s] = (int64_t)leat_random_below(&random, (uint64_t)now + 1);
        found = chaos_orphan_for(now, since[0], since[1], since[2]);
        for (int s = 0; s < 3; s++)
            ck_assert(found >= 0 && found <= now - since[s]);
    }
}
END_TEST

SUITE_MAIN("orphans", counts_from_the_last_of_three, is_none, never_more_than_any_of_the_three)
