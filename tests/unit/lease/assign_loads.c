/* Assignment by measured load: busy time into a band, slow workers, hot shards, and nothing that flaps. */
#include "lease/assign.h"

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/leases.h"
#include "support/slow.h"

static void
check_band(const struct fleet *fleet, double band)
{
    int64_t sum = 0;

    for (size_t w = 0; w < fleet->worker_count; w++)
        sum += fleet_busy_us(fleet, w);
    for (size_t w = 0; w < fleet->worker_count; w++) {
        double share = (double)fleet_busy_us(fleet, w) * (double)fleet->worker_count / (double)sum;

        ck_assert_double_ge(share, 1 - band);
        ck_assert_double_le(share, 1 + band);
    }
}

/* A quarter of the shards is busy ten times as much as the others, and one worker has all of these. */
START_TEST(test_busy_time_is_evened_out_not_counts)
{
    struct fleet fleet;

    fleet_init(&fleet, 200, 4);
    for (size_t i = 0; i < 200; i++) {
        fleet.leases[i].lease_owner = (int64_t)(i / 50) + 1;
        fleet.leases[i].busy_us = i < 50 ? 1000000 : 100000;
    }
    ck_assert_uint_gt(fleet_pass(&fleet), 0);
    check_band(&fleet, 0.12);
    ck_assert_uint_gt(fleet_held(&fleet, 3), fleet_held(&fleet, 0) + 10);
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    fleet_release(&fleet);
}
END_TEST

/* A worker that is twice as slow has the same shards for twice the time: he ends with fewer. */
START_TEST(test_a_slow_worker_ends_with_fewer)
{
    struct fleet fleet;
    size_t moves = 0;

    fleet_init(&fleet, 300, 3);
    fleet_deal(&fleet, 3);
    for (size_t round = 0; round < 12; round++) {
        for (size_t i = 0; i < 300; i++)
            fleet.leases[i].busy_us = fleet.leases[i].lease_owner == 1 ? 40000 : 20000;
        fleet.balance.age_us = round == 0 ? 0 : leat_balance_wait_us(fleet.balance.repeats);
        moves += fleet_pass(&fleet);
    }
    ck_assert_uint_le(fleet_held(&fleet, 0),
                      78); /* 68 would be exact, with what an idle lease costs */
    ck_assert_uint_ge(fleet_held(&fleet, 0), 58);
    ck_assert_uint_le(moves, 60);
    fleet_release(&fleet);
}
END_TEST

START_TEST(test_weights_share_out_busy_time)
{
    struct fleet fleet;

    fleet_init(&fleet, 300, 3);
    fleet.workers[0].weight = 2;
    for (size_t i = 0; i < 300; i++)
        fleet.leases[i].busy_us = 5000 + (int64_t)(i % 10) * 10000;
    fleet_pass(&fleet);
    fleet_pass(&fleet);
    ck_assert_double_eq_tol((double)fleet_busy_us(&fleet, 0),
                            2.0 * (double)fleet_busy_us(&fleet, 1),
                            0.12 * (double)fleet_busy_us(&fleet, 0));
    fleet_release(&fleet);
}
END_TEST

/* Hotter than a whole fair share: alone, never moved, and the others are as even as without it. */
START_TEST(test_a_hot_shard_stands_alone)
{
    struct fleet fleet;
    int64_t owner;

    fleet_init(&fleet, 41, 5);
    fleet_deal(&fleet, 5);
    for (size_t i = 0; i < 41; i++)
        fleet.leases[i].busy_us = i == 7 ? 900000 : 20000;
    owner = fleet.leases[7].lease_owner;
    ck_assert_uint_gt(fleet_pass(&fleet), 0);
    fleet_pass(&fleet);
    ck_assert_int_eq(fleet.leases[7].lease_owner, owner);
    for (size_t w = 0; w < 5; w++)
        ck_assert_uint_eq(fleet_held(&fleet, w), (int64_t)w + 1 == owner ? 1 : 10);
    fleet.balance.age_us = 3600 * LEAT_SECOND_US;
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    /* Somebody joins: he gets some of the others, not the hot one. */
    fleet.workers[(owner + 1) % 5].state = LEAT_WORKER_DEAD;
    fleet_pass(&fleet);
    fleet.workers[(owner + 1) % 5].state = LEAT_WORKER_ALIVE;
    ck_assert_uint_gt(fleet_pass(&fleet), 0);
    ck_assert_int_eq(fleet.leases[7].lease_owner, owner);
    fleet_release(&fleet);
}
END_TEST

START_TEST(test_two_hot_shards_of_one_worker_part)
{
    struct fleet fleet;

    fleet_init(&fleet, 20, 4);
    for (size_t i = 0; i < 20; i++) {
        fleet.leases[i].lease_owner = i < 2 ? 1 : (int64_t)(i % 4) + 1;
        fleet.leases[i].busy_us = i < 2 ? 1000000 : 10000;
    }
    fleet_pass(&fleet);
    fleet_pass(&fleet);
    ck_assert_int_ne(fleet.leases[0].lease_owner, fleet.leases[1].lease_owner);
    fleet_release(&fleet);
}
END_TEST

/* Where nothing is known a lease counts as much as the known ones do. */
START_TEST(test_unknown_leases_are_average)
{
    struct fleet fleet;

    fleet_init(&fleet, 40, 2);
    for (size_t i = 0; i < 40; i++) {
        fleet.leases[i].lease_owner = i < 20 ? 1 : 0;
        fleet.leases[i].busy_us = i < 20 ? 10000 + (int64_t)(i % 5) * 20000 : -1;
    }
    fleet_pass(&fleet);
    ck_assert_uint_eq(fleet_held(&fleet, 0), 20);
    ck_assert_uint_eq(fleet_held(&fleet, 1), 20);
    fleet_release(&fleet);
}
END_TEST

/* A whole hour of load that walks about: how often and how much is moved. */
static void
walk(uint64_t seed, size_t *ret_acts, size_t *ret_moves)
{
    struct leat_random random;
    struct fleet fleet;

    leat_random_seed(&random, seed);
    fleet_init(&fleet, 200, 10);
    for (size_t i = 0; i < 200; i++)
        fleet.leases[i].busy_us = 5000 + (int64_t)leat_random_below(&random, 60000);
    fleet_pass(&fleet);
    *ret_acts = *ret_moves = 0;
    for (size_t second = 0; second < 3600; second += 10) {
        size_t moved;

        for (size_t i = 0; i < 200; i++) {
            int64_t busy_us = fleet.leases[i].busy_us *
                              (80 + (int64_t)leat_random_below(&random, 46)) / 100;

            fleet.leases[i].busy_us = busy_us < 2000 ? 2000 : busy_us > 400000 ? 400000 : busy_us;
        }
        fleet.balance.age_us += 10 * LEAT_SECOND_US;
        moved = fleet_pass(&fleet);
        *ret_acts += moved > 0;
        *ret_moves += moved;
    }
    fleet_release(&fleet);
}

START_TEST(test_load_that_walks_about_does_not_flap)
{
    size_t acts, moves;

    walk((uint64_t)_i + 1, &acts, &moves);
    /* At once, then after 30 s, 1, 2, 4, 8 and 10 minutes: eleven in an hour; some sooner, when it is far apart. */
    ck_assert_uint_ge(acts, 1);
    ck_assert_uint_le(acts, 18);
    ck_assert_uint_le(moves, 18 * 60);
}
END_TEST

START_TEST(test_noise_within_the_band_moves_nothing)
{
    struct leat_random random;
    struct fleet fleet;

    leat_random_seed(&random, 7);
    fleet_init(&fleet, 400, 8);
    for (size_t i = 0; i < 400; i++)
        fleet.leases[i].busy_us = 10000 + (int64_t)(i % 7) * 10000;
    fleet_pass(&fleet);
    fleet_pass(&fleet);
    for (size_t round = 0; round < 1000; round++) {
        for (size_t i = 0; i < 400; i++)
            fleet.leases[i].busy_us = (10000 + (int64_t)(i % 7) * 10000) *
                                      (90 + (int64_t)leat_random_below(&random, 21)) / 100;
        fleet.balance.age_us = 3600 * LEAT_SECOND_US;
        ck_assert_uint_eq(fleet_pass(&fleet), 0);
    }
    fleet_release(&fleet);
}
END_TEST

/* The first change at once, the next one later, whoever makes the pass; a join at once, and all begins anew. */
START_TEST(test_changes_for_loads_sake_back_off)
{
    struct fleet fleet;

    fleet_init(&fleet, 40, 4);
    fleet_pass(&fleet);
    for (size_t i = 0; i < 40; i++)
        fleet.leases[i].busy_us = fleet.leases[i].lease_owner == 1 ? 100000 : 10000;
    fleet.balance.age_us = 0;
    ck_assert_uint_gt(fleet_pass(&fleet), 0);
    ck_assert_uint_eq(fleet.balance.repeats, 1);
    for (size_t i = 0; i < 40; i++)
        fleet.leases[i].busy_us = fleet.leases[i].lease_owner == 2 ? 100000 : 10000;
    /* Ten times as busy as the others is far apart: a quarter of 30 s. */
    fleet.balance.age_us = 7 * LEAT_SECOND_US;
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    ck_assert(fleet.last.is_waiting);
    fleet.balance.age_us = 8 * LEAT_SECOND_US;
    ck_assert_uint_gt(fleet_pass(&fleet), 0);
    ck_assert_uint_eq(fleet.balance.repeats, 2);
    for (size_t i = 0; i < 40; i++)
        fleet.leases[i].busy_us = fleet.leases[i].lease_owner == 3 ? 100000 : 10000;
    fleet.workers[3].state = LEAT_WORKER_DEAD;
    ck_assert_uint_gt(fleet_pass(&fleet), 0);
    ck_assert_uint_eq(fleet.balance.repeats, 0);
    fleet_release(&fleet);
}
END_TEST

/* Load that begins everywhere at once is published by one worker after the other: it is looked at for a while. */
START_TEST(test_load_is_looked_at_before_it_is_acted_on)
{
    struct fleet fleet;

    fleet_init(&fleet, 40, 4);
    fleet_pass(&fleet);
    for (size_t i = 0; i < 40; i++)
        fleet.leases[i].busy_us = fleet.leases[i].lease_owner == 1 ? 100000 : 10000;
    fleet.waited_us = 0;
    fleet.balance.age_us = INT64_MAX;
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    ck_assert(fleet.last.is_waiting);
    fleet.waited_us = LEAT_BALANCE_SURE_US;
    ck_assert_uint_gt(fleet_pass(&fleet), 0);
    ck_assert(fleet.last.is_for_load && !fleet.last.is_waiting);
    fleet_release(&fleet);
}
END_TEST

/* A little out of the band waits for the whole of its time. */
START_TEST(test_a_little_apart_waits_the_whole_time)
{
    struct fleet fleet;

    fleet_init(&fleet, 200, 2);
    fleet_pass(&fleet);
    for (size_t i = 0; i < 200; i++)
        fleet.leases[i].busy_us = (fleet.leases[i].lease_owner == 1 ? 12000 : 10000) *
                                  (int64_t)(i % 7 + 1);
    fleet.balance.repeats = 1;
    fleet.balance.age_us = 25 * LEAT_SECOND_US;
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    ck_assert(fleet.last.is_waiting);
    fleet.balance.age_us = 30 * LEAT_SECOND_US;
    ck_assert_uint_gt(fleet_pass(&fleet), 0);
    fleet_release(&fleet);
}
END_TEST

START_TEST(test_waits_grow_to_ten_minutes)
{
    static const int64_t seconds[] = {0, 30, 60, 120, 240, 480, 600, 600};

    for (uint32_t i = 0; i < LEAT_COUNT_OF(seconds); i++)
        ck_assert_int_eq(leat_balance_wait_us(i), seconds[i] * LEAT_SECOND_US);
    ck_assert_int_eq(leat_balance_wait_us(UINT32_MAX), 600 * LEAT_SECOND_US);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("assign_loads");
    TCase *tests = tcase_create("assign_loads");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_busy_time_is_evened_out_not_counts);
    tcase_add_test(tests, test_a_slow_worker_ends_with_fewer);
    tcase_add_test(tests, test_weights_share_out_busy_time);
    tcase_add_test(tests, test_a_hot_shard_stands_alone);
    tcase_add_test(tests, test_two_hot_shards_of_one_worker_part);
    tcase_add_test(tests, test_unknown_leases_are_average);
    tcase_add_loop_test(tests, test_load_that_walks_about_does_not_flap, 0, test_cases(40, 4));
    tcase_add_test(tests, test_noise_within_the_band_moves_nothing);
    tcase_add_test(tests, test_changes_for_loads_sake_back_off);
    tcase_add_test(tests, test_load_is_looked_at_before_it_is_acted_on);
    tcase_add_test(tests, test_a_little_apart_waits_the_whole_time);
    tcase_add_test(tests, test_waits_grow_to_ten_minutes);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
