/* Aggregates written, and read back by the reader that consumers use. */
#include "producer/kpl_encode.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "stream/deaggregate.h"
#include "support/slow.h"

#include <check.h>

static struct leat_kpl_encoder encoder;
static struct leat_buf sealed;

static void
setup(void)
{
    leat_kpl_encoder_init(&encoder, (size_t)50 << 10);
    leat_buf_init(&sealed, SIZE_MAX);
}

static void
teardown(void)
{
    leat_kpl_encoder_release(&encoder);
    leat_buf_release(&sealed);
}

static bool
add(const char *key, const char *hash_key, const char *data)
{
    return leat_kpl_encoder_add(&encoder, leat_slice_from(key), leat_slice_from(hash_key),
                                leat_slice_from(data));
}

static struct leat_raw_record
seal(void)
{
    size_t expected = leat_kpl_encoder_size(&encoder);

    leat_buf_clear(&sealed);
    leat_kpl_encoder_seal(&encoder, &sealed);
    ck_assert_uint_eq(sealed.size, expected);
    ck_assert_uint_eq(encoder.count, 0);
    return (struct leat_raw_record){.data = leat_buf_slice(&sealed),
                                    .partition_key = leat_slice_from("container"),
                                    .sequence = leat_slice_from("1")};
}

static void
expect(struct leat_deaggregator *deaggregator, struct leat_slice key, struct leat_slice hash_key,
       struct leat_slice data)
{
    struct leat_user_record record;

    ck_assert(leat_deaggregator_next(deaggregator, &record));
    ck_assert_int_eq(record.status, LEAT_USER_RECORD_GOOD);
    ck_assert_uint_eq(record.record.flags, LEAT_RECORD_AGGREGATED);
    ck_assert(leat_slice_equals(record.record.partition_key, key));
    ck_assert(leat_slice_equals(record.record.explicit_hash_key, hash_key));
    ck_assert(leat_slice_equals(record.record.data, data));
}

START_TEST(is_read_back)
{
    struct leat_deaggregator *deaggregator = leat_deaggregator_new(NULL, NULL, NULL);
    struct leat_user_record record;
    struct leat_raw_record raw;

    ck_assert(add("a", "", "one"));
    ck_assert(add("b", "7", "two"));
    ck_assert(add("a", "7", ""));
    ck_assert(add("", "340282366920938463463374607431768211455", "four"));
    ck_assert_uint_eq(encoder.count, 4);
    raw = seal();
    leat_deaggregator_begin(deaggregator, &raw);
    expect(deaggregator, leat_slice_from("a"), leat_slice_from(""), leat_slice_from("one"));
    expect(deaggregator, leat_slice_from("b"), leat_slice_from("7"), leat_slice_from("two"));
    expect(deaggregator, leat_slice_from("a"), leat_slice_from("7"), leat_slice_from(""));
    expect(deaggregator, leat_slice_from(""),
           leat_slice_from("340282366920938463463374607431768211455"), leat_slice_from("four"));
    ck_assert(!leat_deaggregator_next(deaggregator, &record));
    ck_assert_uint_eq(leat_deaggregator_counts(deaggregator).bad_md5, 0);
    leat_deaggregator_free(deaggregator);
}
END_TEST

/* The reference's own example of the format, byte by byte. */
START_TEST(bytes_are_the_formats)
{
    static const unsigned char message[] = {0x0A, 1, 'k',  0x12, 1,    '5', 0x1A, 8,
                                            0x08, 0, 0x10, 0,    0x1A, 2,   'h',  'i'};
    struct leat_raw_record raw;

    ck_assert(add("k", "5", "hi"));
    raw = seal();
    ck_assert_uint_eq(raw.data.size, 4 + sizeof message + 16);
    ck_assert_mem_eq(raw.data.data, "\xF3\x89\x9A\xC2", 4);
    ck_assert_mem_eq(raw.data.data + 4, message, sizeof message);
}
END_TEST

START_TEST(keys_that_repeat_are_written_once)
{
    char key[300];
    size_t before;

    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    ck_assert(add(key, "123456789", "x"));
    before = leat_kpl_encoder_size(&encoder);
    ck_assert(add(key, "123456789", "x"));
    ck_assert_uint_lt(leat_kpl_encoder_size(&encoder) - before, 12);
}
END_TEST

/* At the limit to the byte: what fits fits, one more byte does not, and a refusal leaves all as it was. */
START_TEST(limit_is_exact)
{
    LEAT_AUTO_BUF data = LEAT_BUF_INIT;
    size_t size, before;

    ck_assert(add("a", "", "first"));
    before = leat_kpl_encoder_size(&encoder);
    leat_buf_reserve(&data, (size_t)60 << 10);
    memset(data.data, 'x', (size_t)60 << 10);
    for (size = (size_t)51 << 10; size > 0; size--) {
        data.size = size;
        if (leat_kpl_encoder_add(&encoder, leat_slice_from("new key"), leat_slice_from("9"),
                                 leat_buf_slice(&data)))
            break;
        ck_assert_uint_eq(leat_kpl_encoder_size(&encoder), before);
        ck_assert_uint_eq(encoder.count, 1);
    }
    ck_assert_uint_eq(leat_kpl_encoder_size(&encoder), encoder.maximum_bytes);
    ck_assert(!add("a", "", ""));
    ck_assert_uint_eq(encoder.count, 2);
    ck_assert_uint_eq(seal().data.size, (size_t)50 << 10);
    ck_assert(add("a", "", "")); /* room again */
}
END_TEST

START_TEST(alone_too_large)
{
    leat_kpl_encoder_release(&encoder);
    leat_kpl_encoder_init(&encoder, 30);
    ck_assert(!add("key", "", "larger than that"));
    ck_assert_uint_eq(encoder.count, 0);
    ck_assert(add("k", "", ""));
}
END_TEST

/* Any records, many keys (places beyond one byte of varint), every encoder used again and again. */
START_TEST(any_records)
{
    struct leat_deaggregator *deaggregator = leat_deaggregator_new(NULL, NULL, NULL);
    struct {
        char key[24], hash_key[24];
        size_t begin, size;
    } *wanted = leat_alloc_zero(4000, sizeof *wanted);
    static unsigned char noise[4096];
    struct leat_random random;

    leat_random_seed(&random, 20);
    leat_random_bytes(noise, sizeof noise);
    for (size_t round = 0; round < test_rounds(50); round++) {
        struct leat_raw_record raw;
        size_t count = 0;

        for (; count < 4000; count++) {
            size_t most = round % 2 == 0 ? 4 : 600;

            snprintf(wanted[count].key, sizeof wanted[count].key, "key %llu",
                     (unsigned long long)leat_random_below(&random, 300));
            wanted[count].hash_key[0] = '\0';
            if (leat_random_below(&random, 3) == 0)
                snprintf(wanted[count].hash_key, sizeof wanted[count].hash_key, "%llu",
                         (unsigned long long)leat_random_below(&random, 200));
            wanted[count].size = (size_t)leat_random_below(&random, most);
            wanted[count].begin = (size_t)leat_random_below(&random, 1000);
            if (!leat_kpl_encoder_add(
                    &encoder, leat_slice_from(wanted[count].key),
                    leat_slice_from(wanted[count].hash_key),
                    leat_slice_make(noise + wanted[count].begin, wanted[count].size)))
                break;
        }
        ck_assert_uint_gt(count, 100);
        raw = seal();
        ck_assert_uint_le(raw.data.size, encoder.maximum_bytes);
        leat_deaggregator_begin(deaggregator, &raw);
        for (size_t i = 0; i < count; i++)
            expect(deaggregator, leat_slice_from(wanted[i].key),
                   leat_slice_from(wanted[i].hash_key),
                   leat_slice_make(noise + wanted[i].begin, wanted[i].size));
        leat_deaggregator_reset(deaggregator);
    }
    free(wanted);
    leat_deaggregator_free(deaggregator);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("producer/kpl_encode");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, is_read_back);
    tcase_add_test(tests, bytes_are_the_formats);
    tcase_add_test(tests, keys_that_repeat_are_written_once);
    tcase_add_test(tests, limit_is_exact);
    tcase_add_test(tests, alone_too_large);
    tcase_add_test(tests, any_records);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
