/* Hash keys of 128 bits, shard lists, checkpoints as text and the order of sequence numbers. */
#include "stream/shard.h"

#include <check.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "stream/position.h"

#define MAXIMUM "340282366920938463463374607431768211455"

START_TEST(test_hash_keys_go_there_and_back)
{
    struct leat_random random;

    leat_random_seed(&random, 7);
    for (int i = 0; i < 5000; i++) {
        struct leat_hash_key key = {leat_random_next(&random) >> leat_random_below(&random, 64),
                                    leat_random_next(&random)},
                             again;
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;

        leat_hash_key_format(key, &text);
        ck_assert(leat_hash_key_parse(leat_buf_slice(&text), &again));
        ck_assert_int_eq(leat_hash_key_compare(key, again), 0);
    }
}
END_TEST

START_TEST(test_hash_keys_out_of_range_are_refused)
{
    static const char *const bad[] = {"", "-1", "1x", "340282366920938463463374607431768211456",
                                      "9999999999999999999999999999999999999999"};
    struct leat_hash_key key;

    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++)
        ck_assert_msg(!leat_hash_key_parse(leat_slice_from(bad[i]), &key), "%s", bad[i]);
    ck_assert(leat_hash_key_parse(leat_slice_from(MAXIMUM), &key));
    ck_assert_uint_eq(key.high, UINT64_MAX);
    ck_assert_uint_eq(key.low, UINT64_MAX);
}
END_TEST

/* MD5("") = d41d8cd98f00b204e9800998ecf8427e (RFC 1321). */
START_TEST(test_a_partition_key_hashes_by_md5)
{
    struct leat_hash_key key;

    leat_hash_key_of(leat_slice_from(""), &key);
    ck_assert_uint_eq(key.high, UINT64_C(0xd41d8cd98f00b204));
    ck_assert_uint_eq(key.low, UINT64_C(0xe9800998ecf8427e));
}
END_TEST

START_TEST(test_a_list_keeps_its_own_bytes)
{
    struct leat_shard_list list;
    char name[40] = "shardId-000000000001";
    struct leat_shard_facts facts = {.shard = leat_slice_from(name),
                                     .parents = {leat_slice_from("shardId-000000000000")},
                                     .parent_count = 1};

    leat_shard_list_init(&list);
    leat_shard_list_add(&list, &facts);
    name[19] = '9';
    ck_assert_ptr_nonnull(leat_shard_list_find(&list, leat_slice_from("shardId-000000000001")));
    ck_assert_ptr_null(leat_shard_list_find(&list, leat_slice_from(name)));
    ck_assert(leat_slice_is(list.shards[0].parents[0], "shardId-000000000000"));
    leat_shard_list_release(&list);
}
END_TEST

START_TEST(test_checkpoints_go_there_and_back)
{
    static const char *const good[] = {"TRIM_HORIZON", "SHARD_END", "AT_TIMESTAMP:1700000000123456",
                                       "0",
                                       "49590338271490256608559692538361571095921575989136588898"};
    static const char *const bad[] = {"",    "LATEST", "AT_TIMESTAMP:", "AT_TIMESTAMP:x",
                                      "12a", "-1",     "trim_horizon"};

    for (size_t i = 0; i < LEAT_COUNT_OF(good); i++) {
        struct leat_position position;
        LEAT_AUTO_BUF text = LEAT_BUF_INIT;

        ck_assert_int_eq(leat_position_parse(leat_slice_from(good[i]), 3, &position, NULL), 0);
        leat_position_format(&position, &text);
        ck_assert_str_eq(leat_buf_text(&text), good[i]);
    }
    for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++) {
        struct leat_position position;
        struct leat_error err;

        ck_assert_int_eq(leat_position_parse(leat_slice_from(bad[i]), -1, &position, &err),
                         LEAT_E_FORMAT);
    }
}
END_TEST

START_TEST(test_sequence_numbers_order_by_length_then_bytes)
{
    ck_assert_int_lt(leat_sequence_order(leat_slice_from("9"), leat_slice_from("10")), 0);
    ck_assert_int_gt(leat_sequence_order(leat_slice_from("21"), leat_slice_from("12")), 0);
    ck_assert_int_eq(leat_sequence_order(leat_slice_from("12"), leat_slice_from("12")), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("shard");
    TCase *tests = tcase_create("shard");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, test_hash_keys_go_there_and_back);
    tcase_add_test(tests, test_hash_keys_out_of_range_are_refused);
    tcase_add_test(tests, test_a_partition_key_hashes_by_md5);
    tcase_add_test(tests, test_a_list_keeps_its_own_bytes);
    tcase_add_test(tests, test_checkpoints_go_there_and_back);
    tcase_add_test(tests, test_sequence_numbers_order_by_length_then_bytes);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
