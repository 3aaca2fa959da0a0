/* The budget: never above it but for the spare slot; shares are kept; somebody always moves. */
#include "stream/memory.h"

#include <check.h>
#include <stdlib.h>

#include "base/random.h"

#define BUDGET ((size_t)64 << 20)
#define MIB ((size_t)1 << 20)

START_TEST(test_random_reads_stay_within_the_budget)
{
    struct leat_memory *memory = leat_memory_new(BUDGET, 3);
    struct leat_reservation held[64];
    struct leat_random random;
    size_t count = 0;

    leat_random_seed(&random, (uint64_t)_i);
    for (int step = 0; step < 20000; step++) {
        if (count < 64 && leat_random_below(&random, 2) == 0) {
            size_t bytes = leat_random_below(&random, 10 * MIB) + 1;

            count += leat_memory_reserve(memory, (unsigned)leat_random_below(&random, 3), bytes,
                                         &held[count]);
        } else if (count > 0) {
            size_t which = leat_random_below(&random, count);

            if (leat_random_below(&random, 2) == 0) {
                leat_memory_settle(memory, &held[which],
                                   leat_random_below(&random, held[which].bytes + 1));
                continue;
            }
            leat_memory_give_back(memory, &held[which]);
            held[which] = held[--count];
        }
        ck_assert_uint_le(leat_memory_total(memory), BUDGET + LEAT_MEMORY_SPARE_BYTES);
    }
    while (count > 0)
        leat_memory_give_back(memory, &held[--count]);
    ck_assert_uint_eq(leat_memory_total(memory), 0);
    leat_memory_free(memory);
}
END_TEST

START_TEST(test_a_share_is_guaranteed)
{
    struct leat_memory *memory = leat_memory_new(BUDGET, 2);
    struct leat_reservation held[100], spare, own;
    size_t count = 0;

    while (count < 100 && leat_memory_reserve(memory, 0, MIB, &held[count]) &&
           !held[count].is_spare)
        count++;
    ck_assert_uint_eq(count, 32);
    spare = held[count];
    ck_assert(spare.is_spare);
    ck_assert(leat_memory_reserve(memory, 1, 32 * MIB, &own));
    ck_assert(!own.is_spare);
    leat_memory_free(memory);
}
END_TEST

static void
count_wake(void *context)
{
    ++*(int *)context;
}

START_TEST(test_somebody_always_moves)
{
    struct leat_memory *memory = leat_memory_new(BUDGET, 1);
    struct leat_reservation first, second;
    int woken = 0;

    leat_memory_on_room(memory, count_wake, &woken);
    leat_memory_charge(memory, 0, LEAT_MEMORY_ROWS, 2 * BUDGET);
    ck_assert(leat_memory_reserve(memory, 0, LEAT_MEMORY_SPARE_BYTES, &first));
    ck_assert(first.is_spare);
    ck_assert(!leat_memory_reserve(memory, 0, 1, &second));
    ck_assert_int_eq(woken, 0);
    leat_memory_give_back(memory, &first);
    ck_assert_int_eq(woken, 1);
    ck_assert(leat_memory_reserve(memory, 0, 1, &second));
    leat_memory_give_back(memory, &second);
    leat_memory_discharge(memory, 0, LEAT_MEMORY_ROWS, 2 * BUDGET);
    ck_assert_int_eq(woken, 1);
    ck_assert_uint_eq(leat_memory_total(memory), 0);
    leat_memory_free(memory);
}
END_TEST

/* What is only good to have never takes the second half, nor the spare slot, nor another processor's share. */
START_TEST(test_plenty_leaves_half)
{
    struct leat_memory *memory = leat_memory_new(BUDGET, 1);
    struct leat_reservation held[8], large;
    size_t count = 0;

    while (count < 8 && leat_memory_reserve_plenty(memory, 0, 10 * MIB, &held[count]))
        count++;
    ck_assert_uint_eq(count, 3);
    ck_assert(leat_memory_reserve(memory, 0, 30 * MIB, &large));
    ck_assert(!large.is_spare);
    leat_memory_give_back(memory, &large);
    while (count > 0)
        leat_memory_give_back(memory, &held[--count]);
    ck_assert_uint_eq(leat_memory_total(memory), 0);
    leat_memory_free(memory);
    memory = leat_memory_new(BUDGET, 4);
    ck_assert(leat_memory_reserve_plenty(memory, 0, 15 * MIB, &held[0]));
    ck_assert(!leat_memory_reserve_plenty(memory, 0, 15 * MIB, &held[1]));
    leat_memory_give_back(memory, &held[0]);
    leat_memory_free(memory);
}
END_TEST

START_TEST(test_rows_have_a_share_of_their_own)
{
    struct leat_memory *memory = leat_memory_new(BUDGET, 2);
    struct leat_reservation first, second;

    leat_memory_set_rows_share(memory, 16 * MIB);
    leat_memory_charge(memory, 0, LEAT_MEMORY_ROWS, 8 * MIB);
    leat_memory_charge(memory, 1, LEAT_MEMORY_ROWS, 8 * MIB);
    ck_assert(leat_memory_reserve(memory, 0, BUDGET / 2, &first));
    ck_assert(!first.is_spare);
    leat_memory_give_back(memory, &first);
    /* Beyond it they take from the reads of their processor. */
    leat_memory_charge(memory, 0, LEAT_MEMORY_ROWS, 1 * MIB);
    ck_assert(leat_memory_reserve(memory, 1, BUDGET / 2, &second));
    ck_assert(!leat_memory_reserve(memory, 0, BUDGET / 2, &first));
    ck_assert_uint_eq(leat_memory_rows_of(memory, 0), 9 * MIB);
    leat_memory_give_back(memory, &second);
    leat_memory_discharge(memory, 0, LEAT_MEMORY_ROWS, 9 * MIB);
    leat_memory_discharge(memory, 1, LEAT_MEMORY_ROWS, 8 * MIB);
    ck_assert_uint_eq(leat_memory_total(memory), 0);
    leat_memory_free(memory);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tests = tcase_create("memory");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, test_random_reads_stay_within_the_budget, 1, 6);
    tcase_add_test(tests, test_a_share_is_guaranteed);
    tcase_add_test(tests, test_somebody_always_moves);
    tcase_add_test(tests, test_plenty_leaves_half);
    tcase_add_test(tests, test_rows_have_a_share_of_their_own);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
