/* GetRecords answers: both encodings, the emulators' peculiarities, what is cut or wrong; slices point into the bytes. */
#include <check.h>
#include <stdlib.h>

#include "aws/cbor.h"
#include "aws/kinesis.h"
#include "base/memory.h"

static struct leat_kinesis_records records;
static struct leat_buf bytes;

static int
parse_json(const char *text)
{
    leat_buf_clear(&bytes);
    leat_buf_add_text(&bytes, text);
    return leat_kinesis_records_parse(bytes.data, bytes.size, LEAT_WIRE_JSON, &records, NULL);
}

static bool
is_inside(struct leat_slice slice)
{
    return slice.data >= bytes.data && slice.data + slice.size <= bytes.data + bytes.size;
}

START_TEST(json)
{
    ck_assert_int_eq(
        parse_json(" {\"MillisBehindLatest\": 1.5E3, \"Records\":[\n"
                   "{\"Data\":\"aGVsbG8=\",\"PartitionKey\":\"a\\\"\\u00e9\\ud83d\\ude00\\n\","
                   "\"SequenceNumber\":\"49\",\"ApproximateArrivalTimestamp\":1795381536.911,"
                   "\"EncryptionType\":null},"
                   "{\"SequenceNumber\":\"50\",\"Data\":\"\",\"PartitionKey\":\"b\","
                   "\"ApproximateArrivalTimestamp\":1.795381536E9,\"X\":[{},[1,true,\"\\\\\"]]}],"
                   "\"ChildShards\":null,\"NextShardIterator\":\"AAA+/=\"} "),
        0);
    ck_assert_uint_eq(records.count, 2);
    ck_assert(leat_slice_is(records.records[0].data, "hello"));
    ck_assert(is_inside(records.records[0].data));
    ck_assert(leat_slice_is(records.records[0].partition_key, "a\"\xc3\xa9\xf0\x9f\x98\x80\n"));
    ck_assert(is_inside(records.records[0].partition_key));
    ck_assert(leat_slice_is(records.records[0].sequence, "49"));
    ck_assert_int_eq(records.records[0].arrival_us, INT64_C(1795381536911000));
    ck_assert_uint_eq(records.records[1].data.size, 0);
    ck_assert_int_eq(records.records[1].arrival_us, INT64_C(1795381536000000));
    ck_assert(leat_slice_is(records.next_iterator, "AAA+/="));
    ck_assert_int_eq(records.behind_ms, 1500);
    ck_assert(!records.is_end);
}
END_TEST

START_TEST(json_end_of_shard)
{
    ck_assert_int_eq(
        parse_json("{\"Records\":[],\"NextShardIterator\":null,\"MillisBehindLatest\":0,"
                   "\"ChildShards\":[{\"ShardId\":\"s-2\",\"ParentShards\":[\"s-0\",\"s-1\"],"
                   "\"HashKeyRange\":{\"StartingHashKey\":\"0\",\"EndingHashKey\":\"9\"}}]}"),
        0);
    ck_assert(records.is_end);
    ck_assert_uint_eq(records.child_count, 1);
    ck_assert(leat_slice_is(records.children[0].shard, "s-2"));
    ck_assert_uint_eq(records.children[0].parent_count, 2);
    ck_assert(leat_slice_is(records.children[0].parents[1], "s-1"));
    ck_assert(leat_slice_is(records.children[0].ending_hash_key, "9"));
    ck_assert_int_eq(parse_json("{\"Records\":[]}"), 0);
    ck_assert(records.is_end);
    ck_assert_int_eq(records.behind_ms, -1);
}
END_TEST

START_TEST(json_refused)
{
    static const char whole[] =
        "{\"Records\":[{\"Data\":\"aGVsbG8=\",\"PartitionKey\":\"\\u00e9\",\"SequenceNumber\":"
        "\"49\",\"ApproximateArrivalTimestamp\":1795381536.911}],\"NextShardIterator\":\"A\"}";
    static const char *const cases[] = {
        "",
        "[]",
        "{}",
        "{\"Records\":[]} x",
        "{\"Records\":{}}",
        "{\"Records\":[],\"Records\":[]}",
        "{\"Records\":[{}]}",
        "{\"Records\":[{\"SequenceNumber\":\"1\"}]}",
        "{\"Records\":[{\"Data\":\"aGVsbG8=\"}]}",
        "{\"Records\":[{\"Data\":\"a$==\",\"SequenceNumber\":\"1\"}]}",
        "{\"Records\":[{\"Data\":{\"type\":\"Buffer\",\"data\":[1]},\"SequenceNumber\":\"1\"}]}",
        "{\"Records\":[],\"a\":\"\\ud800\"}",
        "{\"Records\":[],\"a\":\"\\x\"}",
        "{\"Records\":[],\"a\":1e999}",
        "{\"Records\":[],\"ChildShards\":[{}]}",
    };

    for (size_t size = 0; size + 1 < sizeof whole; size++) {
        char cut[sizeof whole];

        memcpy(cut, whole, size);
        cut[size] = '\0';
        ck_assert_msg(parse_json(cut) == LEAT_E_FORMAT, "%s", cut);
    }
    ck_assert_int_eq(parse_json(whole), 0);
    for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++)
        ck_assert_msg(parse_json(cases[i]) == LEAT_E_FORMAT, "%s", cases[i]);
}
END_TEST

START_TEST(json_depth_is_bounded)
{
    leat_buf_clear(&bytes);
    leat_buf_add_text(&bytes, "{\"x\":");
    for (int i = 0; i < 1000000; i++)
        leat_buf_add_byte(&bytes, '[');
    ck_assert_int_eq(
        leat_kinesis_records_parse(bytes.data, bytes.size, LEAT_WIRE_JSON, &records, NULL),
        LEAT_E_FORMAT);
}
END_TEST

/* ---- CBOR ---------------------------------------------------------------------------------- */

enum kind { AS_AWS, AS_KINESIS_LOCAL, INDEFINITE };

static void
put_record(enum kind kind, const char *data, const char *sequence)
{
    if (kind == INDEFINITE)
        leat_cbor_put_map_open(&bytes);
    else
        leat_cbor_put_map(&bytes, 5);
    leat_cbor_put_key(&bytes, "SequenceNumber");
    leat_cbor_put_key(&bytes, sequence);
    leat_cbor_put_key(&bytes, "ApproximateArrivalTimestamp");
    if (kind == AS_KINESIS_LOCAL)
        leat_cbor_put_integer(&bytes, 1795381536911);
    else
        leat_cbor_put_time(&bytes, INT64_C(1795381536911000));
    leat_cbor_put_key(&bytes, "Data");
    if (kind == AS_KINESIS_LOCAL) {
        leat_cbor_put_key(&bytes, data); /* base64 */
    } else if (kind == INDEFINITE) {
        leat_buf_add_byte(&bytes, 0x5f);
        leat_cbor_put_bytes(&bytes, leat_slice_make(data, 2));
        leat_cbor_put_bytes(&bytes, leat_slice_from(data + 2));
        leat_buf_add_byte(&bytes, 0xff);
    } else {
        leat_cbor_put_bytes(&bytes, leat_slice_from(data));
    }
    leat_cbor_put_key(&bytes, "PartitionKey");
    leat_cbor_put_key(&bytes, "key");
    leat_cbor_put_key(&bytes, "EncryptionType");
    leat_cbor_put_null(&bytes);
    if (kind == INDEFINITE)
        leat_cbor_put_break(&bytes);
}

static void
put_answer(enum kind kind, const char *data)
{
    leat_buf_clear(&bytes);
    if (kind == INDEFINITE)
        leat_cbor_put_map_open(&bytes);
    else
        leat_cbor_put_map(&bytes, 4);
    leat_cbor_put_key(&bytes, "ChildShards");
    leat_cbor_put_null(&bytes);
    leat_cbor_put_key(&bytes, "Records");
    if (kind == INDEFINITE)
        leat_cbor_put_array_open(&bytes);
    else
        leat_cbor_put_array(&bytes, 2);
    put_record(kind, data, "100");
    put_record(kind, data, "101");
    if (kind == INDEFINITE)
        leat_cbor_put_break(&bytes);
    leat_cbor_put_key(&bytes, "NextShardIterator");
    leat_cbor_put_key(&bytes, "iterator");
    leat_cbor_put_key(&bytes, "MillisBehindLatest");
    leat_cbor_put_integer(&bytes, 7);
    if (kind == INDEFINITE)
        leat_cbor_put_break(&bytes);
}

static int
parse_cbor(void)
{
    return leat_kinesis_records_parse(bytes.data, bytes.size, LEAT_WIRE_CBOR, &records, NULL);
}

START_TEST(cbor)
{
    enum kind kind = (enum kind)_i;

    put_answer(kind, kind == AS_KINESIS_LOCAL ? "aGVsbG8=" : "hello");
    ck_assert_int_eq(parse_cbor(), 0);
    ck_assert_uint_eq(records.count, 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert(leat_slice_is(records.records[i].data, "hello"));
        ck_assert(is_inside(records.records[i].data));
        ck_assert(leat_slice_is(records.records[i].partition_key, "key"));
        ck_assert(leat_slice_is(records.records[i].sequence, i == 0 ? "100" : "101"));
        ck_assert_int_eq(records.records[i].arrival_us, INT64_C(1795381536911000));
    }
    ck_assert(leat_slice_is(records.next_iterator, "iterator"));
    ck_assert_int_eq(records.behind_ms, 7);
    ck_assert_int_eq(records.has_text_data, kind == AS_KINESIS_LOCAL);
    ck_assert(!records.is_end);
}
END_TEST

START_TEST(cbor_cut)
{
    for (int kind = AS_AWS; kind <= INDEFINITE; kind++) {
        size_t whole;

        put_answer((enum kind)kind, "aGVsbG8=");
        whole = bytes.size;
        for (size_t size = 0; size < whole; size++) {
            put_answer((enum kind)kind, "aGVsbG8=");
            bytes.size = size;
            ck_assert_int_eq(parse_cbor(), LEAT_E_FORMAT);
            ck_assert_uint_eq(records.count, 0);
        }
        put_answer((enum kind)kind, "aGVsbG8=");
        leat_buf_add_byte(&bytes, 0);
        ck_assert_int_eq(parse_cbor(), LEAT_E_FORMAT);
    }
}
END_TEST

/* kinesalite: Data comes back as a map. */
START_TEST(cbor_buffer_object)
{
    leat_buf_clear(&bytes);
    leat_cbor_put_map(&bytes, 1);
    leat_cbor_put_key(&bytes, "Records");
    leat_cbor_put_array(&bytes, 1);
    leat_cbor_put_map(&bytes, 2);
    leat_cbor_put_key(&bytes, "SequenceNumber");
    leat_cbor_put_key(&bytes, "1");
    leat_cbor_put_key(&bytes, "Data");
    leat_cbor_put_map(&bytes, 1);
    leat_cbor_put_key(&bytes, "type");
    leat_cbor_put_key(&bytes, "Buffer");
    ck_assert_int_eq(parse_cbor(), LEAT_E_FORMAT);
}
END_TEST

START_TEST(cbor_children)
{
    leat_buf_clear(&bytes);
    leat_cbor_put_map(&bytes, 2);
    leat_cbor_put_key(&bytes, "Records");
    leat_cbor_put_array(&bytes, 0);
    leat_cbor_put_key(&bytes, "ChildShards");
    leat_cbor_put_array(&bytes, 1);
    leat_cbor_put_map(&bytes, 3);
    leat_cbor_put_key(&bytes, "ShardId");
    leat_cbor_put_key(&bytes, "s-1");
    leat_cbor_put_key(&bytes, "ParentShards");
    leat_cbor_put_array(&bytes, 1);
    leat_cbor_put_key(&bytes, "s-0");
    leat_cbor_put_key(&bytes, "HashKeyRange");
    leat_cbor_put_map(&bytes, 2);
    leat_cbor_put_key(&bytes, "EndingHashKey");
    leat_cbor_put_key(&bytes, "9");
    leat_cbor_put_key(&bytes, "StartingHashKey");
    leat_cbor_put_key(&bytes, "5");
    ck_assert_int_eq(parse_cbor(), 0);
    ck_assert(records.is_end);
    ck_assert_uint_eq(records.child_count, 1);
    ck_assert(leat_slice_is(records.children[0].shard, "s-1"));
    ck_assert(leat_slice_is(records.children[0].parents[0], "s-0"));
    ck_assert(leat_slice_is(records.children[0].starting_hash_key, "5"));
    ck_assert(leat_slice_is(records.children[0].ending_hash_key, "9"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("kinesis_records");
    TCase *tests = tcase_create("kinesis_records");
    SRunner *runner;
    int failed;

    leat_buf_init(&bytes, SIZE_MAX);
    tcase_add_test(tests, json);
    tcase_add_test(tests, json_end_of_shard);
    tcase_add_test(tests, json_refused);
    tcase_add_test(tests, json_depth_is_bounded);
    tcase_add_loop_test(tests, cbor, AS_AWS, INDEFINITE + 1);
    tcase_add_test(tests, cbor_cut);
    tcase_add_test(tests, cbor_buffer_object);
    tcase_add_test(tests, cbor_children);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    leat_buf_release(&bytes);
    leat_kinesis_records_release(&records);
    return failed > 0;
}
