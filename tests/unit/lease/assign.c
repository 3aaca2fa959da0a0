/* Assignment over thousands of generated fleets: one owner, balance in two passes, nothing to the dead, few moves. */
#include "lease/assign.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/leases.h"
#include "support/slow.h"

/* ---- generated fleets ---------------------------------------------------------------------------- */

static void
generate(struct fleet *fleet, struct leat_random *random)
{
    fleet_init(fleet, 1 + leat_random_below(random, 200), 1 + leat_random_below(random, 20));
    for (size_t w = 1; w < fleet->worker_count; w++) {
        unsigned state = (unsigned)leat_random_below(random, 8);

        fleet->workers[w].state = state == 0   ? LEAT_WORKER_DEAD
                                  : state == 1 ? LEAT_WORKER_LEAVING
                                               : LEAT_WORKER_ALIVE;
    }
    for (size_t i = 0; i < fleet->lease_count; i++) {
        struct leat_lease *lease = &fleet->leases[i];

        lease->state = leat_random_below(random, 10) == 0 ? LEAT_LEASE_ENDED : LEAT_LEASE_ACTIVE;
        lease->lease_owner = (int64_t)leat_random_below(random, fleet->worker_count + 3);
        lease->last_worker_id =
            fleet->workers[leat_random_below(random, fleet->worker_count)].worker_id;
        lease->next_owner = leat_random_below(random, 6) == 0
                                ? (int64_t)leat_random_below(random, fleet->worker_count + 3)
                                : 0;
    }
}

static void
check_even(const struct fleet *fleet)
{
    size_t least = SIZE_MAX, most = 0, sum = 0, active = 0;

    for (size_t i = 0; i < fleet->lease_count; i++)
        active += fleet->leases[i].state == LEAT_LEASE_ACTIVE;
    for (size_t w = 0; w < fleet->worker_count; w++) {
        size_t count = fleet_held(fleet, w);

        sum += count;
        if (fleet->workers[w].state != LEAT_WORKER_ALIVE) {
            ck_assert_uint_eq(count, 0);
            continue;
        }
        least = count < least ? count : least;
        most = count > most ? count : most;
    }
    ck_assert_uint_eq(sum, active);
    ck_assert_uint_le(most - least, 1);
}

START_TEST(test_fleets_are_even_after_two_passes_with_no_move_too_many)
{
    struct leat_random random;

    leat_random_seed(&random, (uint64_t)_i + 1);
    for (size_t round = 0; round < test_rounds(200); round++) {
        struct fleet fleet;
        size_t least, moved;

        generate(&fleet, &random);
        least = fleet_needed(&fleet);
        fleet_pass(&fleet);
        moved = fleet.handoffs;
        fleet_pass(&fleet);
        moved += fleet.handoffs;
        check_even(&fleet);
        /* Those under way cannot be moved again, so what is too much may have to be waited for. */
        ck_assert_uint_le(moved, least + least / 20);
        ck_assert_uint_eq(fleet_pass(&fleet), 0);
        fleet_release(&fleet);
    }
}
END_TEST

/* Loads, weights, limits, builds, all at once: what holds whatever comes. */
START_TEST(test_whatever_comes_nobody_is_given_too_much)
{
    struct leat_random random;

    leat_random_seed(&random, (uint64_t)_i + 1000);
    for (size_t round = 0; round < test_rounds(100); round++) {
        struct fleet fleet;
        size_t owned = 0, active = 0;

        generate(&fleet, &random);
        for (size_t w = 0; w < fleet.worker_count; w++) {
            fleet.workers[w].weight = 0.5 + (double)leat_random_below(&random, 8) / 2;
            fleet.workers[w].max_leases = (uint32_t)leat_random_below(&random, 3) * 5;
            fleet.workers[w].build =
                leat_slice_from(leat_random_below(&random, 2) == 0 ? "1.9" : "1.10");
            fleet.workers[w].age_us = (int64_t)leat_random_below(&random, 3) * 400 * LEAT_SECOND_US;
        }
        for (size_t i = 0; i < fleet.lease_count; i++) {
            fleet.leases[i].next_owner = 0; /* so that nobody is above his limit by what was */
            fleet.leases[i].lease_owner = 0;
            fleet.leases[i].busy_us =
                (int64_t)leat_random_below(&random, 1 + leat_random_below(&random, 2000000)) - 1;
        }
        for (size_t pass = 0; pass < 4; pass++) {
            fleet_pass(&fleet);
            fleet.balance.age_us = (int64_t)leat_random_below(&random, 100) * LEAT_SECOND_US;
            for (size_t i = 0; i < fleet.lease_count; i++)
                fleet.leases[i].busy_us = fleet.leases[i].busy_us < 0 ? 0 : fleet.leases[i].busy_us;
        }
        for (size_t i = 0; i < fleet.lease_count; i++)
            active += fleet.leases[i].state == LEAT_LEASE_ACTIVE;
        for (size_t w = 0; w < fleet.worker_count; w++)
            owned += fleet_held(&fleet, w);
        ck_assert_uint_eq(owned + fleet.last.spilled, active);
        fleet_release(&fleet);
    }
}
END_TEST

/* Workers of several configurations: a lease is where least is lacking, and never where all is. */
START_TEST(test_a_lease_goes_to_who_lacks_least)
{
    enum { STREAMS = 4, MOST_WORKERS = 20 };
    static const unsigned char lacking[] = {0, 0, 1, 2, LEAT_LACKS_ALL};
    struct leat_random random;

    leat_random_seed(&random, (uint64_t)_i + 1);
    for (size_t round = 0; round < test_rounds(200); round++) {
        unsigned char lacks[MOST_WORKERS][STREAMS], least[STREAMS];
        struct fleet fleet;

        generate(&fleet, &random);
        memset(least, LEAT_LACKS_ALL, sizeof least);
        for (size_t w = 0; w < fleet.worker_count; w++) {
            for (size_t s = 0; s < STREAMS; s++) {
                lacks[w][s] = lacking[leat_random_below(&random, sizeof lacking)];
                if (fleet.workers[w].state == LEAT_WORKER_ALIVE && lacks[w][s] < least[s])
                    least[s] = lacks[w][s];
            }
            fleet.workers[w].lacks = lacks[w];
        }
        for (size_t i = 0; i < fleet.lease_count; i++)
            fleet.leases[i].stream = leat_random_below(&random, STREAMS);
        for (int pass = 0; pass < 4; pass++)
            fleet_pass(&fleet);
        for (size_t i = 0; i < fleet.lease_count; i++) {
            const struct leat_lease *lease = &fleet.leases[i];
            size_t owner = (size_t)lease->lease_owner - 1;

            if (lease->state != LEAT_LEASE_ACTIVE || least[lease->stream] == LEAT_LACKS_ALL)
                continue;
            ck_assert_uint_lt(owner, fleet.worker_count);
            ck_assert_uint_eq(lacks[owner][lease->stream], least[lease->stream]);
        }
        ck_assert_uint_eq(fleet_pass(&fleet), 0);
        fleet_release(&fleet);
    }
}
END_TEST

/* Two streams, each with three workers of its own and one who runs both: everybody is as full as he can be. */
START_TEST(test_two_configurations_are_evened_out_each_for_itself)
{
    static const unsigned char first[] = {0, LEAT_LACKS_ALL}, second[] = {LEAT_LACKS_ALL, 0};
    struct fleet fleet;

    fleet_init(&fleet, 84, 7);
    for (size_t w = 0; w < 6; w++)
        fleet.workers[w].lacks = w < 3 ? first : second;
    for (size_t i = 0; i < 84; i++)
        fleet.leases[i].stream = i % 2;
    fleet.workers[1].state = fleet.workers[5].state = LEAT_WORKER_DEAD;
    fleet_pass(&fleet);
    fleet.workers[1].state = fleet.workers[5].state = LEAT_WORKER_ALIVE;
    fleet_pass(&fleet);
    for (size_t w = 0; w < 7; w++)
        ck_assert_uint_eq(fleet_held(&fleet, w), 12);
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    fleet_release(&fleet);
}
END_TEST

/* ---- by count ------------------------------------------------------------------------------------ */

/* One joins ten who hold ninety each: exactly what he should have is moved. */
START_TEST(test_a_join_moves_no_more_than_needed)
{
    struct fleet fleet;

    fleet_init(&fleet, 900, 11);
    fleet_deal(&fleet, 10);
    ck_assert_uint_eq(fleet_plan(&fleet), 81);
    for (size_t i = 0; i < 81; i++)
        ck_assert_uint_eq(fleet.moves[i].to, 10);
    fleet_release(&fleet);
}
END_TEST

/* The KCL's 14–16 here and 1–3 there (go-kcl #109). */
START_TEST(test_160_leases_on_20_workers_are_8_each)
{
    struct fleet fleet;

    fleet_init(&fleet, 160, 20);
    fleet_deal(&fleet, 10);
    fleet_pass(&fleet);
    fleet_pass(&fleet);
    for (size_t w = 0; w < 20; w++)
        ck_assert_uint_eq(fleet_held(&fleet, w), 8);
    fleet_release(&fleet);
}
END_TEST

START_TEST(test_weights_and_limits_are_kept)
{
    struct fleet fleet;

    fleet_init(&fleet, 90, 3);
    fleet.workers[0].weight = 4;
    fleet.workers[2].max_leases = 5;
    fleet_pass(&fleet);
    fleet_pass(&fleet);
    ck_assert_uint_eq(fleet_held(&fleet, 2), 5);
    ck_assert_uint_eq(fleet_held(&fleet, 0), 68);
    ck_assert_uint_eq(fleet_held(&fleet, 1), 17);
    fleet_release(&fleet);
}
END_TEST

/* The KCL's LeaseSpillover. */
START_TEST(test_when_all_are_full_the_rest_is_counted)
{
    struct fleet fleet;

    fleet_init(&fleet, 10, 3);
    for (size_t w = 0; w < 3; w++)
        fleet.workers[w].max_leases = w == 0 ? 1 : 3;
    fleet_pass(&fleet);
    ck_assert_uint_eq(fleet.last.spilled, 3);
    ck_assert_uint_eq(fleet_held(&fleet, 0), 1);
    ck_assert_uint_eq(fleet_held(&fleet, 1), 3);
    ck_assert_uint_eq(fleet_held(&fleet, 2), 3);
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    fleet_release(&fleet);
}
END_TEST

/* He came back with a smaller limit: what is too much goes, and only that. */
START_TEST(test_who_is_above_his_limit_gives_the_rest_away)
{
    struct fleet fleet;

    fleet_init(&fleet, 12, 3);
    fleet_deal(&fleet, 3);
    fleet.workers[0].max_leases = 2;
    ck_assert_uint_eq(fleet_pass(&fleet), 2);
    ck_assert_uint_eq(fleet_held(&fleet, 0), 2);
    fleet_release(&fleet);
}
END_TEST

/* A single lease is not yielded to an idle worker. */
START_TEST(test_a_single_lease_stays)
{
    struct fleet fleet;

    fleet_init(&fleet, 1, 3);
    fleet_deal(&fleet, 1);
    fleet.leases[0].busy_us = 900000;
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    fleet_release(&fleet);
}
END_TEST

START_TEST(test_who_had_it_last_gets_it_back)
{
    struct fleet fleet;

    fleet_init(&fleet, 4, 2);
    for (size_t i = 0; i < 4; i++)
        fleet.leases[i].last_worker_id = leat_slice_from(i < 2 ? "w1" : "w0");
    fleet_pass(&fleet);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(fleet.leases[i].lease_owner, i < 2 ? 2 : 1);
    fleet_release(&fleet);
}
END_TEST

/* What somebody was promised comes before who had it last. */
START_TEST(test_a_promise_is_kept_when_the_owner_died)
{
    struct fleet fleet;

    fleet_init(&fleet, 6, 4);
    fleet.workers[3].state = LEAT_WORKER_DEAD;
    for (size_t i = 0; i < 6; i++) {
        fleet.leases[i].lease_owner = 4;
        fleet.leases[i].next_owner = i < 2 ? 3 : 0;
        fleet.leases[i].last_worker_id = leat_slice_from(i < 4 ? "w1" : "w3");
    }
    ck_assert_uint_eq(fleet_pass(&fleet), 6);
    ck_assert_int_eq(fleet.leases[0].lease_owner, 3);
    ck_assert_int_eq(fleet.leases[1].lease_owner, 3);
    ck_assert_int_eq(fleet.leases[2].lease_owner, 2);
    ck_assert_int_eq(fleet.leases[3].lease_owner, 2);
    ck_assert_int_eq(fleet.leases[4].lease_owner, 1);
    ck_assert_int_eq(fleet.leases[5].lease_owner, 1);
    fleet_release(&fleet);
}
END_TEST

/* An operator takes a lease away from one of two who hold as much: he must not get it back. */
START_TEST(test_a_promise_counts_more_than_a_fair_share)
{
    struct fleet fleet;

    fleet_init(&fleet, 8, 2);
    fleet_deal(&fleet, 2);
    fleet_pass(&fleet);
    fleet.leases[0].lease_owner = 0;
    fleet.leases[0].next_owner = 2;
    fleet_pass(&fleet);
    ck_assert_int_eq(fleet.leases[0].lease_owner, 2);
    fleet_pass(&fleet);
    ck_assert_int_eq(fleet.leases[0].lease_owner, 2);
    check_even(&fleet);
    fleet_release(&fleet);
}
END_TEST

START_TEST(test_a_leaving_worker_is_emptied)
{
    struct fleet fleet;

    fleet_init(&fleet, 6, 2);
    fleet_deal(&fleet, 1);
    fleet.workers[0].state = LEAT_WORKER_LEAVING;
    ck_assert_uint_eq(fleet_pass(&fleet), 6);
    ck_assert_uint_eq(fleet_held(&fleet, 1), 6);
    fleet_release(&fleet);
}
END_TEST

/* The target of a handoff has died: it is cancelled, and a better one made in the same pass. */
START_TEST(test_a_handoff_to_the_dead_is_made_anew_at_once)
{
    struct fleet fleet;

    fleet_init(&fleet, 6, 3);
    fleet_deal(&fleet, 1);
    fleet.workers[1].state = LEAT_WORKER_DEAD;
    for (size_t i = 0; i < 3; i++)
        fleet.leases[i].next_owner = 2;
    ck_assert_uint_eq(fleet_pass(&fleet), 6);
    ck_assert_uint_eq(fleet.handoffs, 3);
    ck_assert_uint_eq(fleet_held(&fleet, 0), 3);
    ck_assert_uint_eq(fleet_held(&fleet, 2), 3);
    fleet_release(&fleet);
}
END_TEST

/* Those under way count where they go, so that a slow owner does not make the next pass move more. */
START_TEST(test_handoffs_under_way_are_counted_where_they_go)
{
    struct fleet fleet;

    fleet_init(&fleet, 10, 2);
    fleet_deal(&fleet, 1);
    ck_assert_uint_eq(fleet_plan(&fleet), 5);
    for (size_t i = 0; i < 5; i++)
        fleet.leases[fleet.moves[i].lease].next_owner = 2;
    ck_assert_uint_eq(fleet_plan(&fleet), 0);
    fleet_release(&fleet);
}
END_TEST

START_TEST(test_nobody_there_moves_nothing)
{
    struct fleet fleet;

    fleet_init(&fleet, 5, 1);
    fleet.workers[0].state = LEAT_WORKER_DEAD;
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    ck_assert_uint_eq(fleet.last.spilled, 5);
    fleet_release(&fleet);
    fleet_init(&fleet, 0, 0);
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    fleet_release(&fleet);
}
END_TEST

/* Leases that ended or were made since are no load that drifts: they are evened out whatever was done a moment ago. */
START_TEST(test_a_reshard_is_evened_out_at_once)
{
    struct fleet fleet;

    fleet_init(&fleet, 60, 3);
    fleet_pass(&fleet);
    fleet.balance.repeats = 6;
    fleet.balance.age_us = 0;
    for (size_t i = 0, ended = 0; ended < 10; i++) {
        if (fleet.leases[i].lease_owner != 1)
            continue;
        fleet.leases[i].state = LEAT_LEASE_ENDED;
        fleet.leases[i].lease_owner = 0;
        ended++;
    }
    ck_assert_uint_eq(fleet_pass(&fleet), 6);
    check_even(&fleet);
    ck_assert_uint_eq(fleet.balance.repeats, 6);
    fleet_release(&fleet);
}
END_TEST

/* Two start in the same moment: the first is given all before the other has said what it runs. Saying it is like a join: nothing
   is waited for, and what was backed off before begins anew. */
START_TEST(test_who_says_what_he_runs_is_given_it_at_once)
{
    static const unsigned char nothing[] = {LEAT_LACKS_ALL}, all[] = {0};
    struct fleet fleet;

    fleet_init(&fleet, 4 + (size_t)_i, 3);
    fleet.waited_us = 0;
    fleet.workers[1].lacks = fleet.workers[2].lacks = nothing;
    fleet_pass(&fleet);
    ck_assert_uint_eq(fleet_held(&fleet, 0), fleet.lease_count);
    fleet.balance.repeats = 6;
    fleet.balance.age_us = 0;
    fleet.workers[1].lacks = fleet.workers[2].lacks = all;
    ck_assert_uint_gt(fleet_pass(&fleet), 0);
    check_even(&fleet);
    ck_assert_uint_eq(fleet.balance.repeats, 0);
    fleet_release(&fleet);
}
END_TEST

/* The same for one stream among others, which appears in a fleet whose loads differ; and for a processor that some of them do not
   run, each time that it is paused and goes on. */
START_TEST(test_what_may_be_run_where_changes_at_once)
{
    static const unsigned char one[] = {0, LEAT_LACKS_ALL}, both[] = {0, 0}, less[] = {1, 1};
    struct fleet fleet;

    fleet_init(&fleet, 40, 4);
    fleet.waited_us = 0;
    for (size_t i = 0; i < 40; i++) {
        fleet.leases[i].stream = i < 20 ? 0 : 1;
        fleet.leases[i].key.stream_id = leat_slice_from(i < 20 ? "arn:old@1" : "arn:new@2");
        fleet.leases[i].lease_owner = i < 20 ? (int64_t)(i % 4) + 1 : 0;
        fleet.leases[i].busy_us = i < 20 ? 40000 * (int64_t)(i % 5 + 1) : -1;
    }
    for (size_t w = 0; w < 4; w++)
        fleet.workers[w].lacks = w == 0 ? both : one;
    fleet_pass(&fleet);
    for (size_t w = 1; w < 4; w++) {
        fleet.balance.age_us = 0;
        fleet.workers[w].lacks = both;
        fleet_pass(&fleet);
        ck_assert_uint_ge(fleet_held(&fleet, w), 6);
    }
    for (int round = 0; round < 3; round++) {
        fleet.balance.age_us = 0;
        fleet.workers[2].lacks = fleet.workers[3].lacks = less;
        fleet_pass(&fleet);
        ck_assert_uint_eq(fleet_held(&fleet, 0) + fleet_held(&fleet, 1), 40);
        fleet.workers[2].lacks = fleet.workers[3].lacks = both;
        fleet_pass(&fleet);
        ck_assert_uint_ge(fleet_held(&fleet, 2), 6);
        ck_assert_uint_ge(fleet_held(&fleet, 3), 6);
    }
    fleet_release(&fleet);
}
END_TEST

/* What is under way to the second cannot be moved when the third comes: it is a change still when it has arrived. */
START_TEST(test_a_third_comes_while_leases_are_under_way)
{
    struct fleet fleet;
    size_t before;

    fleet_init(&fleet, 9, 3);
    fleet.waited_us = 0;
    fleet.workers[1].state = fleet.workers[2].state = LEAT_WORKER_DEAD;
    fleet_pass(&fleet);
    fleet.workers[1].state = LEAT_WORKER_ALIVE;
    before = fleet_plan(&fleet);
    ck_assert_uint_eq(before, 4);
    for (size_t i = 0; i < before; i++)
        fleet.leases[fleet.moves[i].lease].next_owner = 2;
    fleet.balance = fleet.last.balance;
    fleet.workers[2].state = LEAT_WORKER_ALIVE;
    fleet_pass(&fleet);
    fleet.balance.age_us = 0;
    fleet_pass(&fleet);
    check_even(&fleet);
    /* Then it is known, and load waits as ever. */
    fleet_pass(&fleet);
    for (size_t i = 0; i < 9; i++)
        fleet.leases[i].busy_us = fleet.leases[i].lease_owner == 1 ? 300000 : 30000;
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    ck_assert(fleet.last.is_waiting);
    fleet_release(&fleet);
}
END_TEST

/* ---- builds -------------------------------------------------------------------------------------- */

/* Two of the old build, one of the new: what an old one lets go must not go to the other. */
START_TEST(test_what_is_released_goes_to_the_newest_build)
{
    struct fleet fleet;

    fleet_init(&fleet, 9, 3);
    fleet_deal(&fleet, 3);
    fleet.workers[2].build = leat_slice_from("1.10");
    fleet.workers[1].build = leat_slice_from("1.9");
    fleet.workers[2].age_us = LEAT_SECOND_US;
    fleet.workers[0].state = LEAT_WORKER_DEAD;
    for (size_t i = 0; i < 9; i += 3)
        fleet.leases[i].lease_owner = 0;
    ck_assert_uint_eq(fleet_pass(&fleet), 3);
    ck_assert_uint_eq(fleet_held(&fleet, 2), 6);
    ck_assert_uint_eq(fleet_pass(&fleet), 0);
    /* Not for ever: two builds that stay are a fleet as any other. */
    fleet.workers[2].age_us = 3600 * LEAT_SECOND_US;
    fleet.balance.age_us = 3600 * LEAT_SECOND_US;
    ck_assert_uint_gt(fleet_pass(&fleet), 0);
    check_even(&fleet);
    fleet_release(&fleet);
}
END_TEST

/* Ten workers are replaced one by one, the new one first; returns the moves. */
static size_t
deploy(const char *build)
{
    struct fleet fleet;
    size_t moves = 0;

    fleet_init(&fleet, 100, 20);
    for (size_t w = 10; w < 20; w++)
        fleet.workers[w].state = LEAT_WORKER_DEAD;
    fleet_deal(&fleet, 10);
    for (size_t w = 0; w < 10; w++) {
        fleet.workers[10 + w].state = LEAT_WORKER_ALIVE;
        fleet.workers[10 + w].build = leat_slice_from(build);
        fleet.workers[10 + w].age_us = LEAT_SECOND_US;
        moves += fleet_pass(&fleet);
        moves += fleet_pass(&fleet);
        fleet.workers[w].state = LEAT_WORKER_DEAD;
        moves += fleet_pass(&fleet);
        moves += fleet_pass(&fleet);
    }
    check_even(&fleet);
    fleet_release(&fleet);
    return moves;
}

/* Each shard has to move once: 100 moves. */
START_TEST(test_a_rolling_deploy_hardly_moves_a_shard_twice)
{
    size_t with = deploy("1.1"), without = deploy("1.0");

    ck_assert_uint_le(with, 145);
    ck_assert_uint_gt(without, 170);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("assign");
    TCase *tests = tcase_create("assign");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_fleets_are_even_after_two_passes_with_no_move_too_many, 0, 20);
    tcase_add_loop_test(tests, test_whatever_comes_nobody_is_given_too_much, 0, 20);
    tcase_add_loop_test(tests, test_a_lease_goes_to_who_lacks_least, 0, 20);
    tcase_add_test(tests, test_two_configurations_are_evened_out_each_for_itself);
    tcase_add_test(tests, test_a_join_moves_no_more_than_needed);
    tcase_add_test(tests, test_160_leases_on_20_workers_are_8_each);
    tcase_add_test(tests, test_weights_and_limits_are_kept);
    tcase_add_test(tests, test_when_all_are_full_the_rest_is_counted);
    tcase_add_test(tests, test_who_is_above_his_limit_gives_the_rest_away);
    tcase_add_test(tests, test_a_single_lease_stays);
    tcase_add_test(tests, test_who_had_it_last_gets_it_back);
    tcase_add_test(tests, test_a_promise_is_kept_when_the_owner_died);
    tcase_add_test(tests, test_a_promise_counts_more_than_a_fair_share);
    tcase_add_test(tests, test_a_leaving_worker_is_emptied);
    tcase_add_test(tests, test_a_handoff_to_the_dead_is_made_anew_at_once);
    tcase_add_test(tests, test_handoffs_under_way_are_counted_where_they_go);
    tcase_add_test(tests, test_nobody_there_moves_nothing);
    tcase_add_test(tests, test_a_reshard_is_evened_out_at_once);
    tcase_add_loop_test(tests, test_who_says_what_he_runs_is_given_it_at_once, 0, 6);
    tcase_add_test(tests, test_what_may_be_run_where_changes_at_once);
    tcase_add_test(tests, test_a_third_comes_while_leases_are_under_way);
    tcase_add_test(tests, test_what_is_released_goes_to_the_newest_build);
    tcase_add_test(tests, test_a_rolling_deploy_hardly_moves_a_shard_twice);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
