/* Lanes take turns, each in order; what waits for a time is not taken before it. Against a plain model, and by story. */
#include "failure/fair_queue.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "support/slow.h"

#define ITEMS 2000
#define LANES 7

struct thing {
    struct leat_fair_item item;
    int number;
    char lane[8];
};

static struct thing things[ITEMS];

static void
name(struct thing *thing, int number, unsigned lane)
{
    *thing = (struct thing){.number = number};
    snprintf(thing->lane, sizeof thing->lane, "l%u", lane);
    thing->item.lane_name = leat_slice_from(thing->lane);
}

START_TEST(test_one_item_waits_for_one_turn)
{
    struct leat_fair_queue queue;

    leat_fair_queue_init(&queue);
    for (int i = 0; i < ITEMS - 1; i++) {
        name(&things[i], i, 0);
        leat_fair_queue_put(&queue, &things[i].item, 0);
    }
    ck_assert_ptr_eq(leat_fair_queue_take(&queue, 1), &things[0].item);
    name(&things[ITEMS - 1], ITEMS - 1, 1);
    leat_fair_queue_put(&queue, &things[ITEMS - 1].item, 0);
    ck_assert_ptr_eq(leat_fair_queue_take(&queue, 1), &things[1].item);
    ck_assert_ptr_eq(leat_fair_queue_take(&queue, 1), &things[ITEMS - 1].item);
    for (int i = 2; i < ITEMS - 1; i++)
        ck_assert_ptr_eq(leat_fair_queue_take(&queue, 1), &things[i].item);
    ck_assert_ptr_null(leat_fair_queue_take(&queue, 1));
    leat_fair_queue_release(&queue);
}
END_TEST

START_TEST(test_a_time_is_waited_for)
{
    struct leat_fair_queue queue;

    leat_fair_queue_init(&queue);
    for (int i = 0; i < 4; i++)
        name(&things[i], i, 0);
    leat_fair_queue_put(&queue, &things[0].item, 300);
    leat_fair_queue_put(&queue, &things[1].item, 100);
    leat_fair_queue_put(&queue, &things[2].item, 200);
    ck_assert_ptr_null(leat_fair_queue_take(&queue, 99));
    ck_assert_int_eq(leat_fair_queue_next_us(&queue, 99), 100);
    leat_fair_queue_remove(&queue, &things[2].item);
    ck_assert_ptr_eq(leat_fair_queue_take(&queue, 250), &things[1].item);
    ck_assert_ptr_null(leat_fair_queue_take(&queue, 250));
    ck_assert_ptr_eq(leat_fair_queue_first(&queue, 300), &things[0].item);
    ck_assert_int_eq(leat_fair_queue_next_us(&queue, 300), 300);
    ck_assert_ptr_eq(leat_fair_queue_take(&queue, 300), &things[0].item);
    ck_assert_int_eq(leat_fair_queue_next_us(&queue, 300), INT64_MAX);
    leat_fair_queue_release(&queue);
}
END_TEST

/* Random puts, removals and takes: nothing is lost or told twice, each lane keeps its order, and between two takes of one lane
   that had items all the while every other such lane had its turn. */
START_TEST(test_random_histories)
{
    struct leat_fair_queue queue;
    struct leat_random random;
    int last_of_lane[LANES], waiting[LANES] = {0}, taken = 0, removed = 0, put = 0;
    int turns_missed[LANES] = {0};

    leat_random_seed(&random, (uint64_t)_i + 1);
    leat_fair_queue_init(&queue);
    for (int lane = 0; lane < LANES; lane++)
        last_of_lane[lane] = -1;
    while (put < ITEMS || queue.count > 0) {
        uint64_t dice = leat_random_below(&random, 10);

        if (dice < 5 && put < ITEMS) {
            unsigned lane = (unsigned)leat_random_below(&random, LANES);

            name(&things[put], put, lane);
            waiting[lane]++;
            leat_fair_queue_put(&queue, &things[put++].item, 0);
        } else if (dice == 5 && put > 0) {
            struct thing *thing = &things[leat_random_below(&random, (uint64_t)put)];

            if (!thing->item.is_queued)
                continue;
            leat_fair_queue_remove(&queue, &thing->item);
            waiting[thing->lane[1] - '0']--;
            turns_missed[thing->lane[1] - '0'] = 0;
            removed++;
        } else {
            struct thing *thing = (struct thing *)leat_fair_queue_take(&queue, 1);
            int lane;

            if (thing == NULL)
                continue;
            lane = thing->lane[1] - '0';
            ck_assert_int_gt(thing->number, last_of_lane[lane]);
            last_of_lane[lane] = thing->number;
            waiting[lane]--;
            taken++;
            for (int other = 0; other < LANES; other++) {
                turns_missed[other] =
                    other == lane || waiting[other] == 0 ? 0 : turns_missed[other] + 1;
                ck_assert_int_lt(turns_missed[other], LANES);
            }
        }
    }
    ck_assert_int_eq(taken + removed, ITEMS);
    leat_fair_queue_release(&queue);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fair_queue");
    TCase *tests = tcase_create("fair_queue");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_one_item_waits_for_one_turn);
    tcase_add_test(tests, test_a_time_is_waited_for);
    tcase_add_loop_test(tests, test_random_histories, 0, test_cases(50, 5));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
