/* What a configuration says of streams. */
#include "stream/spec.h"

#include <check.h>
#include <stdio.h>

#include "base/memory.h"

#define ARN "arn:aws:kinesis:eu-west-1:123456789012:stream/"

START_TEST(test_names_arns_and_patterns)
{
    static const struct {
        const char *spec, *name;
        bool matches;
    } cases[] = {
        {"orders", "orders", true},
        {"orders", "orders-eu", false},
        {"orders-*", "orders-eu", true},
        {ARN "orders", "orders", true},
        {ARN "orders", "other", false},
        {"arn:aws:kinesis:us-east-1:123456789012:stream/orders", "orders", false},
        {ARN "orders-*", "orders-eu", true},
        {"arn:*:stream/orders-*", "orders-eu", true},
        {"arn:*", "orders", true},
        {"*", "orders", true},
        {"*arn:*", "orders", false},
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
        char arn[200];

        snprintf(arn, sizeof arn, ARN "%s", cases[i].name);
        ck_assert_msg(leat_stream_spec_matches(cases[i].spec, cases[i].name, arn) ==
                          cases[i].matches,
                      "%s %s", cases[i].spec, cases[i].name);
    }
    ck_assert_str_eq(leat_stream_spec_name(ARN "orders"), "orders");
    ck_assert_str_eq(leat_stream_spec_name("orders"), "orders");
    ck_assert(leat_stream_spec_is_pattern(ARN "*") && !leat_stream_spec_is_pattern(ARN "orders"));
}
END_TEST

START_TEST(test_the_first_counts)
{
    static const char *const specs[] = {"orders-eu", "orders-*", "*"};

    ck_assert_uint_eq(leat_stream_spec_first(specs, 3, "orders-eu", ARN "orders-eu"), 0);
    ck_assert_uint_eq(leat_stream_spec_first(specs, 3, "orders-us", ARN "orders-us"), 1);
    ck_assert_uint_eq(leat_stream_spec_first(specs, 3, "clicks", ARN "clicks"), 2);
    ck_assert_uint_eq(leat_stream_spec_first(specs, 2, "clicks", ARN "clicks"), 2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("spec");
    TCase *tests = tcase_create("spec");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_names_arns_and_patterns);
    tcase_add_test(tests, test_the_first_counts);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
