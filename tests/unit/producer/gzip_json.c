/* Arrays written, and read back by the reader that consumers use; texts that it would take for a bomb among them. */
#include "producer/gzip_json.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "stream/deaggregate.h"
#include "support/slow.h"

#include <check.h>

static struct leat_gzip_json array;
static struct leat_buf sealed;

static void
setup(void)
{
    leat_gzip_json_init(&array, (size_t)1 << 20);
    leat_buf_init(&sealed, SIZE_MAX);
}

static void
teardown(void)
{
    leat_gzip_json_release(&array);
    leat_buf_release(&sealed);
}

static struct leat_raw_record
seal(void)
{
    leat_buf_clear(&sealed);
    leat_gzip_json_seal(&array, &sealed);
    ck_assert_uint_le(sealed.size, array.maximum_bytes);
    return (struct leat_raw_record){.data = leat_buf_slice(&sealed),
                                    .partition_key = leat_slice_from("device-1"),
                                    .sequence = leat_slice_from("1")};
}

static void
expect(struct leat_deaggregator *deaggregator, struct leat_slice data)
{
    struct leat_user_record record;

    ck_assert(leat_deaggregator_next(deaggregator, &record));
    ck_assert_int_eq(record.status, LEAT_USER_RECORD_GOOD);
    ck_assert_uint_eq(record.record.flags, LEAT_RECORD_AGGREGATED);
    ck_assert(leat_slice_is(record.record.partition_key, "device-1"));
    ck_assert(leat_slice_equals(record.record.data, data));
}

START_TEST(is_read_back)
{
    static const char *const values[] = {
        "{\"a\":[1,2,{\"b\":\"},]\\\"\"}]}",
        "[]",
        "\"text, with a comma\"",
        "-1.5e3",
        "null",
        "true",
        "{\"\xC3\xA4\":\"\\u00e4\"}",
    };
    struct leat_deaggregator *deaggregator = leat_deaggregator_new(NULL, NULL, NULL);
    struct leat_user_record record;
    struct leat_raw_record raw;

    for (size_t i = 0; i < LEAT_COUNT_OF(values); i++) {
        struct leat_slice element;

        ck_assert_msg(leat_gzip_json_is_element(leat_slice_from(values[i]), &element), "%s",
                      values[i]);
        ck_assert(leat_gzip_json_add(&array, element));
    }
    raw = seal();
    leat_deaggregator_begin(deaggregator, &raw);
    for (size_t i = 0; i < LEAT_COUNT_OF(values); i++)
        expect(deaggregator, leat_slice_from(values[i]));
    ck_assert(!leat_deaggregator_next(deaggregator, &record));
    leat_deaggregator_free(deaggregator);
}
END_TEST

START_TEST(what_is_an_element)
{
    static const char *const not [] = {
        "",   " ",   "1,2",      "1 2", "{",    "{\"a\":}", "]",        "[1",
        "1]", "NaN", "\"a\nb\"", "'a'", "text", "{} {}",    "\"\xFF\"", "[1],[2]"};
    struct leat_slice element;
    char deep[200];

    for (size_t i = 0; i < LEAT_COUNT_OF(not ); i++)
        ck_assert_msg(!leat_gzip_json_is_element(leat_slice_from(not [i]), &element), "%s",
                      not [i]);
    ck_assert(!leat_gzip_json_is_element(leat_slice_make("1\0", 2), &element));
    ck_assert(leat_gzip_json_is_element(leat_slice_from(" \t{\"a\": 1}\r\n"), &element));
    ck_assert(leat_slice_is(element, "{\"a\": 1}"));
    memset(deep, '[', 80);
    memset(deep + 80, ']', 80);
    ck_assert(!leat_gzip_json_is_element(leat_slice_make(deep, 160), &element));
}
END_TEST

/* The same record a hundred thousand times: gzip alone would make a thousandth of it, which no reader takes. */
START_TEST(never_a_bomb)
{
    struct leat_slice element = leat_slice_from("{\"a\":0}");
    size_t count, counts[] = {2, 1000, 8191, 8192, 8193, 20000, 90000, SIZE_MAX};
    size_t rounds = LEAT_COUNT_OF(counts) - (test_skips_slow() ? 3 : 0);

    for (size_t round = 0; round < rounds; round++) {
        struct leat_deaggregator *deaggregator = leat_deaggregator_new(NULL, NULL, NULL);
        struct leat_user_record record;
        struct leat_raw_record raw;

        for (count = 0; count < counts[round] && leat_gzip_json_add(&array, element); count++)
            continue;
        ck_assert(count == counts[round] || counts[round] == SIZE_MAX);
        raw = seal();
        leat_deaggregator_begin(deaggregator, &raw);
        for (size_t i = 0; i < count; i++)
            expect(deaggregator, element);
        ck_assert(!leat_deaggregator_next(deaggregator, &record));
        ck_assert_uint_eq(leat_deaggregator_counts(deaggregator).too_large, 0);
        leat_deaggregator_free(deaggregator);
    }
}
END_TEST

/* Nothing to compress: still within the limit, to the last record that was let in. */
START_TEST(noise_stays_within_the_limit)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -";
    size_t limits[] = {100, 1000, 50000, (size_t)1 << 20};
    size_t rounds = LEAT_COUNT_OF(limits) - test_skips_slow();
    struct leat_random random;

    leat_random_seed(&random, 3);
    for (size_t round = 0; round < rounds; round++) {
        char text[12] = "\"aaaaaaaa\"";
        size_t count = 0;

        array.maximum_bytes = limits[round];
        for (;; count++) {
            for (size_t i = 1; i < 9; i++)
                text[i] = letters[leat_random_below(&random, sizeof letters - 1)];
            if (!leat_gzip_json_add(&array, leat_slice_from(text)))
                break;
        }
        ck_assert_uint_gt(count, 0);
        ck_assert_uint_eq(array.count, count);
        seal();
        ck_assert_uint_eq(array.count, 0);
    }
}
END_TEST

START_TEST(element_larger_than_all)
{
    array.maximum_bytes = 80;
    ck_assert(!leat_gzip_json_add(&array, leat_slice_from("\"twenty letters and more\"")));
    ck_assert_uint_eq(array.count, 0);
    ck_assert(leat_gzip_json_add(&array, leat_slice_from("1")));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("producer/gzip_json");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, is_read_back);
    tcase_add_test(tests, what_is_an_element);
    tcase_add_test(tests, never_a_bomb);
    tcase_add_test(tests, noise_stays_within_the_limit);
    tcase_add_test(tests, element_larger_than_all);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
