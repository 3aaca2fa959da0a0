/* The first names keep their place, the others share one, whatever threads ask at once. */
#include "tests/unit/base/suite.h"

#include <stdatomic.h>
#include <string.h>

#include "base/labels.h"
#include "base/thread.h"

START_TEST(a_name_keeps_its_place)
{
    struct leat_labels *labels = leat_labels_new(2);
    size_t a = leat_labels_index(labels, TEXT("a")), b = leat_labels_index(labels, TEXT("b"));

    ck_assert_uint_ne(a, b);
    ck_assert(a > 0 && b > 0 && a < leat_labels_size(labels) && b < leat_labels_size(labels));
    ck_assert_uint_eq(leat_labels_index(labels, TEXT("c")), 0);
    ck_assert_uint_eq(leat_labels_index(labels, TEXT("b")), b);
    ck_assert_uint_eq(leat_labels_index(labels, TEXT("a")), a);
    ck_assert_uint_eq(leat_labels_index(labels, TEXT("c")), 0);
    ck_assert_str_eq(leat_labels_name(labels, a), "a");
    ck_assert_str_eq(leat_labels_name(labels, b), "b");
    ck_assert_str_eq(leat_labels_name(labels, 0), LEAT_LABELS_OTHER);
    leat_labels_free(labels);
}
END_TEST

START_TEST(none_may_be_told_by_name)
{
    struct leat_labels *labels = leat_labels_new(0);

    ck_assert_uint_eq(leat_labels_index(labels, TEXT("a")), 0);
    ck_assert_uint_eq(leat_labels_size(labels), 1);
    leat_labels_free(labels);
    ck_assert_uint_eq(leat_labels_index(NULL, TEXT("a")), 0);
    ck_assert_uint_eq(leat_labels_size(NULL), 1);
    ck_assert_str_eq(leat_labels_name(NULL, 0), LEAT_LABELS_OTHER);
}
END_TEST

#define THREADS 4
#define NAMES 40
#define MOST 25

static struct leat_labels *shared;
static _Atomic size_t indexes[NAMES];

static void
ask(void *context)
{
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < NAMES; i++) {
            size_t expected = SIZE_MAX, index;
            char name[24];

            snprintf(name, sizeof name, "stream-%zu", i);
            index = leat_labels_index(shared, leat_slice_from(name));
            if (!atomic_compare_exchange_strong(&indexes[i], &expected, index))
                ck_assert_uint_eq(index, expected);
            if (index > 0)
                ck_assert_str_eq(leat_labels_name(shared, index), name);
        }
    }
}

START_TEST(all_threads_hear_the_same)
{
    struct leat_thread threads[THREADS];
    struct leat_error err;
    size_t named = 0;

    shared = leat_labels_new(MOST);
    for (size_t i = 0; i < NAMES; i++)
        indexes[i] = SIZE_MAX;
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(leat_thread_start(&threads[i], "ask", ask, NULL, &err), 0);
    for (int i = 0; i < THREADS; i++)
        leat_thread_join(&threads[i]);
    for (size_t i = 0; i < NAMES; i++)
        named += indexes[i] > 0;
    ck_assert_uint_eq(named, MOST);
    leat_labels_free(shared);
}
END_TEST

SUITE_MAIN("base/labels", a_name_keeps_its_place, none_may_be_told_by_name,
           all_threads_hear_the_same)
