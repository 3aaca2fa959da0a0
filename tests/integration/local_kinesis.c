/*
 * lib/aws's client against lib/local's Kinesis, in both encodings: every action, and every fault that the server knows how
 * to do. What one of the two gets wrong the other does not forgive.
 */
#include <check.h>
#include <stdlib.h>

#include "aws/http.h"
#include "aws/kinesis.h"
#include "base/clock.h"
#include "base/memory.h"
#include "local/kinesis.h"
#include "stream/position.h"
#include "stream/shard.h"
#include "support/patience.h"

#define KEY_ID "AKIDLOCAL"
#define SECRET "a/secret+of=tests"
#define TOKEN "a/token+of="

static const enum leat_kinesis_encoding encodings[] = {LEAT_KINESIS_CBOR, LEAT_KINESIS_JSON,
                                                       LEAT_KINESIS_AUTO};
#define ENCODINGS ((int)LEAT_COUNT_OF(encodings))

static struct leat_local_kinesis *server;
static struct leat_aws aws;
static struct leat_kinesis *kinesis;
static struct leat_error err;
static struct leat_kinesis_region region;
static struct leat_kinesis_records records;
static char iterator[LEAT_KINESIS_ITERATOR_BYTES];

#define OK(call) ck_assert_msg((call) == 0, "%s", err.text)

static bool
grow(struct leat_kinesis_region *to_grow, size_t wanted_bytes)
{
    to_grow->data = leat_realloc(to_grow->data, wanted_bytes, 1);
    to_grow->capacity = wanted_bytes;
    return true;
}

static void
start_server(const struct leat_local_kinesis_options *options)
{
    server = leat_local_kinesis_new(options, &err);
    ck_assert_msg(server != NULL, "%s", err.text);
    memset(&aws, 0, sizeof aws);
    aws.region = "us-east-1";
    aws.endpoints[LEAT_SERVICE_KINESIS] = leat_local_kinesis_endpoint(server);
    aws.credentials = leat_credentials_static_new(KEY_ID, SECRET, TOKEN);
    aws.retry.base_us = aws.retry.cap_us = 1000;
    aws.retry.throttle_base_us = aws.retry.throttle_cap_us = 20000;
}

static void
start_client(enum leat_kinesis_encoding encoding)
{
    kinesis = leat_kinesis_new(&aws, encoding, &err);
    ck_assert_msg(kinesis != NULL, "%s", err.text);
}

static void
setup_server(void)
{
    start_server(&(struct leat_local_kinesis_options){
        .access_key_id = KEY_ID, .secret_access_key = SECRET, .session_token = TOKEN});
    region = (struct leat_kinesis_region){.grow = grow};
    memset(&records, 0, sizeof records);
}

static void
teardown(void)
{
    leat_kinesis_free(kinesis);
    leat_credentials_provider_free(aws.credentials);
    leat_local_kinesis_free(server);
    leat_kinesis_records_release(&records);
    free(region.data);
    kinesis = NULL;
}

/* Another server in place of the fixture's. */
static void
restart(const struct leat_local_kinesis_options *options)
{
    leat_credentials_provider_free(aws.credentials);
    leat_local_kinesis_free(server);
    start_server(options);
}

static void
fault(enum leat_local_fault_kind kind, const char *action, unsigned times)
{
    leat_local_kinesis_fault(
        server, &(struct leat_local_fault){.kind = kind, .action = action, .times = times});
}

static void
put(const char *stream, const char *key, const char *data)
{
    OK(leat_local_kinesis_put(server, stream, leat_slice_from(key), leat_slice_from(""),
                              leat_slice_from(data), NULL, &err));
}

static int
get_iterator(const char *stream, const char *shard, enum leat_kinesis_iterator_type type,
             struct leat_slice sequence)
{
    struct leat_kinesis_iterator_request request = {
        .stream = stream, .shard = leat_slice_from(shard), .type = type, .sequence = sequence};

    return leat_kinesis_get_shard_iterator(kinesis, &request, iterator, &err);
}

static int
read_from(const char *stream, unsigned limit)
{
    int result =
        leat_kinesis_get_records(kinesis, stream, iterator, limit, &region, &records, &err);

    if (result == 0)
        snprintf(iterator, sizeof iterator, "%.*s", (int)records.next_iterator.size,
                 (const char *)records.next_iterator.data);
    return result;
}

static void
begin(const char *stream, const char *shard)
{
    OK(get_iterator(stream, shard, LEAT_ITERATOR_TRIM_HORIZON, leat_slice_from("")));
}

#define SHARD_0 "shardId-000000000000"
#define SHARD_1 "shardId-000000000001"
#define SHARD_2 "shardId-000000000002"
#define SHARD_3 "shardId-000000000003"

/* ---- streams and shards ---------------------------------------------------------------------- */

static int
keep_name(void *context, struct leat_slice name)
{
    leat_buf_printf(context, "%.*s ", (int)name.size, (const char *)name.data);
    return 0;
}

START_TEST(streams_come_and_go)
{
    LEAT_AUTO_BUF names = LEAT_BUF_INIT;
    struct leat_kinesis_summary summary;
    int64_t created_us;

    start_client(encodings[_i]);
    OK(leat_kinesis_list_streams(kinesis, keep_name, &names, &err)); /* none */
    ck_assert_uint_eq(names.size, 0);
    OK(leat_kinesis_create_stream(kinesis, "orders", 3, &err));
    ck_assert_uint_eq(leat_local_kinesis_calls(server, "CreateStream"), 1);
    OK(leat_kinesis_describe_stream_summary(kinesis, "orders", &summary, &err));
    ck_assert_str_eq(summary.name, "orders");
    ck_assert_str_eq(summary.status, "ACTIVE");
    ck_assert_str_eq(summary.arn, "arn:aws:kinesis:us-east-1:000000000000:stream/orders");
    ck_assert_int_eq(summary.open_shards, 3);
    ck_assert_int_eq(summary.retention_hours, 24);
    created_us = summary.created_us;
    ck_assert_int_lt(llabs(leat_clock_wall_us() - created_us), PATIENCE_US);
    ck_assert_int_eq(leat_kinesis_create_stream(kinesis, "orders", 3, &err), LEAT_E_CONFLICT);
    for (int i = 0; i < 230; i++) {
        char name[20];

        snprintf(name, sizeof name, "s%03d", i);
        OK(leat_local_kinesis_create_stream(server, name, 1, &err));
    }
    OK(leat_kinesis_list_streams(kinesis, keep_name, &names, &err));
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&names), "orders s000 s001 "));
    ck_assert_ptr_nonnull(strstr(leat_buf_text(&names), " s228 s229 "));
    ck_assert_uint_eq(names.size, 230 * 5 + 7);
    ck_assert_uint_eq(leat_local_kinesis_calls(server, "ListStreams"), 4);
    OK(leat_kinesis_delete_stream(kinesis, "orders", &err));
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "orders", &summary, &err),
                     LEAT_E_NOT_FOUND);
    leat_local_kinesis_shift_clock(server, LEAT_SECOND_US);
    OK(leat_kinesis_create_stream(kinesis, "orders", 1, &err));
    OK(leat_kinesis_describe_stream_summary(kinesis, "orders", &summary, &err));
    ck_assert_int_ne(summary.created_us, created_us);
    ck_assert_int_eq(leat_kinesis_create_stream(kinesis, "a b", 1, &err), LEAT_E_INVALID);
}
END_TEST

struct seen {
    size_t count;
    struct leat_hash_key next; /* where the next open shard begins */
    size_t closed, with_parent, with_adjacent;
};

static int
see_shard(void *context, const struct leat_kinesis_shard *shard)
{
    struct seen *seen = context;
    struct leat_hash_key start, end;
    char name[30];

    snprintf(name, sizeof name, "shardId-%012zu", seen->count++);
    ck_assert(leat_slice_is(shard->shard, name));
    ck_assert_uint_eq(shard->starting_sequence.size, 56);
    ck_assert(leat_hash_key_parse(shard->starting_hash_key, &start));
    ck_assert(leat_hash_key_parse(shard->ending_hash_key, &end));
    ck_assert_int_le(leat_hash_key_compare(start, end), 0);
    seen->with_parent += shard->parent.size > 0;
    seen->with_adjacent += shard->adjacent_parent.size > 0;
    if (shard->ending_sequence.size > 0) {
        seen->closed++;
        ck_assert_int_gt(leat_sequence_order(shard->ending_sequence, shard->starting_sequence), 0);
        return 0;
    }
    if (seen->closed == 0) {
        ck_assert_int_eq(leat_hash_key_compare(start, seen->next), 0);
        seen->next = (struct leat_hash_key){end.high + (end.low == UINT64_MAX), end.low + 1};
    }
    return 0;
}

START_TEST(shards_are_listed_in_pages)
{
    struct seen seen = {0};

    start_client(encodings[_i]);
    OK(leat_kinesis_create_stream(kinesis, "wide", 2500, &err));
    OK(leat_kinesis_list_shards(kinesis, "wide", see_shard, &seen, &err));
    ck_assert_uint_eq(seen.count, 2500);
    ck_assert(seen.next.high == 0 && seen.next.low == 0); /* all of the range, without a gap */
    ck_assert_uint_eq(leat_local_kinesis_calls(server, "ListShards"), 3);
}
END_TEST

static int
count_shard(void *context, const struct leat_kinesis_shard *shard)
{
    ck_assert_uint_gt(shard->shard.size, 0);
    ck_assert(!leat_slice_is(shard->parent, "null"));
    ++*(size_t *)context;
    return 0;
}

START_TEST(an_expired_page_begins_the_list_again)
{
    size_t count = 0;

    start_client(encodings[_i]);
    OK(leat_kinesis_create_stream(kinesis, "wide", 2500, &err));
    leat_local_kinesis_fault(server,
                             &(struct leat_local_fault){.kind = LEAT_LOCAL_FAULT_EXPIRED_ITERATOR,
                                                        .action = "ListShards",
                                                        .skip = 2,
                                                        .times = 1});
    fault(LEAT_LOCAL_FAULT_NULL, "ListShards", 0);
    OK(leat_kinesis_list_shards(kinesis, "wide", count_shard, &count, &err));
    ck_assert_uint_eq(count, 4500);
    ck_assert_uint_eq(leat_local_kinesis_calls(server, "ListShards"), 6);
}
END_TEST

START_TEST(states_take_their_time)
{
    struct leat_kinesis_summary summary;

    restart(&(struct leat_local_kinesis_options){.change_us = 10 * LEAT_SECOND_US});
    start_client(encodings[_i]);
    OK(leat_kinesis_create_stream(kinesis, "slow", 1, &err));
    OK(leat_kinesis_describe_stream_summary(kinesis, "slow", &summary, &err));
    ck_assert_str_eq(summary.status, "CREATING");
    ck_assert_int_eq(leat_kinesis_split_shard(kinesis, "slow", SHARD_0, "1000", &err),
                     LEAT_E_CONFLICT);
    leat_local_kinesis_shift_clock(server, 11 * LEAT_SECOND_US);
    OK(leat_kinesis_split_shard(kinesis, "slow", SHARD_0, "1000", &err));
    OK(leat_kinesis_describe_stream_summary(kinesis, "slow", &summary, &err));
    ck_assert_str_eq(summary.status, "UPDATING");
    ck_assert_int_eq(summary.open_shards, 1);
    ck_assert_int_eq(leat_kinesis_delete_stream(kinesis, "slow", &err), LEAT_E_CONFLICT);
    leat_local_kinesis_shift_clock(server, 11 * LEAT_SECOND_US);
    OK(leat_kinesis_describe_stream_summary(kinesis, "slow", &summary, &err));
    ck_assert_str_eq(summary.status, "ACTIVE");
    ck_assert_int_eq(summary.open_shards, 2);
    OK(leat_kinesis_delete_stream(kinesis, "slow", &err));
    OK(leat_kinesis_describe_stream_summary(kinesis, "slow", &summary, &err));
    ck_assert_str_eq(summary.status, "DELETING");
    leat_local_kinesis_shift_clock(server, 11 * LEAT_SECOND_US);
    ck_assert_int_eq(leat_kinesis_describe_stream_summary(kinesis, "slow", &summary, &err),
                     LEAT_E_NOT_FOUND);
}
END_TEST

/* ---- reading and putting --------------------------------------------------------------------- */

START_TEST(what_is_put_is_read)
{
    static const unsigned char bytes[] = {0, 1, 0xff, '"', '\\', '\n', 0x80};
    struct leat_kinesis_put puts[700];
    LEAT_AUTO_FREE char *keys = leat_alloc(700 * 16);
    int64_t before_us = leat_clock_wall_us() / 1000 * 1000;

    start_client(encodings[_i]);
    OK(leat_kinesis_create_stream(kinesis, "orders", 1, &err));
    memset(puts, 0, sizeof puts);
    for (int i = 0; i < 700; i++) {
        snprintf(keys + 16 * i, 16, "k%d\"\xc3\xa9", i);
        puts[i].data = leat_slice_make(bytes, sizeof bytes - (size_t)(i % 2));
        puts[i].partition_key = leat_slice_from(keys + 16 * i);
    }
    OK(leat_kinesis_put_records(kinesis, "orders", puts, 700, &err));
    ck_assert_uint_eq(leat_local_kinesis_calls(server, "PutRecords"), 2);
    begin("orders", SHARD_0);
    OK(read_from("orders", 600));
    ck_assert_uint_eq(records.count, 600);
    ck_assert_int_gt(records.behind_ms, 0);
    for (int i = 0; i < 600; i++) {
        ck_assert(leat_slice_equals(records.records[i].data, puts[i].data));
        ck_assert(leat_slice_equals(records.records[i].partition_key, puts[i].partition_key));
        ck_assert(leat_slice_is(records.records[i].sequence, puts[i].sequence));
        ck_assert_int_ge(records.records[i].arrival_us, before_us);
        ck_assert_int_le(records.records[i].arrival_us, leat_clock_wall_us());
        if (i > 0)
            ck_assert_int_gt(
                leat_sequence_order(records.records[i].sequence, records.records[i - 1].sequence),
                0);
    }
    OK(read_from("orders", 0));
    ck_assert_uint_eq(records.count, 100);
    ck_assert_int_eq(records.behind_ms, 0);
    ck_assert(!records.is_end);
    OK(read_from("orders", 0));
    ck_assert_uint_eq(records.count, 0);
    ck_assert_int_eq(records.behind_ms, 0);
    ck_assert_uint_eq(leat_local_kinesis_calls(server, "GetRecords"), 3);
    ck_assert_int_eq(leat_kinesis_wire(kinesis),
                     encodings[_i] == LEAT_KINESIS_JSON ? LEAT_WIRE_JSON : LEAT_WIRE_CBOR);
}
END_TEST

START_TEST(iterators_of_all_types)
{
    struct leat_kinesis_iterator_request request = {.stream = "orders",
                                                    .shard = leat_slice_from(SHARD_0)};
    char second[57];
    int64_t at_us;

    start_client(encodings[_i]);
    OK(leat_kinesis_create_stream(kinesis, "orders", 1, &err));
    put("orders", "a", "1");
    leat_local_kinesis_shift_clock(server, 10 * LEAT_SECOND_US);
    at_us = leat_local_kinesis_now_us(server);
    OK(leat_local_kinesis_put(server, "orders", leat_slice_from("a"), leat_slice_from(""),
                              leat_slice_from("2"), second, &err));
    put("orders", "a", "3");
    OK(get_iterator("orders", SHARD_0, LEAT_ITERATOR_AT_SEQUENCE, leat_slice_from(second)));
    OK(read_from("orders", 1));
    ck_assert(leat_slice_is(records.records[0].data, "2"));
    OK(get_iterator("orders", SHARD_0, LEAT_ITERATOR_AFTER_SEQUENCE, leat_slice_from(second)));
    OK(read_from("orders", 1));
    ck_assert(leat_slice_is(records.records[0].data, "3"));
    OK(get_iterator("orders", SHARD_0, LEAT_ITERATOR_LATEST, leat_slice_from("")));
    OK(read_from("orders", 0));
    ck_assert_uint_eq(records.count, 0);
    request.type = LEAT_ITERATOR_AT_TIMESTAMP;
    request.timestamp_us = at_us;
    OK(leat_kinesis_get_shard_iterator(kinesis, &request, iterator, &err));
    OK(read_from("orders", 0));
    ck_assert_uint_eq(records.count, 2);
    request.timestamp_us = at_us + 60 * LEAT_SECOND_US;
    ck_assert_int_eq(leat_kinesis_get_shard_iterator(kinesis, &request, iterator, &err),
                     LEAT_E_INVALID);
    ck_assert_int_eq(
        get_iterator("orders", SHARD_0, LEAT_ITERATOR_AT_SEQUENCE,
                     leat_slice_from("4912345678901234567890123456789012345678901234567890123")),
        LEAT_E_INVALID);
    ck_assert_int_eq(get_iterator("orders", SHARD_1, LEAT_ITERATOR_LATEST, leat_slice_from("")),
                     LEAT_E_NOT_FOUND);
    ck_assert_int_eq(get_iterator("nothing", SHARD_0, LEAT_ITERATOR_LATEST, leat_slice_from("")),
                     LEAT_E_NOT_FOUND);
    snprintf(iterator, sizeof iterator, "garbage");
    ck_assert_int_eq(read_from("orders", 0), LEAT_E_INVALID);
    ck_assert_int_eq(err.http_status, 400);
}
END_TEST

START_TEST(a_stream_made_again_knows_no_old_numbers)
{
    char old[57];

    start_client(encodings[_i]);
    OK(leat_kinesis_create_stream(kinesis, "orders", 1, &err));
    OK(leat_local_kinesis_put(server, "orders", leat_slice_from("a"), leat_slice_from(""),
                              leat_slice_from("2"), old, &err));
    begin("orders", SHARD_0);
    OK(leat_kinesis_delete_stream(kinesis, "orders", &err));
    OK(leat_kinesis_create_stream(kinesis, "orders", 1, &err));
    put("orders", "a", "3");
    ck_assert_int_eq(
        get_iterator("orders", SHARD_0, LEAT_ITERATOR_AFTER_SEQUENCE, leat_slice_from(old)),
        LEAT_E_INVALID);
    begin("orders", SHARD_0);
    OK(leat_kinesis_delete_stream(kinesis, "orders", &err));
    ck_assert_int_eq(read_from("orders", 0), LEAT_E_NOT_FOUND);
}
END_TEST

START_TEST(reshards_end_parents_and_name_children)
{
    struct seen seen = {0};

    start_client(encodings[_i]);
    OK(leat_kinesis_create_stream(kinesis, "orders", 1, &err));
    put("orders", "a", "1");
    begin("orders", SHARD_0);
    OK(leat_kinesis_split_shard(kinesis, "orders", SHARD_0,
                                "170141183460469231731687303715884105728", &err));
    ck_assert_int_eq(leat_kinesis_split_shard(kinesis, "orders", SHARD_0, "1000", &err),
                     LEAT_E_INVALID);
    OK(read_from("orders", 0));
    ck_assert_uint_eq(records.count, 1);
    ck_assert(records.is_end);
    ck_assert_uint_eq(records.child_count, 2);
    ck_assert(leat_slice_is(records.children[0].shard, SHARD_1));
    ck_assert(leat_slice_is(records.children[1].shard, SHARD_2));
    ck_assert(leat_slice_is(records.children[1].starting_hash_key,
                            "170141183460469231731687303715884105728"));
    ck_assert(leat_slice_is(records.children[0].parents[0], SHARD_0));
    OK(leat_kinesis_merge_shards(kinesis, "orders", SHARD_2, SHARD_1, &err));
    fault(LEAT_LOCAL_FAULT_NULL, "GetRecords", 0); /* NextShardIterator: null */
    begin("orders", SHARD_1);
    OK(read_from("orders", 0));
    ck_assert(records.is_end);
    ck_assert_uint_eq(records.next_iterator.size, 0);
    ck_assert_uint_eq(records.child_count, 1);
    ck_assert_uint_eq(records.children[0].parent_count, 2);
    ck_assert(leat_slice_is(records.children[0].shard, SHARD_3));
    OK(leat_kinesis_list_shards(kinesis, "orders", see_shard, &seen, &err));
    ck_assert_uint_eq(seen.count, 4);
    ck_assert_uint_eq(seen.closed, 3);
    ck_assert_uint_eq(seen.with_parent, 3);
    ck_assert_uint_eq(seen.with_adjacent, 1);
    OK(leat_local_kinesis_split(server, "orders", SHARD_3, &err));
    ck_assert_int_eq(
        leat_kinesis_merge_shards(kinesis, "orders", SHARD_0, "shardId-000000000004", &err),
        LEAT_E_INVALID);
}
END_TEST

START_TEST(trimmed_shards_are_gone)
{
    size_t count = 0;

    start_client(encodings[_i]);
    OK(leat_kinesis_create_stream(kinesis, "orders", 1, &err));
    put("orders", "a", "1");
    OK(leat_local_kinesis_split(server, "orders", SHARD_0, &err));
    put("orders", "a", "2");
    begin("orders", SHARD_0);
    OK(leat_local_kinesis_trim(server, "orders", SHARD_0, INT64_MAX, &err));
    ck_assert_int_eq(read_from("orders", 0), LEAT_E_NOT_FOUND);
    ck_assert_int_eq(
        get_iterator("orders", SHARD_0, LEAT_ITERATOR_TRIM_HORIZON, leat_slice_from("")),
        LEAT_E_NOT_FOUND);
    OK(leat_kinesis_list_shards(kinesis, "orders", count_shard, &count, &err));
    ck_assert_uint_eq(count, 2);
}
END_TEST

START_TEST(ten_mebibytes_in_an_answer)
{
    static const unsigned char block[1 << 20] = {'x'};
    uint64_t count = 0;

    start_client(encodings[_i]);
    OK(leat_kinesis_create_stream(kinesis, "large", 1, &err));
    for (int i = 0; i < 25; i++)
        OK(leat_local_kinesis_put(server, "large", leat_slice_from("k"), leat_slice_from(""),
                                  leat_slice_make(block, sizeof block), NULL, &err));
    begin("large", SHARD_0);
    for (int i = 0; i < 3; i++) {
        OK(read_from("large", 0));
        ck_assert_uint_eq(records.count, i < 2 ? 9 : 7); /* ten and their keys are too much */
        for (size_t j = 0; j < records.count; j++)
            ck_assert(
                leat_slice_equals(records.records[j].data, leat_slice_make(block, sizeof block)));
        count += records.count;
    }
    ck_assert_uint_eq(count, 25);
    /* 10,000 small ones are the other limit. */
    for (int i = 0; i < 10100; i++)
        put("large", "k", "y");
    OK(read_from("large", 0));
    ck_assert_uint_eq(records.count, 10000);
}
END_TEST

START_TEST(puts_keep_to_the_limits_of_size)
{
    static unsigned char block[(1 << 20) + 1];
    struct leat_kinesis_put one = {.data = leat_slice_make(block, sizeof block),
                                   .partition_key = leat_slice_from("k")};
    struct leat_kinesis_put many[12];

    start_client(encodings[_i]);
    OK(leat_kinesis_create_stream(kinesis, "large", 2, &err));
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "large", &one, 1, &err), LEAT_E_INVALID);
    for (int i = 0; i < 12; i++) {
        many[i] = one;
        many[i].data.size--;
        many[i].explicit_hash_key = leat_slice_from("340282366920938463463374607431768211455");
    }
    OK(leat_kinesis_put_records(kinesis, "large", many, 12, &err));
    for (int i = 0; i < 12; i++)
        ck_assert_str_eq(many[i].shard, SHARD_1);
    one.data.size = 1;
    one.explicit_hash_key = leat_slice_from("340282366920938463463374607431768211456");
    ck_assert_int_eq(leat_kinesis_put_records(kinesis, "large", &one, 1, &err), LEAT_E_INVALID);
}
END_TEST

static void
add_reading_tests(TCase *tests)
{
    tcase_add_loop_test(tests, streams_come_and_go, 0, ENCODINGS);
    tcase_add_loop_test(tests, shards_are_listed_in_pages, 0, ENCODINGS);
    tcase_add_loop_test(tests, an_expired_page_begins_the_list_again, 0, ENCODINGS);
    tcase_add_loop_test(tests, states_take_their_time, 0, ENCODINGS);
    tcase_add_loop_test(tests, what_is_put_is_read, 0, ENCODINGS);
    tcase_add_loop_test(tests, iterators_of_all_types, 0, ENCODINGS);
    tcase_add_loop_test(tests, a_stream_made_again_knows_no_old_numbers, 0, ENCODINGS);
    tcase_add_loop_test(tests, reshards_end_parents_and_name_children, 0, ENCODINGS);
    tcase_add_loop_test(tests, trimmed_shards_are_gone, 0, ENCODINGS);
    tcase_add_loop_test(tests, ten_mebibytes_in_an_answer, 0, ENCODINGS);
    tcase_add_loop_test(tests, puts_keep_to_the_limits_of_size, 0, ENCODINGS);
}

int
main(void)
{
    Suite *suite = suite_create("integration/local_kinesis");
    TCase *tests = tcase_create("local_kinesis");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup_server, teardown);
    add_reading_tests(tests);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
