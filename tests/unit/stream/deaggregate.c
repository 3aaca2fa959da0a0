/* Aggregates taken apart: KPL, gzip'd JSON arrays, and every way in which they can be wrong. */
#include "stream/deaggregate.h"

#include <check.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "support/slow.h"

static struct leat_raw_record raw;
static struct leat_buf bytes, message;

static void
setup(void)
{
    leat_buf_init(&bytes, SIZE_MAX);
    leat_buf_init(&message, SIZE_MAX);
    raw = (struct leat_raw_record){.partition_key = leat_slice_from("container"),
                                   .sequence = leat_slice_from("42"),
                                   .arrival_us = 5};
}

static void
teardown(void)
{
    leat_buf_release(&bytes);
    leat_buf_release(&message);
}

static void
add_varint(struct leat_buf *buf, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        leat_buf_add_byte(buf, (unsigned char)(value | 0x80));
    leat_buf_add_byte(buf, (unsigned char)value);
}

static void
add_field(struct leat_buf *buf, unsigned number, struct leat_slice data)
{
    add_varint(buf, number << 3 | 2);
    add_varint(buf, data.size);
    leat_buf_add_slice(buf, data);
}

static void
add_user_record(unsigned key, int hash_key, const char *data)
{
    LEAT_AUTO_BUF record = LEAT_BUF_INIT;

    add_varint(&record, 1 << 3);
    add_varint(&record, key);
    if (hash_key >= 0) {
        add_varint(&record, 2 << 3);
        add_varint(&record, (uint64_t)hash_key);
    }
    add_field(&record, 3, leat_slice_from(data));
    add_field(&record, 4, leat_slice_from("a tag, to be skipped"));
    add_field(&message, 3, leat_buf_slice(&record));
}

static void
seal(void)
{
    unsigned char digest[EVP_MAX_MD_SIZE];

    EVP_Digest(message.data, message.size, digest, NULL, EVP_md5(), NULL);
    leat_buf_clear(&bytes);
    leat_buf_add(&bytes, "\xF3\x89\x9A\xC2", 4);
    leat_buf_add_slice(&bytes, leat_buf_slice(&message));
    leat_buf_add(&bytes, digest, 16);
    raw.data = leat_buf_slice(&bytes);
}

static void
compress_text(const char *text, size_t size)
{
    z_stream stream = {.next_in = (unsigned char *)text, .avail_in = (unsigned)size};

    deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    leat_buf_clear(&bytes);
    leat_buf_reserve(&bytes, size + 1000);
    stream.next_out = bytes.data;
    stream.avail_out = (unsigned)(size + 1000);
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    bytes.size = (size_t)(stream.next_out - bytes.data);
    deflateEnd(&stream);
    raw.data = leat_buf_slice(&bytes);
}

static struct leat_deaggregator *
begin(void)
{
    struct leat_deaggregator *deaggregator = leat_deaggregator_new(NULL, NULL, NULL);

    leat_deaggregator_begin(deaggregator, &raw);
    return deaggregator;
}

static struct leat_user_record
expect(struct leat_deaggregator *deaggregator, const char *data,
       enum leat_user_record_status status)
{
    struct leat_user_record record;

    ck_assert(leat_deaggregator_next(deaggregator, &record));
    ck_assert_msg(leat_slice_is(record.record.data, data), "\"%.*s\" is not \"%s\"",
                  (int)record.record.data.size, (const char *)record.record.data.data, data);
    ck_assert_int_eq(record.status, status);
    return record;
}

static void
expect_end(struct leat_deaggregator *deaggregator)
{
    struct leat_user_record record;

    ck_assert(!leat_deaggregator_next(deaggregator, &record));
    ck_assert(!leat_deaggregator_next(deaggregator, &record));
    leat_deaggregator_free(deaggregator);
}

START_TEST(test_a_plain_record_stays_as_it_is)
{
    struct leat_deaggregator *deaggregator;
    struct leat_user_record record;

    raw.data = leat_slice_from("{}");
    deaggregator = begin();
    record = expect(deaggregator, "{}", LEAT_USER_RECORD_GOOD);
    ck_assert_uint_eq(record.record.flags, 0);
    ck_assert(leat_slice_is(record.record.partition_key, "container"));
    expect_end(deaggregator);
}
END_TEST

START_TEST(test_a_kpl_aggregate_is_taken_apart)
{
    struct leat_deaggregator *deaggregator;
    struct leat_user_record record;

    add_field(&message, 1, leat_slice_from("a"));
    add_field(&message, 1, leat_slice_from("b"));
    add_field(&message, 2, leat_slice_from("17"));
    add_user_record(1, -1, "one");
    add_user_record(0, 0, "two");
    seal();
    deaggregator = begin();
    record = expect(deaggregator, "one", LEAT_USER_RECORD_GOOD);
    ck_assert(leat_slice_is(record.record.partition_key, "b"));
    ck_assert_uint_eq(record.record.sub_sequence_number, 0);
    ck_assert_uint_eq(record.record.flags, LEAT_RECORD_AGGREGATED);
    record = expect(deaggregator, "two", LEAT_USER_RECORD_GOOD);
    ck_assert(leat_slice_is(record.record.explicit_hash_key, "17"));
    ck_assert_uint_eq(record.record.sub_sequence_number, 1);
    ck_assert(leat_slice_is(record.record.sequence_number, "42"));
    expect_end(deaggregator);
}
END_TEST

START_TEST(test_a_wrong_md5_is_a_plain_record)
{
    struct leat_deaggregator *deaggregator;
    struct leat_user_record record;

    add_field(&message, 1, leat_slice_from("a"));
    add_user_record(0, -1, "one");
    seal();
    bytes.data[bytes.size - 1] ^= 1;
    deaggregator = begin();
    ck_assert(leat_deaggregator_next(deaggregator, &record));
    ck_assert(leat_slice_equals(record.record.data, raw.data));
    ck_assert_uint_eq(leat_deaggregator_counts(deaggregator).bad_md5, 1);
    expect_end(deaggregator);
}
END_TEST

START_TEST(test_what_follows_a_bad_index_is_told_one_by_one)
{
    struct leat_deaggregator *deaggregator;

    add_field(&message, 1, leat_slice_from("a"));
    add_user_record(0, -1, "good");
    add_user_record(9, -1, "bad");
    add_user_record(0, -1, "behind");
    seal();
    deaggregator = begin();
    expect(deaggregator, "good", LEAT_USER_RECORD_GOOD);
    expect(deaggregator, "bad", LEAT_USER_RECORD_BAD_INDEX);
    expect(deaggregator, "behind", LEAT_USER_RECORD_BAD_INDEX);
    expect_end(deaggregator);
}
END_TEST

START_TEST(test_keys_of_a_neighbour_shard_are_told_one_by_one)
{
    struct leat_hash_key start = {0, 0}, end = {0, 100};
    struct leat_deaggregator *deaggregator = leat_deaggregator_new(NULL, &start, &end);

    add_field(&message, 1, leat_slice_from("a"));
    add_field(&message, 2, leat_slice_from("100"));
    add_field(&message, 2, leat_slice_from("101"));
    add_user_record(0, 0, "inside");
    add_user_record(0, 1, "outside");
    add_user_record(0, 0, "inside, too");
    seal();
    leat_deaggregator_begin(deaggregator, &raw);
    expect(deaggregator, "inside", LEAT_USER_RECORD_GOOD);
    expect(deaggregator, "outside", LEAT_USER_RECORD_OUTSIDE_HASH_RANGE);
    expect(deaggregator, "inside, too", LEAT_USER_RECORD_GOOD);
    expect_end(deaggregator);
}
END_TEST

START_TEST(test_an_empty_aggregate_gives_nothing)
{
    add_field(&message, 1, leat_slice_from("a"));
    seal();
    expect_end(begin());
}
END_TEST

START_TEST(test_a_gzipped_array_is_taken_apart)
{
    static const char text[] = " [ {\"a\": [1, \"]\"]} , -1.5e3,\"x\\\"]\" ,null, [] ] \n";
    struct leat_deaggregator *deaggregator;
    size_t held;

    compress_text(text, sizeof text - 1);
    deaggregator = begin();
    expect(deaggregator, "{\"a\": [1, \"]\"]}", LEAT_USER_RECORD_GOOD);
    expect(deaggregator, "-1.5e3", LEAT_USER_RECORD_GOOD);
    expect(deaggregator, "\"x\\\"]\"", LEAT_USER_RECORD_GOOD);
    expect(deaggregator, "null", LEAT_USER_RECORD_GOOD);
    /* A batch ends here, in the middle of the array: what is still needed stays, and is not expanded again. */
    leat_deaggregator_reset_but_open(deaggregator);
    held = leat_deaggregator_held_bytes(deaggregator);
    ck_assert(held > 0 && leat_deaggregator_is_open(deaggregator));
    ck_assert(leat_deaggregator_begin(deaggregator, &raw));
    ck_assert_uint_eq(leat_deaggregator_held_bytes(deaggregator), held);
    for (int i = 0; i < 4; i++)
        ck_assert(leat_deaggregator_next(deaggregator, &(struct leat_user_record){0}));
    ck_assert_uint_eq(expect(deaggregator, "[]", LEAT_USER_RECORD_GOOD).record.sub_sequence_number,
                      4);
    ck_assert(!leat_deaggregator_next(deaggregator, &(struct leat_user_record){0}));
    ck_assert(!leat_deaggregator_is_open(deaggregator));
    leat_deaggregator_reset_but_open(deaggregator);
    ck_assert_uint_eq(leat_deaggregator_held_bytes(deaggregator), 0);
    expect_end(deaggregator);
}
END_TEST

/* A record of `size` blanks in brackets, with its own sequence number. */
static void
compress_array(size_t size, const char *sequence)
{
    char *text = leat_alloc(size);

    memset(text, ' ', size);
    text[0] = '[';
    text[size - 2] = '1';
    text[size - 1] = ']';
    compress_text(text, size);
    free(text);
    raw.sequence = leat_slice_from(sequence);
}

START_TEST(test_what_expands_asks_the_budget_first)
{
    struct leat_memory *memory = leat_memory_new((size_t)8 << 20, 1);
    struct leat_expand_limits limits = {.limit_bytes = (size_t)64 << 20, .ratio = 100000};
    struct leat_deaggregator *first = leat_deaggregator_new(&limits, NULL, NULL);
    struct leat_deaggregator *second = leat_deaggregator_new(&limits, NULL, NULL);
    struct leat_user_record record;

    leat_memory_set_expansion_share(memory, (size_t)4 << 20);
    leat_deaggregator_charge_to(first, memory);
    leat_deaggregator_charge_to(second, memory);
    compress_array((size_t)20 << 20, "1");
    ck_assert(leat_deaggregator_begin(first, &raw));
    ck_assert_uint_eq(leat_memory_used(memory, LEAT_MEMORY_EXPANDED), (size_t)20 << 20);
    /* Two at once would be too much: the second waits, and is begun when the first is done. */
    ck_assert(!leat_memory_is_expansion_wanted(memory));
    ck_assert(!leat_deaggregator_begin(second, &raw));
    ck_assert(!leat_deaggregator_next(second, &record));
    ck_assert(leat_memory_is_expansion_wanted(memory));
    leat_deaggregator_reset(first);
    ck_assert(leat_deaggregator_begin(second, &raw));
    ck_assert(leat_deaggregator_next(second, &record));
    ck_assert(record.status == LEAT_USER_RECORD_GOOD && leat_slice_is(record.record.data, "1"));
    leat_deaggregator_reset(second);
    ck_assert_uint_eq(leat_memory_used(memory, LEAT_MEMORY_EXPANDED), 0);
    /* More than the budget allows for one is told, whatever the configured limit. */
    compress_array((size_t)29 << 20, "2");
    ck_assert(leat_deaggregator_begin(first, &raw));
    ck_assert(leat_deaggregator_next(first, &record));
    ck_assert_int_eq(record.status, LEAT_USER_RECORD_TOO_LARGE);
    leat_deaggregator_free(first);
    leat_deaggregator_free(second);
    ck_assert_uint_eq(leat_memory_total(memory), 0);
    leat_memory_free(memory);
}
END_TEST

/* `keys` empty keys of two bytes each, and one record that names the last of them. */
START_TEST(test_empty_keys_cost_four_bytes_as_far_as_they_are_named)
{
    static const struct {
        uint64_t index;
        size_t bytes;
    } cases[] = {{0, 4}, {519999, 520000 * 4}, {520000, 520000 * 4}, {UINT64_MAX, 0}};
    struct leat_deaggregator *deaggregator;
    struct leat_user_record record;
    LEAT_AUTO_BUF inner = LEAT_BUF_INIT;

    for (int i = 0; i < 520000; i++)
        add_field(&message, 1, leat_slice_from(""));
    leat_buf_add_byte(&inner, 1 << 3);
    add_varint(&inner, cases[_i].index);
    add_field(&inner, 3, leat_slice_from("d"));
    add_field(&message, 3, leat_buf_slice(&inner));
    seal();
    deaggregator = begin();
    ck_assert_uint_eq(leat_deaggregator_held_bytes(deaggregator), cases[_i].bytes);
    ck_assert(leat_deaggregator_next(deaggregator, &record));
    ck_assert_int_eq(record.status, _i < 2 ? LEAT_USER_RECORD_GOOD : LEAT_USER_RECORD_BAD_INDEX);
    leat_deaggregator_reset(deaggregator);
    ck_assert_uint_eq(leat_deaggregator_held_bytes(deaggregator), 0);
    leat_deaggregator_free(deaggregator);
}
END_TEST

static const struct {
    const char *text, *good, *rest;
} bad_arrays[] = {
    {"[1,2", "1", NULL},       {"[1 2]", "1", "2]"}, {"[1,]", "1", ",]"},
    {"[1,{\"a\"]", "1", NULL}, {"[1] x", "1", "x"},
};

START_TEST(test_the_rest_of_a_bad_array_is_told)
{
    struct leat_deaggregator *deaggregator;
    struct leat_user_record record;
    bool is_bad = false;

    compress_text(bad_arrays[_i].text, strlen(bad_arrays[_i].text));
    deaggregator = begin();
    expect(deaggregator, bad_arrays[_i].good, LEAT_USER_RECORD_GOOD);
    while (leat_deaggregator_next(deaggregator, &record)) {
        is_bad = record.status == LEAT_USER_RECORD_BAD_ARRAY;
        if (is_bad && bad_arrays[_i].rest != NULL)
            ck_assert(leat_slice_is(record.record.data, bad_arrays[_i].rest));
    }
    ck_assert(is_bad);
    leat_deaggregator_free(deaggregator);
}
END_TEST

/* It would not have been expanded: so it is no bomb, whatever its ratio. */
START_TEST(test_what_is_no_array_is_no_bomb)
{
    size_t size = (size_t)8 << 20;
    char *zeros = leat_alloc_zero(1, size);
    struct leat_deaggregator *deaggregator;
    struct leat_user_record record;

    if (_i == 1)
        memcpy(zeros, "{\"a\": 1}", 8);
    compress_text(zeros, size);
    free(zeros);
    deaggregator = begin();
    ck_assert(leat_deaggregator_next(deaggregator, &record));
    ck_assert_int_eq(record.status, LEAT_USER_RECORD_GOOD);
    ck_assert(leat_slice_equals(record.record.data, raw.data));
    ck_assert_int_eq(record.record.flags, 0);
    expect_end(deaggregator);
}
END_TEST

static void
add_tail(const char *tail, size_t size)
{
    leat_buf_add(&bytes, tail, size);
    raw.data = leat_buf_slice(&bytes);
}

/* As gzip and Python read them: zero bytes are padding, members may follow one another, also behind padding. */
START_TEST(test_padding_and_members)
{
    LEAT_AUTO_BUF first = LEAT_BUF_INIT;
    static const char zeros[3];
    struct leat_deaggregator *deaggregator;

    compress_text("[1,", 3);
    leat_buf_add_slice(&first, raw.data);
    if (_i == 1)
        leat_buf_add(&first, zeros, 3);
    compress_text("2]", 2);
    leat_buf_add_slice(&first, raw.data);
    if (_i > 0)
        leat_buf_add(&first, zeros, 3);
    raw.data = leat_buf_slice(&first);
    deaggregator = begin();
    expect(deaggregator, "1", LEAT_USER_RECORD_GOOD);
    expect(deaggregator, "2", LEAT_USER_RECORD_GOOD);
    expect_end(deaggregator);
}
END_TEST

static const struct {
    const char *tail;
    size_t size;
} garbage[] = {{"x", 1}, {"\0\0x", 3}, {"\x1f\x8b", 2}, {"\x1f\x8b\x08\0", 4}, {"[2]", 3}};

/* Python refuses them, gzip warns: handed on as they came, nothing of it is lost. */
START_TEST(test_garbage_behind_it)
{
    struct leat_deaggregator *deaggregator;
    struct leat_user_record record;

    compress_text("[1]", 3);
    add_tail(garbage[_i].tail, garbage[_i].size);
    deaggregator = begin();
    ck_assert(leat_deaggregator_next(deaggregator, &record));
    ck_assert(leat_slice_equals(record.record.data, raw.data));
    ck_assert_int_eq(record.status, LEAT_USER_RECORD_GOOD);
    expect_end(deaggregator);
}
END_TEST

static struct leat_deaggregator *
begin_with(const struct leat_expand_limits *limits)
{
    struct leat_hash_key start = {0, 0}, end = {0, 100};
    struct leat_deaggregator *deaggregator = leat_deaggregator_new(limits, &start, &end);

    ck_assert(leat_deaggregator_begin(deaggregator, &raw));
    return deaggregator;
}

START_TEST(test_elements_have_a_limit)
{
    struct leat_expand_limits limits = {.elements = 3};
    static const char *const arrays[] = {"[1,2,3]", "[1,2,3,4]", "[1,2,", "[1,2,3,"};
    struct leat_deaggregator *deaggregator;
    struct leat_user_record record;

    compress_text(arrays[_i], strlen(arrays[_i]));
    deaggregator = begin_with(&limits);
    if (_i % 2 == 0) {
        ck_assert_uint_eq(leat_deaggregator_elements(deaggregator), 3);
        expect(deaggregator, "1", LEAT_USER_RECORD_GOOD);
        leat_deaggregator_skip(deaggregator);
        ck_assert(!leat_deaggregator_is_open(deaggregator));
    } else {
        ck_assert(leat_deaggregator_next(deaggregator, &record));
        ck_assert_int_eq(record.status, LEAT_USER_RECORD_TOO_MANY);
        ck_assert(leat_slice_equals(record.record.data, raw.data));
    }
    expect_end(deaggregator);
}
END_TEST

START_TEST(test_records_of_an_aggregate_have_a_limit)
{
    struct leat_expand_limits limits = {.elements = 2};
    struct leat_user_record record;
    struct leat_deaggregator *deaggregator;

    add_field(&message, 1, leat_slice_from("a"));
    for (int i = 0; i < 2 + _i; i++)
        add_user_record(0, -1, "x");
    seal();
    deaggregator = begin_with(&limits);
    ck_assert(leat_deaggregator_next(deaggregator, &record));
    ck_assert_int_eq(record.status == LEAT_USER_RECORD_TOO_MANY, _i == 1);
    leat_deaggregator_free(deaggregator);
}
END_TEST

/* One of three lies outside. */
START_TEST(test_what_lies_outside_as_configured)
{
    struct leat_expand_limits limits = {.outside = (enum leat_outside)_i};
    struct leat_deaggregator *deaggregator;
    struct leat_deaggregator_counts counts;

    add_field(&message, 1, leat_slice_from("a"));
    add_field(&message, 2, leat_slice_from("100"));
    add_field(&message, 2, leat_slice_from("101"));
    add_user_record(0, 0, "inside");
    add_user_record(0, 1, "outside");
    add_user_record(0, 0, "inside, too");
    seal();
    deaggregator = begin_with(&limits);
    if (_i != LEAT_OUTSIDE_DROP_AGGREGATE) {
        expect(deaggregator, "inside", LEAT_USER_RECORD_GOOD);
        ck_assert(expect(deaggregator, "outside",
                         _i == LEAT_OUTSIDE_KEEP_ALL ? LEAT_USER_RECORD_GOOD
                                                     : LEAT_USER_RECORD_OUTSIDE_HASH_RANGE)
                      .is_outside);
        ck_assert(!expect(deaggregator, "inside, too", LEAT_USER_RECORD_GOOD).is_outside);
    }
    counts = leat_deaggregator_counts(deaggregator);
    ck_assert_uint_eq(counts.outside_hash_range, 1);
    ck_assert_uint_eq(counts.dropped_aggregates, _i == LEAT_OUTSIDE_DROP_AGGREGATE);
    expect_end(deaggregator);
}
END_TEST

START_TEST(test_an_aggregate_of_one_shard_is_not_dropped)
{
    struct leat_expand_limits limits = {.outside = LEAT_OUTSIDE_DROP_AGGREGATE};
    struct leat_deaggregator *deaggregator;

    add_field(&message, 1, leat_slice_from("a"));
    add_field(&message, 2, leat_slice_from("100"));
    add_user_record(0, 0, "inside");
    add_user_record(0, 0, "inside, too");
    seal();
    deaggregator = begin_with(&limits);
    expect(deaggregator, "inside", LEAT_USER_RECORD_GOOD);
    expect(deaggregator, "inside, too", LEAT_USER_RECORD_GOOD);
    ck_assert_uint_eq(leat_deaggregator_counts(deaggregator).dropped_aggregates, 0);
    expect_end(deaggregator);
}
END_TEST

START_TEST(test_a_bomb_is_held_below_its_limit)
{
    size_t size = (size_t)40 << 20;
    char *spaces = leat_alloc(size); /* what may still become an array */
    struct leat_deaggregator *deaggregator;
    struct leat_user_record record;

    memset(spaces, ' ', size);
    compress_text(spaces, size);
    free(spaces);
    deaggregator = begin();
    ck_assert(leat_deaggregator_next(deaggregator, &record));
    ck_assert_int_eq(record.status, LEAT_USER_RECORD_TOO_LARGE);
    ck_assert(leat_slice_equals(record.record.data, raw.data));
    ck_assert_uint_eq(leat_deaggregator_held_bytes(deaggregator), 0);
    expect_end(deaggregator);
}
END_TEST

START_TEST(test_gzip_that_is_cut_or_holds_no_array_is_plain)
{
    struct leat_deaggregator *deaggregator;
    struct leat_user_record record;

    compress_text("{\"not\": \"an array\"}", 19);
    raw.data.size -= _i == 0 ? 0 : 3;
    deaggregator = begin();
    ck_assert(leat_deaggregator_next(deaggregator, &record));
    ck_assert_int_eq(record.status, LEAT_USER_RECORD_GOOD);
    ck_assert(leat_slice_equals(record.record.data, raw.data));
    expect_end(deaggregator);
}
END_TEST

/* Whatever is cut or changed: it ends, and every byte that comes out lies in memory we own (ASan watches). */
START_TEST(test_damaged_aggregates_end)
{
    struct leat_random random;

    leat_random_seed(&random, 3);
    add_field(&message, 1, leat_slice_from("key"));
    add_field(&message, 2, leat_slice_from("12"));
    for (int i = 0; i < 10; i++)
        add_user_record(0, i % 2 - 1, "some data");
    for (size_t round = 0; round < test_rounds(3000); round++) {
        struct leat_deaggregator *deaggregator;
        struct leat_user_record record;
        size_t count = 0;

        message.data[leat_random_below(&random, message.size)] ^=
            (unsigned char)(1 << leat_random_below(&random, 8));
        seal();
        deaggregator = begin();
        while (leat_deaggregator_next(deaggregator, &record))
            count++;
        ck_assert_uint_le(count, message.size);
        leat_deaggregator_free(deaggregator);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("deaggregate");
    TCase *tests = tcase_create("deaggregate");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_a_plain_record_stays_as_it_is);
    tcase_add_test(tests, test_a_kpl_aggregate_is_taken_apart);
    tcase_add_test(tests, test_a_wrong_md5_is_a_plain_record);
    tcase_add_test(tests, test_what_follows_a_bad_index_is_told_one_by_one);
    tcase_add_test(tests, test_keys_of_a_neighbour_shard_are_told_one_by_one);
    tcase_add_test(tests, test_an_empty_aggregate_gives_nothing);
    tcase_add_test(tests, test_a_gzipped_array_is_taken_apart);
    tcase_add_loop_test(tests, test_what_is_no_array_is_no_bomb, 0, 2);
    tcase_add_loop_test(tests, test_padding_and_members, 0, 3);
    tcase_add_loop_test(tests, test_garbage_behind_it, 0, (int)LEAT_COUNT_OF(garbage));
    tcase_add_loop_test(tests, test_elements_have_a_limit, 0, 4);
    tcase_add_loop_test(tests, test_records_of_an_aggregate_have_a_limit, 0, 2);
    tcase_add_loop_test(tests, test_what_lies_outside_as_configured, 0, 3);
    tcase_add_test(tests, test_an_aggregate_of_one_shard_is_not_dropped);
    tcase_add_test(tests, test_what_expands_asks_the_budget_first);
    tcase_add_loop_test(tests, test_empty_keys_cost_four_bytes_as_far_as_they_are_named, 0, 4);
    tcase_add_loop_test(tests, test_the_rest_of_a_bad_array_is_told, 0,
                        (int)LEAT_COUNT_OF(bad_arrays));
    tcase_add_test(tests, test_a_bomb_is_held_below_its_limit);
    tcase_add_loop_test(tests, test_gzip_that_is_cut_or_holds_no_array_is_plain, 0, 2);
    tcase_add_test(tests, test_damaged_aggregates_end);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
