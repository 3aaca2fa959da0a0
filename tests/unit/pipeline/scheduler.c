/* Threads that do not come back are replaced, within the bound, and are too many when they do. */
#include "pipeline/scheduler.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/patience.h"

#define THREADS 2

struct job {
    struct leat_actor actor;
    _Atomic bool is_running, may_return;
    _Atomic int runs;
};

static int64_t
run(struct leat_actor *actor)
{
    struct job *job = (struct job *)actor;

    job->is_running = true;
    while (!job->may_return)
        usleep(1000);
    job->is_running = false;
    job->runs++;
    return INT64_MAX;
}

static bool
comes_true(const _Atomic bool *flag)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (!*flag && leat_clock_monotonic_us() < deadline_us)
        usleep(1000);
    return *flag;
}

static void
ck_becomes(struct leat_scheduler *scheduler, unsigned stuck, unsigned added)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    unsigned found;

    while ((found = leat_scheduler_replace(scheduler, stuck)) != added &&
           leat_clock_monotonic_us() < deadline_us)
        usleep(1000);
    ck_assert_uint_eq(found, added);
}

static void
count_running(const struct job *jobs, int count, int wanted)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    int running;

    do {
        running = 0;
        for (int i = 0; i < count; i++)
            running += jobs[i].is_running;
        usleep(1000);
    } while (running != wanted && leat_clock_monotonic_us() < deadline_us);
    ck_assert_int_eq(running, wanted);
}

START_TEST(test_stuck_threads_are_replaced)
{
    struct job jobs[12] = {0};
    struct job quick = {.actor = {.run = run}, .may_return = true};
    struct leat_error err;
    struct leat_scheduler *scheduler = leat_scheduler_new(THREADS, &err);

    ck_assert_ptr_nonnull(scheduler);
    for (int i = 0; i < 12; i++) {
        jobs[i].actor.run = run;
        leat_scheduler_wake(scheduler, &jobs[i].actor);
    }
    count_running(jobs, 12, THREADS);
    /* One for each that is stuck, until the bound is reached. */
    for (unsigned stuck = 1; stuck <= 12; stuck++) {
        unsigned added = stuck < THREADS * (LEAT_SCHEDULER_TIMES - 1)
                             ? stuck
                             : THREADS * (LEAT_SCHEDULER_TIMES - 1);

        ck_becomes(scheduler, stuck, added);
        count_running(jobs, 12, (int)(THREADS + added));
    }
    leat_scheduler_wake(scheduler, &quick.actor);
    for (int i = 0; i < 12; i++)
        jobs[i].may_return = true;
    for (int64_t until_us = leat_clock_monotonic_us() + PATIENCE_US;
         quick.runs == 0 && leat_clock_monotonic_us() < until_us;)
        usleep(1000);
    ck_assert_int_eq(quick.runs, 1);
    ck_becomes(scheduler, 0, 0);
    /* Those that are left do what is to be done, and can be replaced once more. */
    for (int i = 0; i < 12; i++) {
        jobs[i].may_return = false;
        leat_scheduler_wake(scheduler, &jobs[i].actor);
    }
    count_running(jobs, 12, THREADS);
    ck_becomes(scheduler, 2, 2);
    count_running(jobs, 12, THREADS + 2);
    for (int i = 0; i < 12; i++)
        jobs[i].may_return = true;
    leat_scheduler_wake(scheduler, &quick.actor);
    ck_assert(comes_true(&quick.may_return));
    leat_scheduler_free(scheduler);
    for (int i = 0; i < 12; i++)
        ck_assert(!jobs[i].is_running);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("scheduler");
    TCase *tests = tcase_create("scheduler");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_stuck_threads_are_replaced);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
