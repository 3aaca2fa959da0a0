#include "lease/latest.h"

#include "base/clock.h"
#include "base/units.h"

#include <check.h>

#define NOW_US (INT64_C(1795000000) * LEAT_SECOND_US)
#define MINUTE_US (60 * LEAT_SECOND_US)

static int64_t
latest(int64_t service_us, int64_t database_us, int64_t own_us)
{
    struct leat_clocks clocks = {service_us, database_us, own_us};
    struct leat_error err;
    int64_t now_us = -1;

    ck_assert_int_eq(leat_clocks_latest(&clocks, &now_us, &err), 0);
    return now_us;
}

START_TEST(the_service_is_believed_when_one_agrees)
{
    ck_assert_int_eq(latest(NOW_US, NOW_US, NOW_US), NOW_US);
    ck_assert_int_eq(latest(NOW_US, NOW_US + 4 * MINUTE_US, NOW_US - 4 * MINUTE_US), NOW_US);
    /* The database's clock, or our own, is the wrong one. */
    ck_assert_int_eq(latest(NOW_US, NOW_US - 600 * MINUTE_US, NOW_US), NOW_US);
    ck_assert_int_eq(latest(NOW_US, NOW_US, NOW_US + 600 * MINUTE_US), NOW_US);
}
END_TEST

START_TEST(alone_it_is_not_believed)
{
    const int64_t wrong_us[] = {INT64_C(4070908800) * LEAT_SECOND_US /* 2099 */,
                                0,
                                INT64_MAX,
                                INT64_MIN,
                                NOW_US - 6 * MINUTE_US,
                                NOW_US + 6 * MINUTE_US};

    for (size_t i = 0; i < sizeof wrong_us / sizeof wrong_us[0]; i++) {
        ck_assert_int_eq(latest(wrong_us[i], NOW_US, NOW_US + 1), NOW_US);
        ck_assert_int_eq(latest(wrong_us[i], NOW_US + 1, NOW_US), NOW_US);
    }
}
END_TEST

START_TEST(no_two_agree)
{
    struct leat_clocks clocks = {NOW_US, NOW_US + 60 * MINUTE_US, NOW_US - 60 * MINUTE_US};
    struct leat_error err;
    int64_t now_us = 7;

    ck_assert_int_eq(leat_clocks_latest(&clocks, &now_us, &err), LEAT_E_UNAVAILABLE);
    ck_assert_int_eq(now_us, 7);
    ck_assert_ptr_nonnull(strstr(err.text, "the service says"));
    ck_assert_ptr_nonnull(strstr(err.text, "the lease database"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("latest");
    TCase *tests = tcase_create("clocks");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, the_service_is_believed_when_one_agrees);
    tcase_add_test(tests, alone_it_is_not_believed);
    tcase_add_test(tests, no_two_agree);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
