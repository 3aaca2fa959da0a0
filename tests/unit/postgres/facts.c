/* Which defaults, as pg_get_expr prints them, are nothing for a rule. */
#include "postgres/facts.h"

#include "base/memory.h"

#include <check.h>

static const struct {
    const char *expression;
    bool is_null, is_zero;
} cases[] = {
    {"0", false, true},
    {"0.00", false, true},
    {"'0'::bigint", false, true},
    {"(0)::numeric", false, true},
    {"'-0.0'::numeric(10,2)", false, true},
    {"'0'::double precision", false, true},
    {"NULL::bigint", true, false},
    {"NULL::character varying", true, false},
    {"100", false, false},
    {"0.5", false, false},
    {"'-1'::integer", false, false},
    {"(0 + 5)", false, false},
    {"(0)::numeric + 1", false, false},
    {"now()", false, false},
    {"nextval('a_seq'::regclass)", false, false},
    {"'NULL'::text", false, false},
    {"''::text", false, false},
};

START_TEST(test_a_default)
{
    ck_assert_int_eq(leat_pg_default_is_null(cases[_i].expression), cases[_i].is_null);
    ck_assert_int_eq(leat_pg_default_is_zero(cases[_i].expression), cases[_i].is_zero);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("facts");
    TCase *tests = tcase_create("facts");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, test_a_default, 0, (int)LEAT_COUNT_OF(cases));
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
