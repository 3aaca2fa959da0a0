/* What a variable or a profile's key may say: blanks say nothing, nonsense is refused by name. */
#include <check.h>
#include <stdlib.h>

#include "aws/setting.h"
#include "base/memory.h"

static struct leat_error err;

static struct leat_setting
setting(const char *text)
{
    return (struct leat_setting){.text = (char *)text, .name = "AWS_X"};
}

START_TEST(booleans)
{
    static const char *const truths[] = {"true", "TRUE", "True"};
    static const char *const lies[] = {"false", "FALSE", "fALSE"};
    static const char *const nonsense[] = {"1", "0", "yes", "truee", "t", "on", "tr ue"};
    struct leat_setting given;
    bool value = false;

    for (size_t i = 0; i < LEAT_COUNT_OF(truths); i++) {
        value = false;
        given = setting(truths[i]);
        ck_assert_int_eq(leat_setting_bool(&given, &value, &err), 0);
        ck_assert(value);
    }
    for (size_t i = 0; i < LEAT_COUNT_OF(lies); i++) {
        value = true;
        given = setting(lies[i]);
        ck_assert_int_eq(leat_setting_bool(&given, &value, &err), 0);
        ck_assert(!value);
    }
    for (size_t i = 0; i < LEAT_COUNT_OF(nonsense); i++) {
        given = setting(nonsense[i]);
        ck_assert_int_eq(leat_setting_bool(&given, &value, &err), LEAT_E_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, "AWS_X"));
    }
    value = true;
    given = setting(NULL);
    ck_assert_int_eq(leat_setting_bool(&given, &value, &err), 0);
    ck_assert(value);
}
END_TEST

START_TEST(counts)
{
    static const char *const nonsense[] = {
        "0", "-1", "+3", "3.0", "three", "101", "0x3", "3 ", "99999999999999999999999"};
    struct leat_setting given = setting("100");
    unsigned value = 7;

    ck_assert_int_eq(leat_setting_count(&given, 100, &value, &err), 0);
    ck_assert_uint_eq(value, 100);
    for (size_t i = 0; i < LEAT_COUNT_OF(nonsense); i++) {
        given = setting(nonsense[i]);
        ck_assert_msg(leat_setting_count(&given, 100, &value, &err) == LEAT_E_INVALID, "%s",
                      nonsense[i]);
        ck_assert_ptr_nonnull(strstr(err.text, "AWS_X"));
    }
    given = setting(NULL);
    ck_assert_int_eq(leat_setting_count(&given, 100, &value, &err), 0);
    ck_assert_uint_eq(value, 100);
}
END_TEST

START_TEST(choices)
{
    static const char *const names[] = {"legacy", "standard", "adaptive", NULL};
    struct leat_setting given = setting("Standard");
    unsigned value = 9;

    ck_assert_int_eq(leat_setting_choice(&given, names, &value, &err), 0);
    ck_assert_uint_eq(value, 1);
    given = setting("std");
    ck_assert_int_eq(leat_setting_choice(&given, names, &value, &err), LEAT_E_INVALID);
    ck_assert_str_eq(err.text, "AWS_X is none of legacy, standard, adaptive");
}
END_TEST

START_TEST(where_from)
{
    struct leat_setting given;

    setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
    setenv("LEAT_TEST_X", " value \r\n", 1);
    ck_assert_int_eq(leat_setting_get("LEAT_TEST_X", NULL, "x", &given, &err), 0);
    ck_assert_str_eq(given.text, "value");
    ck_assert_str_eq(given.name, "LEAT_TEST_X");
    leat_setting_release(&given);
    setenv("LEAT_TEST_X", " \t\n", 1);
    ck_assert_int_eq(leat_setting_get("LEAT_TEST_X", NULL, "x", &given, &err), 0);
    ck_assert_ptr_null(given.text);
    ck_assert_int_eq(leat_setting_get("LEAT_TEST_X", NULL, NULL, &given, &err), 0);
    ck_assert_ptr_null(given.text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("aws setting");
    TCase *tests = tcase_create("aws setting");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, booleans);
    tcase_add_test(tests, counts);
    tcase_add_test(tests, choices);
    tcase_add_test(tests, where_from);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
