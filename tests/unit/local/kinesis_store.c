/* The model behind the local Kinesis: hash ranges, lineage, sequence numbers, caps of reads, trimming, buckets, tokens. */
#include "local/kinesis_store.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>

#include "aws/cbor.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "local/kinesis_token.h"
#include "stream/position.h"

#define T0 (INT64_C(1790000000) * LEAT_SECOND_US)

static struct leat_local_store store;
static struct leat_local_refusal refusal;
static struct leat_local_stream *stream;

static void
setup(void)
{
    leat_local_store_init(&store);
}

static void
teardown(void)
{
    leat_local_store_release(&store);
}

static struct leat_local_stream *
create(const char *name, uint32_t shards)
{
    struct leat_local_stream *made;

    ck_assert_int_eq(
        leat_local_store_create(&store, leat_slice_from(name), shards, T0, 0, &refusal), 0);
    made = leat_local_store_find(&store, leat_slice_from(name), &refusal);
    ck_assert_ptr_nonnull(made);
    return made;
}

static uint64_t
append(struct leat_local_shard *shard, size_t size, int64_t now_us)
{
    LEAT_AUTO_FREE unsigned char *data = leat_alloc(size);
    struct leat_local_record record = {.partition_key = leat_slice_from("key"),
                                       .data = leat_slice_make(data, size)};

    memset(data, (int)('a' + shard->last % 26), size);
    return leat_local_shard_append(&store, shard, &record, now_us);
}

static struct leat_hash_key
after(struct leat_hash_key key)
{
    return (struct leat_hash_key){key.high + (key.low == UINT64_MAX), key.low + 1};
}

/* Open shards are the whole range, in order, without gap or overlap; and each routes what is its own. */
static void
check_ranges(void)
{
    struct leat_hash_key next = {0, 0};

    for (size_t i = 0; i < stream->open_count; i++) {
        struct leat_local_shard *shard = stream->open[i];

        ck_assert_int_eq(leat_hash_key_compare(shard->start, next), 0);
        ck_assert_int_le(leat_hash_key_compare(shard->start, shard->end), 0);
        ck_assert_int_eq(shard->closed_us, 0);
        ck_assert_ptr_eq(leat_local_stream_route(stream, shard->start), shard);
        ck_assert_ptr_eq(leat_local_stream_route(stream, shard->end), shard);
        next = after(shard->end);
    }
    ck_assert(next.high == 0 && next.low == 0);
}

START_TEST(shards_share_the_range)
{
    static const uint32_t counts[] = {1, 2, 3, 7, 64, 1000, 9999};

    for (size_t i = 0; i < LEAT_COUNT_OF(counts); i++) {
        char name[20];

        snprintf(name, sizeof name, "s%zu", i);
        stream = create(name, counts[i]);
        ck_assert_uint_eq(stream->open_count, counts[i]);
        check_ranges();
    }
    ck_assert_int_lt(leat_local_store_create(&store, leat_slice_from("none"), 0, T0, 0, &refusal),
                     0);
    ck_assert_str_eq(refusal.type, "ValidationException");
    ck_assert_int_lt(leat_local_store_create(&store, leat_slice_from("s0"), 1, T0, 0, &refusal), 0);
    ck_assert_str_eq(refusal.type, "ResourceInUseException");
}
END_TEST

START_TEST(any_tree_of_reshards_keeps_its_order)
{
    struct leat_random random;
    char above[LEAT_LOCAL_SEQUENCE_BYTES], below[LEAT_LOCAL_SEQUENCE_BYTES];

    leat_random_seed(&random, (uint64_t)_i);
    stream = create("tree", 3);
    for (int i = 0; i < 200; i++) {
        size_t place = leat_random_below(&random, stream->open_count);
        struct leat_local_shard *shard = stream->open[place];

        append(shard, 10, T0);
        if (leat_random_below(&random, 2) == 0 || stream->open_count == 1) {
            ck_assert_int_eq(leat_local_store_split(&store, stream, shard, NULL, T0, &refusal), 0);
        } else {
            struct leat_local_shard *other = stream->open[place > 0 ? place - 1 : 1];

            ck_assert_int_eq(leat_local_store_merge(&store, stream, shard, other, T0, &refusal), 0);
        }
        check_ranges();
    }
    for (size_t i = 0; i < stream->shard_count; i++) {
        const struct leat_local_shard *shard = stream->shards[i];

        for (uint32_t j = 0; j < shard->parent_count; j++) {
            const struct leat_local_shard *parent = stream->shards[shard->parents[j]];

            ck_assert_int_ne(parent->closed_us, 0);
            ck_assert(parent->children[0] == shard->index || parent->children[1] == shard->index);
            leat_local_sequence_format(parent, parent->last + 1, below);
            leat_local_sequence_format(shard, 0, above);
            ck_assert_int_gt(leat_sequence_order(leat_slice_from(above), leat_slice_from(below)),
                             0);
        }
        ck_assert_uint_eq(shard->child_count > 0, shard->closed_us != 0);
    }
}
END_TEST

START_TEST(wrong_reshards_are_refused)
{
    struct leat_hash_key at;

    stream = create("s", 3);
    at = stream->shards[0]->start;
    ck_assert_int_lt(leat_local_store_split(&store, stream, stream->shards[0], &at, T0, &refusal),
                     0);
    ck_assert_str_eq(refusal.type, "InvalidArgumentException");
    at = stream->shards[1]->start;
    ck_assert_int_lt(leat_local_store_split(&store, stream, stream->shards[0], &at, T0, &refusal),
                     0);
    ck_assert_int_lt(
        leat_local_store_merge(&store, stream, stream->shards[0], stream->shards[2], T0, &refusal),
        0);
    ck_assert_int_lt(
        leat_local_store_merge(&store, stream, stream->shards[0], stream->shards[0], T0, &refusal),
        0);
    ck_assert_str_eq(refusal.type, "InvalidArgumentException");
    ck_assert_uint_eq(stream->shard_count, 3);
}
END_TEST

START_TEST(sequence_numbers_are_their_shards_alone)
{
    char text[LEAT_LOCAL_SEQUENCE_BYTES];
    uint64_t number;

    stream = create("s", 2);
    leat_local_sequence_format(stream->shards[0], UINT64_C(12345678901234567890), text);
    ck_assert_uint_eq(strlen(text), 56);
    ck_assert(leat_local_sequence_parse(stream->shards[0], leat_slice_from(text), &number));
    ck_assert_uint_eq(number, UINT64_C(12345678901234567890));
    ck_assert(!leat_local_sequence_parse(stream->shards[1], leat_slice_from(text), &number));
    for (size_t i = 0; i < 56; i++) {
        char kept = text[i];

        text[i] = 'x';
        ck_assert(!leat_local_sequence_parse(stream->shards[0], leat_slice_from(text), &number));
        text[i] = kept;
    }
    ck_assert(!leat_local_sequence_parse(stream->shards[0], leat_slice_make(text, 55), &number));
}
END_TEST

/* Reads on from a position; the records' CBOR must be whole and of these numbers. */
static uint64_t
read_on(struct leat_local_shard *shard, uint64_t position, uint32_t limit, uint32_t expected)
{
    struct leat_local_read read;
    LEAT_AUTO_BUF bytes = LEAT_BUF_INIT;
    struct leat_cbor cbor;
    uint64_t next, number = position > shard->first ? position : shard->first;

    ck_assert_int_eq(leat_local_shard_read(&store, shard, position, limit, T0, &read, &refusal), 0);
    ck_assert_uint_eq(read.count, expected);
    for (size_t i = 0; i < read.run_count; i++) {
        const struct leat_local_entry *first =
            leat_local_chunk_entry(read.runs[i].chunk, read.runs[i].first);
        const struct leat_local_entry *last =
            leat_local_chunk_entry(read.runs[i].chunk, read.runs[i].first + read.runs[i].count - 1);

        leat_buf_add(&bytes, read.runs[i].chunk->bytes + first->offset,
                     last->offset + last->data_offset + last->data_size - first->offset);
    }
    ck_assert_uint_eq(bytes.size, read.cbor_bytes);
    leat_cbor_begin(&cbor, bytes.data, bytes.size);
    for (uint32_t i = 0; i < read.count; i++) {
        char sequence[LEAT_LOCAL_SEQUENCE_BYTES];
        struct leat_cbor_item item;
        struct leat_slice key;

        leat_local_sequence_format(shard, number++, sequence);
        ck_assert(leat_cbor_next(&cbor, &item) && item.type == LEAT_CBOR_MAP && item.count == 4);
        ck_assert(leat_cbor_key(&cbor, &key) && leat_slice_is(key, "SequenceNumber"));
        ck_assert(leat_cbor_next(&cbor, &item) && leat_slice_is(item.string, sequence));
        for (int j = 0; j < 3; j++)
            ck_assert(leat_cbor_key(&cbor, &key) && leat_cbor_skip(&cbor));
    }
    ck_assert(cbor.next == cbor.end && !cbor.is_bad);
    next = read.next;
    leat_local_read_release(&read);
    return next;
}

START_TEST(reads_end_at_every_cap)
{
    struct leat_local_shard *shard;
    uint64_t position = 0;

    stream = create("s", 1);
    shard = stream->shards[0];
    for (int i = 0; i < 25000; i++)
        append(shard, (size_t)i % 50, T0);
    position = read_on(shard, position, 20000, 10000);
    ck_assert_uint_eq(position, 10001);
    position = read_on(shard, position, 77, 77);
    position = read_on(shard, position, 10000, 10000);
    position = read_on(shard, position, 10000, 4923);
    ck_assert_uint_eq(position, 25001);
    ck_assert_uint_eq(read_on(shard, position, 10, 0), 25001);
    /* 10 MiB of data and keys: exactly two of these, and one that is larger alone. */
    append(shard, ((size_t)5 << 20) - 3, T0);
    append(shard, ((size_t)5 << 20) - 3, T0);
    append(shard, 1, T0);
    append(shard, (size_t)11 << 20, T0);
    append(shard, 1, T0);
    position = read_on(shard, position, 10000, 2);
    position = read_on(shard, position, 10000, 1);
    position = read_on(shard, position, 10000, 1);
    position = read_on(shard, position, 10000, 1);
    ck_assert_uint_eq(position, shard->last + 1);
}
END_TEST

START_TEST(a_read_outlives_what_it_reads)
{
    struct leat_local_read read;
    struct leat_local_shard *shard;
    const struct leat_local_entry *entry;

    stream = create("s", 1);
    shard = stream->shards[0];
    append(shard, 5, T0);
    ck_assert_int_eq(leat_local_shard_read(&store, shard, 1, 10, T0, &read, &refusal), 0);
    ck_assert_int_eq(leat_local_store_delete(&store, leat_slice_from("s"), T0, &refusal), 0);
    ck_assert_ptr_null(leat_local_store_find(&store, leat_slice_from("s"), &refusal));
    entry = leat_local_chunk_entry(read.runs[0].chunk, 0);
    ck_assert_mem_eq(read.runs[0].chunk->bytes + entry->offset + entry->data_offset, "aaaaa", 5);
    leat_local_read_release(&read);
}
END_TEST

START_TEST(times_find_records_and_trims_forget_them)
{
    struct leat_local_shard *shard;

    stream = create("s", 1);
    shard = stream->shards[0];
    for (int i = 0; i < 1000; i++)
        append(shard, 100, T0 + i / 10 * LEAT_SECOND_US);
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_eq(leat_local_shard_number_at(shard, T0 + i * LEAT_SECOND_US),
                          (uint64_t)i * 10 + 1);
        ck_assert_uint_eq(leat_local_shard_number_at(shard, T0 + i * LEAT_SECOND_US + 1),
                          (uint64_t)i * 10 + 11);
    }
    append(shard, 1, T0); /* the clock went back: arrivals do not */
    ck_assert_uint_eq(leat_local_shard_number_at(shard, T0 + 99 * LEAT_SECOND_US + 1), 1002);
    leat_local_shard_trim(&store, shard, T0 + 50 * LEAT_SECOND_US);
    ck_assert_uint_eq(shard->first, 501);
    ck_assert_uint_eq(store.records_trimmed, 500);
    read_on(shard, 1, 10000, 501);
    leat_local_shard_trim(&store, shard, INT64_MAX);
    ck_assert_uint_eq(shard->first, 1002);
    ck_assert_uint_eq(store.bytes, 0);
    ck_assert_uint_eq(append(shard, 1, T0), 1002);
    read_on(shard, 1, 10, 1);
}
END_TEST

START_TEST(retention_takes_closed_shards_away)
{
    struct leat_local_shard *shard;
    int64_t day_us = 24 * 3600 * LEAT_SECOND_US;

    stream = create("s", 1);
    shard = stream->shards[0];
    append(shard, 1, T0);
    ck_assert_int_eq(leat_local_store_split(&store, stream, shard, NULL, T0, &refusal), 0);
    leat_local_shard_expire(&store, shard, T0 + day_us);
    ck_assert(!shard->is_gone);
    leat_local_shard_expire(&store, shard, T0 + day_us + 1);
    ck_assert(shard->is_gone);
    ck_assert_ptr_null(
        leat_local_stream_shard(stream, leat_slice_from("shardId-000000000000"), &refusal));
    ck_assert_str_eq(refusal.type, "ResourceNotFoundException");
}
END_TEST

START_TEST(buckets_fill_by_time_and_may_be_overdrawn)
{
    struct leat_local_bucket bucket = {0};

    for (int i = 0; i < 5; i++) {
        ck_assert(leat_local_bucket_has(&bucket, 5, T0, 1));
        leat_local_bucket_take(&bucket, 5, 1);
    }
    ck_assert(!leat_local_bucket_has(&bucket, 5, T0, 1));
    ck_assert(!leat_local_bucket_has(&bucket, 5, T0 + 199999, 1));
    ck_assert(leat_local_bucket_has(&bucket, 5, T0 + 200000, 1));
    leat_local_bucket_take(&bucket, 5, 26);
    ck_assert(!leat_local_bucket_has(&bucket, 5, T0 + 200000 + 5 * LEAT_SECOND_US, 1));
    ck_assert(leat_local_bucket_has(&bucket, 5, T0 + 400001 + 5 * LEAT_SECOND_US, 1));
    ck_assert(leat_local_bucket_has(&bucket, 5, T0 + 60 * LEAT_SECOND_US, 100)); /* full */
    ck_assert(leat_local_bucket_has(&bucket, 0, T0, 1e9));                       /* no limit */
}
END_TEST

START_TEST(tokens_come_back_unchanged_or_not_at_all)
{
    struct leat_local_token token = {LEAT_LOCAL_TOKEN_ITERATOR, 7, 8, 9, 10, 0, -11, 12, T0};
    struct leat_local_token back;
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_local_token_format(&token, &text);
    ck_assert(leat_local_token_parse(leat_buf_slice(&text), LEAT_LOCAL_TOKEN_ITERATOR, 7, &back));
    ck_assert_uint_eq(back.stream, 8);
    ck_assert_uint_eq(back.shard, 9);
    ck_assert_uint_eq(back.number, 10);
    ck_assert_int_eq(back.filter_us, -11);
    ck_assert_int_eq(back.issued_us, T0);
    ck_assert(!leat_local_token_parse(leat_buf_slice(&text), LEAT_LOCAL_TOKEN_PAGE, 7, &back));
    ck_assert(!leat_local_token_parse(leat_buf_slice(&text), LEAT_LOCAL_TOKEN_ITERATOR, 6, &back));
    for (size_t i = 0; i < text.size; i++) {
        text.data[i] ^= 1;
        ck_assert(
            !leat_local_token_parse(leat_buf_slice(&text), LEAT_LOCAL_TOKEN_ITERATOR, 7, &back));
        text.data[i] ^= 1;
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("local/kinesis_store");
    TCase *tests = tcase_create("store");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, shards_share_the_range);
    tcase_add_loop_test(tests, any_tree_of_reshards_keeps_its_order, 0, 10);
    tcase_add_test(tests, wrong_reshards_are_refused);
    tcase_add_test(tests, sequence_numbers_are_their_shards_alone);
    tcase_add_test(tests, reads_end_at_every_cap);
    tcase_add_test(tests, a_read_outlives_what_it_reads);
    tcase_add_test(tests, times_find_records_and_trims_forget_them);
    tcase_add_test(tests, retention_takes_closed_shards_away);
    tcase_add_test(tests, buckets_fill_by_time_and_may_be_overdrawn);
    tcase_add_test(tests, tokens_come_back_unchanged_or_not_at_all);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
