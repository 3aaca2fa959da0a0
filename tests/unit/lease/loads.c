/* Loads as bytes: there and back, what is left out, and what is put onto which lease. */
#include "lease/loads.h"

#include <check.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "support/leases.h"
#include "support/slow.h"

START_TEST(test_steps_are_near_what_they_stand_for)
{
    ck_assert_uint_eq(leat_load_step(-1), 0);
    ck_assert_uint_eq(leat_load_step(999), 0);
    ck_assert_uint_eq(leat_load_step(1000), 1);
    ck_assert_uint_eq(leat_load_step(INT64_MAX), 255);
    ck_assert_int_eq(leat_load_busy_us(0), 0);
    for (int64_t busy_us = 1000; busy_us < 32000000; busy_us += busy_us / 50) {
        double back = (double)leat_load_busy_us(leat_load_step(busy_us));

        ck_assert_double_eq_tol(back / (double)busy_us, 1, 0.025);
    }
    for (unsigned step = 1; step <= 255; step++)
        ck_assert_uint_eq(leat_load_step(leat_load_busy_us((uint8_t)step) + 1), step);
}
END_TEST

static int
by_hash(const void *a, const void *b)
{
    const struct leat_load *left = a, *right = b;

    return left->hash < right->hash ? -1 : left->hash > right->hash;
}

START_TEST(test_there_and_back)
{
    struct leat_random random;

    leat_random_seed(&random, 3);
    for (size_t round = 0; round < test_rounds(2000); round++) {
        struct leat_load loads[100], kept[100], back[100];
        size_t count = leat_random_below(&random, 100), kept_count = 0;
        LEAT_AUTO_BUF out = LEAT_BUF_INIT;

        for (size_t i = 0; i < count; i++) {
            loads[i] = (struct leat_load){(uint32_t)leat_random_next(&random),
                                          (uint8_t)(leat_random_below(&random, 512) / 2)};
            if (loads[i].step > 0)
                kept[kept_count++] = loads[i];
        }
        leat_loads_encode(loads, count, &out);
        ck_assert_uint_eq(out.size, kept_count == 0 ? 0 : 1 + 5 * kept_count);
        ck_assert_uint_eq(leat_loads_count(leat_buf_slice(&out)), kept_count);
        leat_loads_decode(leat_buf_slice(&out), back);
        qsort(kept, kept_count, sizeof *kept, by_hash);
        for (size_t i = 0; i < kept_count; i++) {
            ck_assert_uint_eq(back[i].hash, kept[i].hash);
            ck_assert_uint_eq(back[i].step, kept[i].step);
        }
    }
}
END_TEST

START_TEST(test_a_worker_without_leases_tells_none)
{
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    leat_loads_encode(NULL, 0, &out);
    ck_assert_uint_eq(out.size, 0);
}
END_TEST

START_TEST(test_of_a_hash_the_busier_one_is_kept)
{
    struct leat_load loads[] = {{7, 3}, {7, 9}, {7, 5}};
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    leat_loads_encode(loads, 3, &out);
    ck_assert_uint_eq(out.size, 6);
    ck_assert_uint_eq(out.data[5], 9);
}
END_TEST

START_TEST(test_no_more_than_the_busiest_are_told)
{
    size_t count = LEAT_LOADS_MOST + 10;
    struct leat_load *loads = LEAT_NEW_ARRAY(struct leat_load, count);
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    for (size_t i = 0; i < count; i++)
        loads[i] = (struct leat_load){(uint32_t)i, i < 10 ? 1 : 2};
    leat_loads_encode(loads, count, &out);
    ck_assert_uint_eq(leat_loads_count(leat_buf_slice(&out)), LEAT_LOADS_MOST);
    leat_loads_decode(leat_buf_slice(&out), loads);
    ck_assert_uint_eq(loads[0].hash, 10);
    free(loads);
}
END_TEST

/* What another version or a broken one wrote is no load, and no error. */
START_TEST(test_what_is_no_array_is_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\1", 1},                      /* nothing behind the version */
        {"\2\0\0\0\1\1", 6},            /* another version */
        {"\1\0\0\0\1", 5},              /* cut */
        {"\1\0\0\0\1\0", 6},            /* a load of 0 */
        {"\1\0\0\0\2\1\0\0\0\1\1", 11}, /* not ascending */
        {"\1\0\0\0\2\1\0\0\0\2\1", 11}, /* twice */
    };

    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++)
        ck_assert_uint_eq(leat_loads_count(leat_slice_make(bad[i].bytes, bad[i].size)), SIZE_MAX);
    ck_assert_uint_eq(leat_loads_count(leat_slice_from("")), 0);
}
END_TEST

/* Written by workers of every version: it must never change. */
START_TEST(test_the_hash_stays_what_it_is)
{
    struct leat_lease_key key = {leat_slice_from("arn:aws:kinesis:eu-west-1:1:stream/s@1"),
                                 leat_slice_from("shardId-000000000007")};

    ck_assert_uint_eq(leat_load_hash(key), UINT32_C(4126072010));
}
END_TEST

START_TEST(test_ten_thousand_shards_hardly_ever_share_a_hash)
{
    struct fleet fleet;
    struct leat_load *loads = LEAT_NEW_ARRAY(struct leat_load, 10000);
    LEAT_AUTO_BUF out = LEAT_BUF_INIT;

    fleet_init(&fleet, 10000, 1);
    for (size_t i = 0; i < 10000; i++)
        loads[i] = (struct leat_load){leat_load_hash(fleet.leases[i].key), 1};
    leat_loads_encode(loads, 10000, &out);
    ck_assert_uint_ge(leat_loads_count(leat_buf_slice(&out)), 9998);
    free(loads);
    fleet_release(&fleet);
}
END_TEST

static void
encode_one(struct leat_lease_key key, uint8_t step, struct leat_buf *out)
{
    struct leat_load load = {leat_load_hash(key), step};

    leat_loads_encode(&load, 1, out);
}

/* The owner's word, else anybody's: the shard has moved a moment ago, or its owner is gone. */
START_TEST(test_the_owner_knows_best)
{
    LEAT_AUTO_BUF first = LEAT_BUF_INIT;
    LEAT_AUTO_BUF second = LEAT_BUF_INIT;
    struct leat_worker_loads loads[3];
    struct fleet fleet;

    fleet_init(&fleet, 4, 2);
    encode_one(fleet.leases[0].key, 33, &first);
    encode_one(fleet.leases[0].key, 65, &second);
    loads[0] = (struct leat_worker_loads){1, leat_buf_slice(&first)};
    loads[1] = (struct leat_worker_loads){2, leat_buf_slice(&second)};
    loads[2] = (struct leat_worker_loads){3, leat_slice_from("nonsense")};
    fleet.leases[1].lease_owner = 1;
    for (int64_t owner = 1; owner <= 2; owner++) {
        fleet.leases[0].lease_owner = owner;
        leat_loads_apply(loads, 3, fleet.leases, 4);
        ck_assert_int_eq(fleet.leases[0].busy_us, leat_load_busy_us(owner == 1 ? 33 : 65));
    }
    fleet.leases[0].lease_owner = 9;
    leat_loads_apply(loads, 3, fleet.leases, 4);
    ck_assert_int_eq(fleet.leases[0].busy_us, leat_load_busy_us(33));
    ck_assert_int_eq(fleet.leases[1].busy_us, 0);  /* owned, and nobody names it: idle */
    ck_assert_int_eq(fleet.leases[2].busy_us, -1); /* of nobody: not known */
    fleet_release(&fleet);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("loads");
    TCase *tests = tcase_create("loads");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_steps_are_near_what_they_stand_for);
    tcase_add_test(tests, test_there_and_back);
    tcase_add_test(tests, test_a_worker_without_leases_tells_none);
    tcase_add_test(tests, test_of_a_hash_the_busier_one_is_kept);
    tcase_add_test(tests, test_no_more_than_the_busiest_are_told);
    tcase_add_test(tests, test_what_is_no_array_is_refused);
    tcase_add_test(tests, test_the_hash_stays_what_it_is);
    tcase_add_test(tests, test_ten_thousand_shards_hardly_ever_share_a_hash);
    tcase_add_test(tests, test_the_owner_knows_best);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
