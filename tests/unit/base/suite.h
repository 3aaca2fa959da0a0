/* What each test of the base library opens with: one suite, one runner, a seed that can be given again. */
#ifndef TESTS_UNIT_BASE_SUITE_H
#define TESTS_UNIT_BASE_SUITE_H

#include <check.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"
#include "base/random.h"

#define TEXT(literal) leat_slice_from(literal)
#define CASES 5000

static inline int
suite_run(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 30);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

/* LEAT_SEED=n repeats another run's cases. */
static inline struct leat_random
suite_random(void)
{
    const char *text = getenv("LEAT_SEED");
    struct leat_random random;

    leat_random_seed(&random, text != NULL ? strtoull(text, NULL, 10) : 20220101);
    return random;
}

#define SUITE_MAIN(name, ...)                                                                      \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
                                                                                                   \
        return suite_run(name, tests, LEAT_COUNT_OF(tests));                                       \
    }

#endif
