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

START_TEST(test_what_cannot_be_stored_is_left_out)
{
    static const struct leat_shard_facts nul = {.shard = {(const unsigned char *)"a\0b", 3}};
    struct leat_shard_facts facts = {.shard = leat_slice_from("fine"), .parent_count = 2};
    struct leat_shard_list list;
    char name[129];

    memset(name, 'x', sizeof name);
    facts.parents[0] = leat_slice_make(name, 129);
    facts.parents[1] = leat_slice_make(name, 128);
    facts.starting_hash_key = leat_slice_from("12\n");
    facts.ending_hash_key = leat_slice_from("340");
    leat_shard_list_init(&list);
    leat_shard_list_add_told(&list, &nul);
    leat_shard_list_add_told(&list, &facts);
    facts.shard = leat_slice_make(name, 129);
    leat_shard_list_add_told(&list, &facts);
    facts.shard = leat_slice_from("");
    leat_shard_list_add_told(&list, &facts);
    facts.shard = leat_slice_from("caf\xc3\xa9");
    leat_shard_list_add_told(&list, &facts);
    ck_assert_uint_eq(list.count, 1);
    ck_assert_uint_eq(list.left_out_count, 4);
    ck_assert_str_eq(list.first_left_out, "a.b");
    ck_assert_uint_eq(list.shards[0].parent_count, 1);
    ck_assert_uint_eq(list.shards[0].parents[0].size, 128);
    ck_assert_uint_eq(list.shards[0].starting_hash_key.size, 0);
    ck_assert_uint_eq(list.shards[0].ending_hash_key.size, 3);
    ck_assert_uint_eq(list.misnumbered_count, 1);
    ck_assert_str_eq(list.first_misnumbered, "fine");
    leat_shard_list_release(&list);
}
END_TEST

static void
add_with(struct leat_shard_list *list, const char *shard, const char *parent, const char *other)
{
    struct leat_shard_facts facts = {.shard = leat_slice_from(shard)};

    if (parent != NULL)
        facts.parents[facts.parent_count++] = leat_slice_from(parent);
    if (other != NULL)
        facts.parents[facts.parent_count++] = leat_slice_from(other);
    leat_shard_list_add(list, &facts);
}

START_TEST(test_cycles_are_cut)
{
    struct leat_shard_list list;

    leat_shard_list_init(&list);
    add_with(&list, "root", NULL, NULL);
    add_with(&list, "child", "root", "gone");
    add_with(&list, "self", "self", NULL);
    add_with(&list, "two-a", "two-b", "root"); /* keeps the one that is no cycle's */
    add_with(&list, "two-b", "two-a", NULL);
    add_with(&list, "below", "two-b", NULL); /* of a cycle, but on none */
    add_with(&list, "three-a", "three-c", NULL);
    add_with(&list, "three-b", "three-a", NULL);
    add_with(&list, "three-c", "three-b", NULL);
    leat_shard_list_cut_cycles(&list);
    ck_assert_uint_eq(list.cyclic_count, 6);
    ck_assert_str_eq(list.first_cyclic, "self");
    for (size_t i = 0; i < list.count; i++) {
        static const size_t parents[] = {0, 2, 0, 1, 0, 1, 0, 0, 0};

        ck_assert_uint_eq(list.shards[i].parent_count, parents[i]);
    }
    ck_assert(leat_slice_is(list.shards[3].parents[0], "root"));
    list.cyclic_count = 0;
    leat_shard_list_cut_cycles(&list);
    ck_assert_uint_eq(list.cyclic_count, 0);
    leat_shard_list_release(&list);
}
END_TEST

/* A lineage of 20,000 in a row, then closed to a ring. */
START_TEST(test_a_long_ring)
{
    struct leat_shard_list list;
    char shard[24], parent[24];

    for (int is_ring = 0; is_ring < 2; is_ring++) {
        leat_shard_list_init(&list);
        for (int i = 0; i < 20000; i++) {
            snprintf(shard, sizeof shard, "s%d", i);
            snprintf(parent, sizeof parent, "s%d", i > 0 ? i - 1 : 19999);
            add_with(&list, shard, i > 0 || is_ring ? parent : NULL, NULL);
        }
        leat_shard_list_cut_cycles(&list);
        ck_assert_uint_eq(list.cyclic_count, is_ring ? 20000 : 0);
        leat_shard_list_release(&list);
    }
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
    tcase_add_test(tests, test_what_cannot_be_stored_is_left_out);
    tcase_add_test(tests, test_cycles_are_cut);
    tcase_add_test(tests, test_a_long_ring);
    tcase_add_test(tests, test_checkpoints_go_there_and_back);
    tcase_add_test(tests, test_sequence_numbers_order_by_length_then_bytes);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
