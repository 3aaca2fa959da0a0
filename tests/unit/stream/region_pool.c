/* Regions are reused, trimmed and bounded. */
#include "stream/region_pool.h"

#include <check.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"

#define MIB ((size_t)1 << 20)

static size_t
resident_bytes(const struct leat_region *region)
{
    unsigned char pages[4096];
    size_t count = region->capacity / 4096, resident = 0;

    ck_assert_uint_le(count, sizeof pages);
    ck_assert_int_eq(mincore(region->data, region->capacity, pages), 0);
    for (size_t i = 0; i < count; i++)
        resident += pages[i] & 1;
    return resident * 4096;
}

START_TEST(test_a_region_is_used_again)
{
    struct leat_region_pool *pool = leat_region_pool_new(4 * MIB);
    struct leat_region first = leat_region_take(pool, MIB), second;

    ck_assert_uint_ge(first.capacity, MIB);
    memset(first.data, 7, MIB);
    leat_region_trim(&first, MIB);
    ck_assert_uint_eq(first.touched_bytes, MIB);
    leat_region_give_back(pool, first);
    second = leat_region_take(pool, MIB - 5);
    ck_assert_ptr_eq(second.data, first.data);
    leat_region_give_back(pool, second);
    leat_region_pool_free(pool);
}
END_TEST

START_TEST(test_a_short_answer_lets_pages_go)
{
    struct leat_region_pool *pool = leat_region_pool_new(16 * MIB);
    struct leat_region region = leat_region_take(pool, 8 * MIB);

    memset(region.data, 7, 8 * MIB);
    leat_region_trim(&region, 8 * MIB);
    ck_assert_uint_eq(resident_bytes(&region), 8 * MIB);
    leat_region_trim(&region, 1000);
    ck_assert_uint_eq(region.touched_bytes, 4096);
    ck_assert_uint_eq(resident_bytes(&region), 4096);
    leat_region_give_back(pool, region);
    leat_region_pool_free(pool);
}
END_TEST

START_TEST(test_what_is_kept_is_bounded)
{
    struct leat_region_pool *pool = leat_region_pool_new(2 * MIB);
    struct leat_region regions[4];
    unsigned char pages[256];

    for (int i = 0; i < 4; i++) {
        regions[i] = leat_region_take(pool, MIB);
        memset(regions[i].data, i, MIB);
        leat_region_trim(&regions[i], MIB);
    }
    for (int i = 0; i < 4; i++)
        leat_region_give_back(pool, regions[i]);
    /* Two stay; the others left the process: their addresses are no memory any more. */
    ck_assert_int_eq(mincore(regions[1].data, MIB, pages), 0);
    ck_assert_int_ne(mincore(regions[3].data, MIB, pages), 0);
    leat_region_pool_free(pool);
}
END_TEST

START_TEST(test_a_fresh_one_pushes_out_a_free_one)
{
    struct leat_region_pool *pool = leat_region_pool_new(16 * MIB);
    struct leat_region small = leat_region_take(pool, MIB), large;
    unsigned char pages[256];

    memset(small.data, 1, MIB);
    leat_region_trim(&small, MIB);
    leat_region_give_back(pool, small);
    ck_assert_int_eq(mincore(small.data, MIB, pages), 0);
    large = leat_region_take(pool, 4 * MIB);
    /* Gone; or the new one lies where it was (valgrind does so). */
    ck_assert(mincore(small.data, MIB, pages) != 0 ||
              (large.data <= small.data && small.data < large.data + 4 * MIB));
    leat_region_give_back(pool, large);
    leat_region_pool_free(pool);
}
END_TEST

START_TEST(test_a_rest_costs_no_memory)
{
    struct leat_region_pool *pool = leat_region_pool_new(16 * MIB);
    struct leat_region region = leat_region_take(pool, MIB);
    unsigned char pages[256];
    int64_t now_us = leat_clock_monotonic_us();

    leat_region_give_back(pool, region);
    leat_region_pool_trim(pool, now_us);
    ck_assert_int_eq(mincore(region.data, MIB, pages), 0);
    leat_region_pool_trim(pool, leat_clock_monotonic_us() + 1);
    ck_assert_int_ne(mincore(region.data, MIB, pages), 0);
    leat_region_pool_free(pool);
}
END_TEST

START_TEST(test_larger_than_every_class)
{
    struct leat_region_pool *pool = leat_region_pool_new(MIB);
    struct leat_region region = leat_region_take(pool, 20 * MIB + 1);

    ck_assert_uint_ge(region.capacity, 20 * MIB + 1);
    region.data[20 * MIB] = 1;
    leat_region_give_back(pool, region);
    leat_region_pool_free(pool);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("region_pool");
    TCase *tests = tcase_create("region_pool");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_a_region_is_used_again);
    tcase_add_test(tests, test_a_short_answer_lets_pages_go);
    tcase_add_test(tests, test_what_is_kept_is_bounded);
    tcase_add_test(tests, test_a_fresh_one_pushes_out_a_free_one);
    tcase_add_test(tests, test_a_rest_costs_no_memory);
    tcase_add_test(tests, test_larger_than_every_class);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
