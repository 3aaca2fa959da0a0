/* The order of version texts. */
#include "lease/build.h"

#include <check.h>

#include "base/memory.h"
#include "base/random.h"
#include "support/slow.h"

/* Each older than the next. */
static const char *const ascending[] = {
    "",      "0.1.0",        "0.2.0~beta1",   "0.2.0~rc1", "0.2.0-rc2", "0.2.0-rc10",
    "0.2.0", "0.2.0-5-gabc", "0.2.0-12-gabc", "0.2.1",     "0.10.0",    "v1.0",
    "1.0.1", "1.9",          "1.10",          "2",         "20261126",
};

static int
sign(int order)
{
    return order < 0 ? -1 : order > 0;
}

static int
order(const char *a, const char *b)
{
    return sign(leat_build_order(leat_slice_from(a), leat_slice_from(b)));
}

START_TEST(test_each_is_older_than_the_next)
{
    for (size_t i = 0; i < LEAT_COUNT_OF(ascending); i++) {
        for (size_t j = 0; j < LEAT_COUNT_OF(ascending); j++)
            ck_assert_msg(order(ascending[i], ascending[j]) == (i > j) - (i < j), "%s %s",
                          ascending[i], ascending[j]);
    }
}
END_TEST

START_TEST(test_what_does_not_count)
{
    ck_assert_int_eq(order("v1.2.3", "1.2.3"), 0);
    ck_assert_int_eq(order("1.2.3+debug", "1.2.3"), 0);
    ck_assert_int_eq(order("1.02.3", "1.2.3"), 0);
    ck_assert_int_eq(order("1_2_3", "1.2.3"), 0);
    ck_assert_int_eq(order("99999999999999999999999999", "100000000000000000000000000"), -1);
}
END_TEST

/* A sane order for any bytes, so that sorting by it ends and "newest" is one. */
START_TEST(test_it_is_an_order)
{
    static const char alphabet[] = "0019.-~+vabrc ";
    struct leat_random random;

    leat_random_seed(&random, 7);
    for (size_t round = 0; round < test_rounds(100000); round++) {
        char texts[3][9];
        int ab, bc, ac;

        for (size_t t = 0; t < 3; t++) {
            size_t size = leat_random_below(&random, 8);

            for (size_t i = 0; i < size; i++)
                texts[t][i] = alphabet[leat_random_below(&random, sizeof alphabet - 1)];
            texts[t][size] = '\0';
        }
        ab = order(texts[0], texts[1]);
        bc = order(texts[1], texts[2]);
        ac = order(texts[0], texts[2]);
        ck_assert_int_eq(order(texts[1], texts[0]), -ab);
        ck_assert_int_eq(order(texts[0], texts[0]), 0);
        if (ab <= 0 && bc <= 0)
            ck_assert_msg(ac == (ab < 0 || bc < 0 ? -1 : 0), "%s %s %s", texts[0], texts[1],
                          texts[2]);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("build");
    TCase *tests = tcase_create("build");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_each_is_older_than_the_next);
    tcase_add_test(tests, test_what_does_not_count);
    tcase_add_test(tests, test_it_is_an_order);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
