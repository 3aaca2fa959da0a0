#include "lease/abreast.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"
#include "support/patience.h"

#include <check.h>

static _Atomic unsigned times[100], inside, most;

static void
count(void *context, size_t index)
{
    unsigned now = ++inside;

    if (now > most)
        most = now;
    times[index]++;
    inside--;
}

START_TEST(each_is_called_once)
{
    for (size_t n = 0; n <= 100; n = n < 10 ? n + 1 : n + 45) {
        for (size_t i = 0; i < 100; i++)
            times[i] = 0;
        leat_abreast(n, count, NULL);
        for (size_t i = 0; i < 100; i++)
            ck_assert_uint_eq(times[i], i < n);
    }
    ck_assert_uint_le(most, LEAT_ABREAST_MOST);
}
END_TEST

struct gate {
    struct leat_mutex lock;
    struct leat_condition condition;
    size_t others LEAT_FIELD_GUARDED_BY(lock);
};

/* The first one waits for all others: alone it would wait in vain. */
static void
wait_for_others(void *context, size_t index)
{
    struct gate *gate = context;
    int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US;

    leat_mutex_lock(&gate->lock);
    if (index > 0)
        gate->others++;
    leat_condition_broadcast(&gate->condition);
    while (index == 0 && gate->others < 19 && leat_clock_monotonic_us() < until_us)
        leat_condition_wait_until(&gate->condition, &gate->lock, until_us);
    ck_assert(index > 0 || gate->others == 19);
    leat_mutex_unlock(&gate->lock);
}

START_TEST(one_that_hangs_holds_up_nobody)
{
    struct gate gate = {0};

    leat_mutex_init(&gate.lock);
    leat_condition_init(&gate.condition);
    leat_abreast(20, wait_for_others, &gate);
    leat_condition_release(&gate.condition);
    leat_mutex_release(&gate.lock);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("abreast");
    TCase *tests = tcase_create("abreast");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, each_is_called_once);
    tcase_add_test(tests, one_that_hangs_holds_up_nobody);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
