/* NOTIFY is bounded: never more than ten in a second, none above a hundred workers, and what was held back is sent later. */
#include "lease/notify.h"

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "support/slow.h"

static struct leat_notify notify;

static void
begin(void)
{
    leat_notify_init(&notify, true);
}

static void
end(void)
{
    leat_notify_release(&notify);
}

START_TEST(ten_at_once_then_one_is_owed)
{
    for (int i = 0; i < LEAT_NOTIFY_PER_SECOND; i++)
        ck_assert(leat_notify_may(&notify, 5));
    ck_assert(!leat_notify_may_owed(&notify, 5 + LEAT_SECOND_US));
    ck_assert(!leat_notify_may(&notify, 6));
    ck_assert(!leat_notify_may_owed(&notify, 4 + LEAT_SECOND_US));
    ck_assert(leat_notify_may_owed(&notify, 5 + LEAT_SECOND_US));
    ck_assert(!leat_notify_may_owed(&notify, 5 + LEAT_SECOND_US));
}
END_TEST

START_TEST(many_workers_send_none)
{
    notify.workers = LEAT_NOTIFY_WORKERS;
    ck_assert(leat_notify_may(&notify, 5));
    notify.workers++;
    ck_assert(!leat_notify_may(&notify, 6));
    ck_assert(!leat_notify_may_owed(&notify, 100 * LEAT_SECOND_US));
    notify.workers--;
    ck_assert(leat_notify_may(&notify, 7));
    notify.is_wanted = false;
    ck_assert(!leat_notify_may(&notify, 8));
}
END_TEST

/* Bursts and silences: in any second at most ten; after the last change one is sent within a second of looking. */
START_TEST(never_more_than_ten_in_a_second)
{
    struct leat_random random;
    int64_t now_us = 0, sent_us[4000], last_change_us = -1, last_sent_us = -1;
    size_t sent = 0;

    leat_random_seed(&random, (uint64_t)_i + 1);
    while (sent < 3000) {
        bool is_change = leat_random_below(&random, 3) > 0, is_sent;

        now_us += (int64_t)leat_random_below(&random, _i % 2 == 0 ? 30000 : 300000);
        is_sent = is_change ? leat_notify_may(&notify, now_us)
                            : leat_notify_may_owed(&notify, now_us);
        if (is_change)
            last_change_us = now_us;
        if (!is_sent)
            continue;
        if (sent >= LEAT_NOTIFY_PER_SECOND)
            ck_assert_int_ge(now_us - sent_us[sent - LEAT_NOTIFY_PER_SECOND], LEAT_SECOND_US);
        sent_us[sent++] = last_sent_us = now_us;
    }
    ck_assert(last_sent_us >= last_change_us ||
              leat_notify_may_owed(&notify, last_change_us + LEAT_SECOND_US));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tests = tcase_create("notify");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, ten_at_once_then_one_is_owed);
    tcase_add_test(tests, many_workers_send_none);
    tcase_add_loop_test(tests, never_more_than_ten_in_a_second, 0, test_cases(20, 2));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
