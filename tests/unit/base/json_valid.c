/* JSON as strictly as jsonb takes it. */
#include "base/json_valid.h"

#include "base/buf.h"
#include "base/memory.h"

#include <check.h>

static const char *const good[] = {
    "{}",
    "[]",
    " [ ] ",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "12.50e-3",
    "1E+9",
    "\"\"",
    "\"a\\n\\u00e4\\\"\\/\"",
    "{\"a\": [1, {\"b\": null}, \"x\"], \"a\": 2}",
    "\t[1,\r\n2 ]",
    "\"\\ud83d\\ude00\"",
    "[[[]],{}]",
};
static const char *const bad[] = {
    "",          " ",           "nul",         "truee",       "01",
    "1.",        ".5",          "+1",          "1e",          "1e99999",
    "-",         "'a'",         "\"",          "\"a",         "\"\\x\"",
    "\"\\u12\"", "\"\\u0000\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\u0041\"",
    "\"\n\"",    "[",           "]",           "[1",          "[1,]",
    "[,1]",      "[1 2]",       "{",           "{a:1}",       "{\"a\"}",
    "{\"a\":}",  "{\"a\":1,}",  "{\"a\":1]",   "[1}",         "1 2",
    "{} {}",     "\"\xff\"",    "NaN",         "Infinity",
};

START_TEST(test_what_is_one_value)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(good); i++)
        ck_assert_msg(leat_json_is_valid(leat_slice_from(good[i])), "%s", good[i]);
    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++)
        ck_assert_msg(!leat_json_is_valid(leat_slice_from(bad[i])), "%s", bad[i]);
    ck_assert(!leat_json_is_valid(leat_slice_make("\"a\0\"", 4)));
    ck_assert(!leat_json_is_valid(leat_slice_make("1\0", 2)));
}
END_TEST

START_TEST(test_how_deep_it_may_be)
{
    for (size_t depth = 998; depth <= 1003; depth++) {
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;

        for (size_t i = 0; i < depth; i++)
            leat_buf_add_byte(&text, '[');
        leat_buf_add_byte(&text, '1');
        for (size_t i = 0; i < depth; i++)
            leat_buf_add_byte(&text, ']');
        ck_assert_int_eq(leat_json_is_valid(leat_buf_slice(&text)), depth <= 1000);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("json_valid");
    TCase *tests = tcase_create("json_valid");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_what_is_one_value);
    tcase_add_test(tests, test_how_deep_it_may_be);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
