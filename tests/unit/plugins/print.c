/* Print and null: every record has its row, whatever bytes it carries; null has none. */
#include "base/encoding.h"
#include "base/memory.h"
#include "support/processor.h"

#include <stdlib.h>

#include <check.h> /* last: it defines a macro `fail` */

enum { STREAM, SHARD, SEQUENCE, SUB, KEY, KEY_BASE64, ARRIVAL, DATA, DATA_BASE64 };

static struct test_processor print;
static struct leat_error err;

static struct leat_record
record_of(const char *sequence, struct leat_slice key, struct leat_slice data)
{
    return (struct leat_record){.size = sizeof(struct leat_record),
                                .data = data,
                                .partition_key = key,
                                .explicit_hash_key = leat_slice_from(""),
                                .sequence_number = leat_slice_from(sequence),
                                .sub_sequence_number = 3,
                                .arrival_us = 1641000000000000};
}

static void
check_text(const struct leat_value *value, const char *wanted)
{
    if (wanted == NULL) {
        ck_assert_uint_eq(value->type, LEAT_NULL);
        return;
    }
    ck_assert_uint_eq(value->type, LEAT_TEXT);
    ck_assert_msg(leat_slice_is(leat_value_slice(value), wanted), "%.*s is not %s",
                  (int)value->as.bytes.size, (const char *)value->as.bytes.data, wanted);
}

static const struct {
    const char *bytes;
    size_t size;
    const char *text, *base64;
} payloads[] = {
    {"", 0, "", NULL},
    {"plain\n", 6, "plain\n", NULL},
    {"h\xc3\xa9", 3, "h\xc3\xa9", NULL},
    {"\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80", NULL},
    {"a\0b", 3, NULL, "YQBi"},
    {"\0", 1, NULL, "AA=="},
    {"\xff\xfe", 2, NULL, "//4="},
    {"\xc3", 1, NULL, "ww=="},                 /* cut */
    {"\xed\xa0\x80", 3, NULL, "7aCA"},         /* half a surrogate pair */
    {"\xc0\xaf", 2, NULL, "wK8="},             /* longer than needed */
    {"\xf3\x89\x9a\xc2", 4, NULL, "84mawg=="}, /* an aggregate's magic */
};

START_TEST(test_each_payload_as_it_can_be_shown)
{
    struct leat_slice bytes = leat_slice_make(payloads[_i].bytes, payloads[_i].size);
    struct leat_record records[2] = {record_of("7", leat_slice_from("k"), bytes),
                                     record_of("8", bytes, leat_slice_from("d"))};
    const struct leat_value *values;

    records[1].arrival_us = 0;
    ck_assert_int_eq(test_processor_open(&print, "print", NULL, &err), 0);
    ck_assert_int_eq(test_processor_call(&print, records, 2), LEAT_DONE);
    ck_assert_uint_eq(print.row_count, 2);
    values = print.rows[0].values;
    ck_assert_ptr_eq(print.rows[0].record, &records[0]);
    check_text(&values[STREAM], "observations");
    check_text(&values[SHARD], "shardId-000000000000");
    check_text(&values[SEQUENCE], "7");
    ck_assert_int_eq(values[SUB].as.integer, 3);
    check_text(&values[KEY], "k");
    check_text(&values[KEY_BASE64], NULL);
    ck_assert_int_eq(values[ARRIVAL].as.integer, 1641000000000000);
    check_text(&values[DATA], payloads[_i].text);
    check_text(&values[DATA_BASE64], payloads[_i].base64);
    values = print.rows[1].values;
    check_text(&values[KEY], payloads[_i].text);
    check_text(&values[KEY_BASE64], payloads[_i].base64);
    ck_assert_uint_eq(values[ARRIVAL].type, LEAT_NULL);
    check_text(&values[DATA], "d");
    test_processor_close(&print);
}
END_TEST

/* Two binary payloads of one call do not share memory. */
START_TEST(test_the_rows_of_a_call_are_their_own)
{
    struct leat_record records[3];

    for (int i = 0; i < 3; i++)
        records[i] =
            record_of("7", leat_slice_from("k"), leat_slice_make(&"\xff\x00\xfe\x00"[i], 2));
    ck_assert_int_eq(test_processor_open(&print, "print", NULL, &err), 0);
    ck_assert_int_eq(test_processor_call(&print, records, 3), LEAT_DONE);
    check_text(&print.rows[0].values[DATA_BASE64], "/wA=");
    check_text(&print.rows[1].values[DATA_BASE64], "AP4=");
    check_text(&print.rows[2].values[DATA_BASE64], "/gA=");
    test_processor_close(&print);
}
END_TEST

START_TEST(test_null_takes_all_and_writes_nothing)
{
    struct test_processor null;
    struct leat_record record = record_of("7", leat_slice_from("k"), leat_slice_from("d"));

    ck_assert_int_eq(test_processor_open(&null, "null", NULL, &err), 0);
    ck_assert_int_eq(test_processor_call(&null, &record, 1), LEAT_DONE);
    ck_assert_uint_eq(null.row_count, 0);
    ck_assert_ptr_null(null.reasons[0]);
    ck_assert_ptr_null(null.tables[0].name);
    test_processor_close(&null);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("print");
    TCase *tests = tcase_create("print");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tests, test_each_payload_as_it_can_be_shown, 0,
                        (int)LEAT_COUNT_OF(payloads));
    tcase_add_test(tests, test_the_rows_of_a_call_are_their_own);
    tcase_add_test(tests, test_null_takes_all_and_writes_nothing);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
