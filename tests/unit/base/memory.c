/* Allocation: copies, growth, and the two ways out. */
#include "tests/unit/base/suite.h"

#include <signal.h>

START_TEST(copies_are_terminated)
{
    LEAT_AUTO_FREE char *text = leat_strdup("leat");
    LEAT_AUTO_FREE char *part = leat_slice_strdup(leat_slice_make("leather", 4));
    struct leat_slice copy = leat_slice_copy(leat_slice_make("a\0b", 3));

    ck_assert_str_eq(text, "leat");
    ck_assert_str_eq(part, "leat");
    ck_assert(leat_slice_equals(copy, leat_slice_make("a\0b", 3)));
    ck_assert_int_eq(copy.data[3], 0);
    free((void *)copy.data);
}
END_TEST

START_TEST(zeroed_and_grown)
{
    int *numbers = NULL;
    size_t capacity = 0;
    LEAT_AUTO_FREE unsigned char *zeroes = leat_alloc_zero(100, 3);

    for (int i = 0; i < 300; i++)
        ck_assert_int_eq(zeroes[i], 0);
    for (size_t i = 0; i < 1000; i++) {
        LEAT_GROW(numbers, i, capacity);
        numbers[i] = (int)i;
    }
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(numbers[i], i);
    free(numbers);
}
END_TEST

START_TEST(overflow_aborts)
{
    leat_realloc(NULL, SIZE_MAX / 2, 4);
}
END_TEST

static int
by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

START_TEST(sorts_an_array_of_none)
{
    int values[] = {3, 1, 2};

    leat_sort(NULL, 0, sizeof *values, by_value);
    leat_sort(values, LEAT_COUNT_OF(values), sizeof *values, by_value);
    ck_assert(values[0] == 1 && values[1] == 2 && values[2] == 3);
}
END_TEST

START_TEST(assert_aborts)
{
    LEAT_ASSERT(1 + 1 == 3);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("memory");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, copies_are_terminated);
    tcase_add_test(tcase, zeroed_and_grown);
    tcase_add_test(tcase, sorts_an_array_of_none);
    tcase_add_test_raise_signal(tcase, overflow_aborts, SIGABRT);
    tcase_add_test_raise_signal(tcase, assert_aborts, SIGABRT);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
