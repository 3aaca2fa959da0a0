/* Assignment over thousands of generated fleets: one owner, balance in two passes, nothing to the dead, few moves. */
#include "lease/assign.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "support/slow.h"

#define LEASES 200
#define WORKERS 20

struct fleet {
    struct leat_lease leases[LEASES];
    struct leat_worker workers[WORKERS];
    size_t lease_count, worker_count;
    char ids[WORKERS][16];
};

static struct leat_move moves[2 * LEASES];

/* What the database does with a move, with handoffs done at once. */
static size_t
apply(struct fleet *fleet)
{
    size_t count =
        leat_assign(fleet->leases, fleet->lease_count, fleet->workers, fleet->worker_count, moves);

    for (size_t i = 0; i < count; i++) {
        struct leat_lease *lease = &fleet->leases[moves[i].lease];

        if (moves[i].kind == LEAT_MOVE_CANCEL) {
            lease->next_owner = 0;
            continue;
        }
        ck_assert_int_eq(fleet->workers[moves[i].to].state, LEAT_WORKER_ALIVE);
        lease->lease_owner = fleet->workers[moves[i].to].incarnation;
        lease->next_owner = 0;
        lease->lease_counter++;
    }
    /* Handoffs that were under way before end as they were meant to. */
    for (size_t i = 0; i < fleet->lease_count; i++) {
        struct leat_lease *lease = &fleet->leases[i];

        if (lease->next_owner != 0)
            lease->lease_owner = lease->next_owner;
        lease->next_owner = 0;
    }
    return count;
}

static size_t
held(const struct fleet *fleet, size_t worker)
{
    size_t count = 0;

    for (size_t i = 0; i < fleet->lease_count; i++)
        count += fleet->leases[i].state == LEAT_LEASE_ACTIVE &&
                 fleet->leases[i].lease_owner == fleet->workers[worker].incarnation;
    return count;
}

static void
generate(struct fleet *fleet, struct leat_random *random)
{
    fleet->lease_count = 1 + leat_random_below(random, LEASES);
    fleet->worker_count = 1 + leat_random_below(random, WORKERS);
    for (size_t w = 0; w < fleet->worker_count; w++) {
        snprintf(fleet->ids[w], sizeof fleet->ids[w], "w%u", (unsigned)w);
        fleet->workers[w] = (struct leat_worker){
            .worker_id = leat_slice_from(fleet->ids[w]),
            .incarnation = (int64_t)w + 1,
            .weight = 1,
            .state = leat_random_below(random, 5) == 0 ? LEAT_WORKER_DEAD : LEAT_WORKER_ALIVE};
    }
    fleet->workers[0].state = LEAT_WORKER_ALIVE;
    for (size_t i = 0; i < fleet->lease_count; i++)
        fleet->leases[i] = (struct leat_lease){
            .lease_owner = (int64_t)leat_random_below(random, fleet->worker_count + 3),
            .last_worker_id =
                leat_slice_from(fleet->ids[leat_random_below(random, fleet->worker_count)]),
            .next_owner = leat_random_below(random, 6) == 0
                              ? (int64_t)leat_random_below(random, fleet->worker_count + 3)
                              : 0,
        };
}

START_TEST(test_fleets_are_balanced_in_two_passes)
{
    struct leat_random random;

    leat_random_seed(&random, (uint64_t)_i + 1);
    for (size_t round = 0; round < test_rounds(200); round++) {
        struct fleet fleet;
        size_t least = SIZE_MAX, most = 0, sum = 0;

        generate(&fleet, &random);
        apply(&fleet);
        apply(&fleet);
        for (size_t w = 0; w < fleet.worker_count; w++) {
            size_t count = held(&fleet, w);

            sum += count;
            if (fleet.workers[w].state != LEAT_WORKER_ALIVE) {
                ck_assert_uint_eq(count, 0);
                continue;
            }
            least = count < least ? count : least;
            most = count > most ? count : most;
        }
        ck_assert_uint_eq(sum, fleet.lease_count);
        ck_assert_uint_le(most - least, 1);
        ck_assert_uint_eq(apply(&fleet), 0);
    }
}
END_TEST

/* One joins ten who hold ninety each: exactly what he should have is moved. */
START_TEST(test_a_join_moves_no_more_than_needed)
{
    static struct leat_lease leases[900];
    static struct leat_move many[1800];
    struct leat_worker workers[11];
    size_t count;

    for (size_t w = 0; w < 11; w++)
        workers[w] = (struct leat_worker){.incarnation = (int64_t)w + 1, .weight = 1};
    for (size_t i = 0; i < 900; i++)
        leases[i] = (struct leat_lease){.lease_owner = (int64_t)(i % 10) + 1};
    count = leat_assign(leases, 900, workers, 11, many);
    ck_assert_uint_eq(count, 81);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(many[i].to, 10);
}
END_TEST

START_TEST(test_weights_and_limits_are_kept)
{
    struct fleet fleet = {.lease_count = 90, .worker_count = 3};

    for (size_t w = 0; w < 3; w++)
        fleet.workers[w] =
            (struct leat_worker){.incarnation = (int64_t)w + 1, .weight = w == 0 ? 4 : 1};
    fleet.workers[2].max_leases = 5;
    apply(&fleet);
    apply(&fleet);
    ck_assert_uint_eq(held(&fleet, 2), 5);
    ck_assert_uint_eq(held(&fleet, 0), 68);
    ck_assert_uint_eq(held(&fleet, 1), 17);
}
END_TEST

START_TEST(test_who_had_it_last_gets_it_back)
{
    struct fleet fleet = {.lease_count = 4, .worker_count = 2};

    fleet.workers[0] =
        (struct leat_worker){.incarnation = 1, .weight = 1, .worker_id = leat_slice_from("a")};
    fleet.workers[1] =
        (struct leat_worker){.incarnation = 2, .weight = 1, .worker_id = leat_slice_from("b")};
    for (size_t i = 0; i < 4; i++)
        fleet.leases[i].last_worker_id = leat_slice_from(i < 2 ? "b" : "a");
    apply(&fleet);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(fleet.leases[i].lease_owner, i < 2 ? 2 : 1);
}
END_TEST

START_TEST(test_a_leaving_worker_is_emptied)
{
    struct fleet fleet = {.lease_count = 6, .worker_count = 2};

    fleet.workers[0] =
        (struct leat_worker){.incarnation = 1, .weight = 1, .state = LEAT_WORKER_LEAVING};
    fleet.workers[1] = (struct leat_worker){.incarnation = 2, .weight = 1};
    for (size_t i = 0; i < 6; i++)
        fleet.leases[i].lease_owner = 1;
    ck_assert_uint_eq(apply(&fleet), 6);
    ck_assert_uint_eq(held(&fleet, 1), 6);
}
END_TEST

/* Workers of several configurations: a lease is where least is lacking, and never where all is. */
START_TEST(test_a_lease_goes_to_who_lacks_least)
{
    enum { STREAMS = 4 };
    static const unsigned char lacking[] = {0, 0, 1, 2, LEAT_LACKS_ALL};
    struct leat_random random;

    leat_random_seed(&random, (uint64_t)_i + 1);
    for (size_t round = 0; round < test_rounds(200); round++) {
        unsigned char lacks[WORKERS][STREAMS], least[STREAMS];
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
            apply(&fleet);
        for (size_t i = 0; i < fleet.lease_count; i++) {
            const struct leat_lease *lease = &fleet.leases[i];
            size_t owner = (size_t)lease->lease_owner - 1;

            if (least[lease->stream] == LEAT_LACKS_ALL)
                continue;
            ck_assert_uint_lt(owner, fleet.worker_count);
            ck_assert_uint_eq(lacks[owner][lease->stream], least[lease->stream]);
        }
    }
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
    tcase_add_loop_test(tests, test_fleets_are_balanced_in_two_passes, 0, 20);
    tcase_add_test(tests, test_a_join_moves_no_more_than_needed);
    tcase_add_test(tests, test_weights_and_limits_are_kept);
    tcase_add_test(tests, test_who_had_it_last_gets_it_back);
    tcase_add_test(tests, test_a_leaving_worker_is_emptied);
    tcase_add_loop_test(tests, test_a_lease_goes_to_who_lacks_least, 0, 20);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
