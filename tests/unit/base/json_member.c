/* What is found is what was written; text that is no JSON ends without a read behind its end. */
#include "tests/unit/base/suite.h"

#include <string.h>

#include "base/json_member.h"

static const struct {
    const char *text, *key, *value; /* NULL: not there */
} cases[] = {
    {"{\"a\":1}", "a", "1"},
    {" { \"a\" : 123456789012345678901234567890 , \"b\":2}", "a", "123456789012345678901234567890"},
    {"{\"b\":{\"a\":1},\"c\":[{\"a\":2},\"}\"],\"a\":-1.50e+10 }", "a", "-1.50e+10"},
    {"{\"a\":1,\"a\":2}", "a", "2"},
    {"{\"\\u0061\":3}", "a", "3"},
    {"{\"x\\\"\":1,\"a\":\"\\\\\"}", "a", "\"\\\\\""},
    {"{\"a\":[1,{\"b\":\"]\"}]\n}", "a", "[1,{\"b\":\"]\"}]"},
    {"{\"a\":null}", "a", "null"},
    {"{}", "a", NULL},
    {"[{\"a\":1}]", "a", NULL},
    {"{\"ab\":1}", "a", NULL},
    {"\"a\"", "a", NULL},
    {"", "a", NULL},
    {"{", "a", NULL},
    {"{\"a", "a", NULL},
    {"{\"a\"", "a", ""},
    {"{\"a\":\"\\", "a", "\"\\"},
    {"{\"a\":]]]}", "a", NULL},
};

START_TEST(a_case)
{
    struct leat_slice value = {0};
    size_t size = strlen(cases[_i].text);
    unsigned char *copy = malloc(size + 1); /* of its size, for sanitizers */

    memcpy(copy, cases[_i].text, size);
    if (cases[_i].value == NULL) {
        leat_json_member(leat_slice_make(copy, size), cases[_i].key, &value);
    } else {
        ck_assert(leat_json_member(leat_slice_make(copy, size), cases[_i].key, &value));
        ck_assert_msg(leat_slice_is(value, cases[_i].value), "%.*s", (int)value.size, value.data);
    }
    free(copy);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("base/json_member");
    TCase *tests = tcase_create("base/json_member");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tests, a_case, 0, LEAT_COUNT_OF(cases));
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
