/* The producer against our own Kinesis: what was put is read back whole, through throttles, reshards and lost answers. */
#include "producer/producer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/memory.h"
#include "local/kinesis.h"
#include "stream/deaggregate.h"

#include <check.h>

static struct leat_local_kinesis *server;
static struct leat_aws aws;
static struct leat_producer_options options;
static struct leat_producer *producer;
static struct leat_error err;

/* What was read back. */
static struct leat_map seen; /* data -> how often, as a pointer */
static struct leat_kinesis *reader;
static size_t read_records, bad_records, wrong_keys;

static void
setup(void)
{
    struct leat_local_kinesis_options wanted = {0};

    server = leat_local_kinesis_new(&wanted, &err);
    ck_assert_msg(server != NULL, "%s", err.text);
    ck_assert_int_eq(leat_local_kinesis_create_stream(server, "s", 4, &err), 0);
    aws = (struct leat_aws){
        .region = "us-east-1",
        .endpoints = {[LEAT_SERVICE_KINESIS] = leat_local_kinesis_endpoint(server)},
        .credentials = leat_credentials_static_new("AKID", "secret", ""),
        .retry = {.base_us = 1000, .cap_us = 1000},
    };
    options = (struct leat_producer_options){.aws = &aws, .stream = "s", .linger_us = 3600000000};
    reader = leat_kinesis_new(&aws, LEAT_KINESIS_AUTO, &err);
    leat_map_init(&seen);
    read_records = bad_records = wrong_keys = 0;
}

static void
teardown(void)
{
    leat_producer_free(producer);
    producer = NULL;
    leat_kinesis_free(reader);
    leat_map_release(&seen, NULL);
    leat_credentials_provider_free(aws.credentials);
    leat_local_kinesis_free(server);
}

static void
begin(enum leat_aggregation aggregation)
{
    options.aggregation = aggregation;
    producer = leat_producer_new(&options, &err);
    ck_assert_msg(producer != NULL, "%s", err.text);
}

static void
put(const char *key, const char *hash_key, const char *data)
{
    ck_assert_msg(leat_producer_put(producer, leat_slice_from(key), leat_slice_from(hash_key),
                                    leat_slice_from(data), &err) == 0,
                  "%s", err.text);
}

/* key-N: {"n":N} */
static void
put_numbers(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        char key[32], data[32];

        snprintf(key, sizeof key, "key-%zu", i % 50);
        snprintf(data, sizeof data, "{\"n\":%zu}", i);
        put(key, "", data);
    }
}

static void
flush(void)
{
    ck_assert_msg(leat_producer_flush(producer, &err) == 0, "%s", err.text);
}

static bool
grow(struct leat_kinesis_region *region, size_t wanted_bytes)
{
    region->data = leat_realloc(region->data, wanted_bytes, 1);
    region->capacity = wanted_bytes;
    return true;
}

static void
count_user_record(const struct leat_user_record *user)
{
    char key[32];
    uintptr_t times = (uintptr_t)leat_map_get(&seen, user->record.data);
    size_t number = 0;

    read_records++;
    if (user->status != LEAT_USER_RECORD_GOOD) {
        bad_records++;
        return;
    }
    leat_map_put(&seen, user->record.data, (void *)(times + 1));
    if (user->record.data.size > 5)
        number = (size_t)strtoul((const char *)user->record.data.data + 5, NULL, 10);
    snprintf(key, sizeof key, "key-%zu", number % 50);
    wrong_keys += !leat_slice_is(user->record.partition_key, key);
}

static int
read_shard(void *context, const struct leat_kinesis_shard *shard)
{
    struct leat_kinesis_iterator_request request = {.stream = "s", .shard = shard->shard};
    struct leat_kinesis_region region = {.grow = grow};
    struct leat_kinesis_records records = {0};
    char iterator[LEAT_KINESIS_ITERATOR_BYTES];
    struct leat_hash_key start, end;
    struct leat_deaggregator *deaggregator;

    ck_assert(leat_hash_key_parse(shard->starting_hash_key, &start));
    ck_assert(leat_hash_key_parse(shard->ending_hash_key, &end));
    deaggregator = leat_deaggregator_new(NULL, &start, &end);
    ck_assert_int_eq(leat_kinesis_get_shard_iterator(reader, &request, iterator, &err), 0);
    do {
        ck_assert_msg(leat_kinesis_get_records(reader, "s", iterator, 0, &region, &records, &err) ==
                          0,
                      "%s", err.text);
        for (size_t i = 0; i < records.count; i++) {
            struct leat_raw_record raw = {records.records[i].data, records.records[i].partition_key,
                                          records.records[i].sequence, 0};
            struct leat_user_record user;

            leat_deaggregator_begin(deaggregator, &raw);
            while (leat_deaggregator_next(deaggregator, &user))
                count_user_record(&user);
            leat_deaggregator_reset(deaggregator);
        }
        snprintf(iterator, sizeof iterator, "%.*s", (int)records.next_iterator.size,
                 (const char *)records.next_iterator.data);
    } while (!records.is_end && records.count > 0);
    leat_kinesis_records_release(&records);
    leat_deaggregator_free(deaggregator);
    free(region.data);
    return 0;
}

static void
read_all(void)
{
    ck_assert_int_eq(leat_kinesis_list_shards(reader, "s", read_shard, NULL, &err), 0);
}

/* Each of the numbers, at least once; exactly once when nothing was sent again. */
static void
expect_numbers(size_t first, size_t count, bool is_exact)
{
    for (size_t i = first; i < first + count; i++) {
        char data[32];
        uintptr_t times;

        snprintf(data, sizeof data, "{\"n\":%zu}", i);
        times = (uintptr_t)leat_map_get(&seen, leat_slice_from(data));
        ck_assert_msg(is_exact ? times == 1 : times >= 1, "%s was read %zu times", data,
                      (size_t)times);
    }
}

START_TEST(plain_records)
{
    struct leat_producer_counts counts;

    begin(LEAT_AGGREGATION_NONE);
    ck_assert_int_eq(leat_producer_wake_us(producer), INT64_MAX);
    put_numbers(0, 1234);
    flush();
    ck_assert_int_eq(leat_producer_wake_us(producer), INT64_MAX);
    counts = leat_producer_counts(producer);
    ck_assert_uint_eq(counts.user_records, 1234);
    ck_assert_uint_eq(counts.stream_records, 1234);
    ck_assert_uint_gt(counts.bytes, 1234 * 10);
    ck_assert_uint_eq(counts.failed + counts.retries + counts.moved, 0);
    ck_assert_uint_eq(leat_local_kinesis_calls(server, "PutRecords"), 3); /* 500, 500, 234 */
    ck_assert_uint_eq(leat_local_kinesis_calls(server, "ListShards"), 0);
    read_all();
    ck_assert_uint_eq(read_records, 1234);
    ck_assert_uint_eq(wrong_keys, 0);
    expect_numbers(0, 1234, true);
}
END_TEST

START_TEST(kpl_aggregates_per_shard)
{
    struct leat_producer_counts counts;

    begin(LEAT_AGGREGATION_KPL);
    put_numbers(0, 20000);
    put("key-0", "0", "with a hash key of its own");
    put("key-0", "340282366920938463463374607431768211455", "and another");
    flush();
    counts = leat_producer_counts(producer);
    ck_assert_uint_eq(counts.user_records, 20002);
    ck_assert_uint_lt(counts.stream_records, 30);
    ck_assert_uint_eq(counts.moved, 0);
    read_all();
    ck_assert_uint_eq(read_records, 20002);
    ck_assert_uint_eq(bad_records, 0);
    ck_assert_uint_eq(wrong_keys, 0);
    expect_numbers(0, 20000, true);
}
END_TEST

/* The shards change after the producer looked: nothing is lost, though readers drop what is outside of a shard's range. */
START_TEST(kpl_across_a_split)
{
    begin(LEAT_AGGREGATION_KPL);
    put_numbers(0, 5000);
    ck_assert_int_eq(leat_local_kinesis_split(server, "s", "shardId-000000000001", &err), 0);
    ck_assert_int_eq(leat_local_kinesis_split(server, "s", "shardId-000000000003", &err), 0);
    flush();
    ck_assert_uint_gt(leat_producer_counts(producer).moved, 0);
    ck_assert_uint_eq(leat_producer_counts(producer).user_records, 5000);
    ck_assert_uint_eq(leat_local_kinesis_calls(server, "ListShards"), 2);
    put_numbers(5000, 5000);
    flush(); /* the new shards are known by now */
    read_all();
    ck_assert_uint_eq(read_records - bad_records, 10000);
    ck_assert_uint_eq(bad_records, leat_producer_counts(producer).moved);
    expect_numbers(0, 10000, true);
}
END_TEST

START_TEST(kpl_across_a_merge)
{
    begin(LEAT_AGGREGATION_KPL);
    put_numbers(0, 3000);
    ck_assert_int_eq(
        leat_local_kinesis_merge(server, "s", "shardId-000000000001", "shardId-000000000002", &err),
        0);
    flush();
    ck_assert_uint_eq(leat_producer_counts(producer).moved, 0); /* all of it lies in the child */
    read_all();
    ck_assert_uint_eq(bad_records, 0);
    expect_numbers(0, 3000, true);
}
END_TEST

/* The listing fails right after a split: what cannot be placed is sent again, rather twice than never. */
START_TEST(kpl_with_a_listing_that_fails)
{
    struct leat_local_fault fault = {
        .kind = LEAT_LOCAL_FAULT_REFUSE, .action = "ListShards", .type = "AccessDeniedException"};

    begin(LEAT_AGGREGATION_KPL);
    put_numbers(0, 2000);
    ck_assert_int_eq(leat_local_kinesis_split(server, "s", "shardId-000000000000", &err), 0);
    leat_local_kinesis_fault(server, &fault);
    flush();
    leat_local_kinesis_clear_faults(server);
    ck_assert_uint_gt(leat_producer_counts(producer).moved, 0);
    read_all();
    expect_numbers(0, 2000, false);
}
END_TEST

START_TEST(gzip_arrays_per_key)
{
    struct leat_producer_counts counts;

    begin(LEAT_AGGREGATION_GZIP_JSON);
    put_numbers(0, 10000);
    put("key-0", "", "no JSON");
    put("key-0", "", " {\"n\":99950} ");
    put("key-0", "", "{\"n\":99900}");
    flush();
    counts = leat_producer_counts(producer);
    ck_assert_uint_eq(counts.user_records, 10003);
    ck_assert_uint_eq(counts.stream_records, 52); /* 50 keys; what is no JSON; key-0 behind it */
    read_all();
    ck_assert_uint_eq(read_records, 10003);
    ck_assert_uint_eq(wrong_keys, 0);
    expect_numbers(0, 10000, true);
    expect_numbers(99950, 1, true);
    ck_assert_ptr_nonnull(leat_map_get(&seen, leat_slice_from("no JSON")));
}
END_TEST

/* Records without a key: one random key for each array, one for each record else. */
START_TEST(random_keys)
{
    begin(LEAT_AGGREGATION_GZIP_JSON);
    for (int i = 0; i < 1000; i++)
        put("", "", "{\"a\":1}");
    flush();
    ck_assert_uint_eq(leat_producer_counts(producer).stream_records, 1);
    leat_producer_free(producer);
    begin(LEAT_AGGREGATION_KPL);
    for (int i = 0; i < 1000; i++)
        put("", "", "{\"a\":1}");
    flush();
    ck_assert_uint_eq(leat_producer_counts(producer).stream_records, 4); /* all shards */
    read_all();
    ck_assert_uint_eq(read_records, 2000);
    ck_assert_uint_eq(bad_records, 0);
}
END_TEST

START_TEST(limits_are_kept)
{
    static char large[(1 << 20) + 1], key[257 * 2 + 1];
    struct leat_slice none = leat_slice_from(""), k = leat_slice_from("k");

    begin(LEAT_AGGREGATION_KPL);
    for (int i = 0; i < 257; i++)
        memcpy(key + (size_t)i * 2, "\xC3\xA4", 2);
    ck_assert_int_eq(leat_producer_check(producer, leat_slice_make(key, 256 * 2), none, k, &err),
                     0);
    ck_assert_int_eq(leat_producer_check(producer, leat_slice_make(key, 257 * 2), none, k, &err),
                     LEAT_E_INVALID);
    ck_assert_int_eq(leat_producer_check(producer, leat_slice_from("\xFF"), none, k, &err),
                     LEAT_E_INVALID);
    ck_assert_int_eq(leat_producer_check(producer, k, leat_slice_from("-1"), k, &err),
                     LEAT_E_INVALID);
    ck_assert_int_eq(leat_producer_check(producer, k, leat_slice_from("007"), k, &err),
                     LEAT_E_INVALID);
    ck_assert_int_eq(leat_producer_check(producer, k,
                                         leat_slice_from("340282366920938463463374607431768211456"),
                                         k, &err),
                     LEAT_E_INVALID);
    ck_assert_int_eq(leat_producer_check(producer, k, leat_slice_from("0"), k, &err), 0);
    ck_assert_int_eq(
        leat_producer_put(producer, k, none, leat_slice_make(large, sizeof large - 1), &err),
        LEAT_E_LIMIT);
    ck_assert_int_eq(leat_producer_wake_us(producer), INT64_MAX); /* nothing was taken */
    /* the largest that the service takes, between two small ones of its shard: in order */
    put("k", "", "before");
    ck_assert_int_eq(
        leat_producer_put(producer, k, none, leat_slice_make(large, sizeof large - 2), &err), 0);
    put("k", "", "behind");
    flush();
    ck_assert_uint_eq(leat_producer_counts(producer).stream_records, 3);
    read_all();
    ck_assert_uint_eq(read_records, 3);
    ck_assert_ptr_nonnull(leat_map_get(&seen, leat_slice_from("behind")));
}
END_TEST

START_TEST(refused_records_are_sent_again)
{
    struct leat_local_fault fault = {
        .kind = LEAT_LOCAL_FAULT_PARTIAL, .action = "PutRecords", .share = 3, .times = 2};

    begin(LEAT_AGGREGATION_NONE);
    leat_local_kinesis_fault(server, &fault);
    put_numbers(0, 300);
    flush();
    ck_assert_uint_ge(leat_producer_counts(producer).retries, 100);
    ck_assert_uint_eq(leat_producer_counts(producer).user_records, 300);
    read_all();
    expect_numbers(0, 300, true);
}
END_TEST

START_TEST(what_fails_for_good_is_counted)
{
    struct leat_local_fault fault = {.kind = LEAT_LOCAL_FAULT_PARTIAL,
                                     .action = "PutRecords",
                                     .share = 10,
                                     .type = "KMSAccessDeniedException"};

    begin(LEAT_AGGREGATION_NONE);
    leat_local_kinesis_fault(server, &fault);
    put_numbers(0, 100);
    ck_assert_int_eq(leat_producer_flush(producer, &err), LEAT_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.text, "10 of 100 records failed"));
    leat_local_kinesis_clear_faults(server);
    ck_assert_uint_eq(leat_producer_counts(producer).failed, 10);
    ck_assert_uint_eq(leat_producer_counts(producer).user_records, 90);
    read_all();
    ck_assert_uint_eq(read_records, 90);
    leat_local_kinesis_free(server);
    server = NULL;
    put("key-1", "", "nobody is there");
    aws.retry.maximum_attempts = 1;
    ck_assert_int_lt(leat_producer_flush(producer, &err), 0);
    ck_assert_uint_eq(leat_producer_counts(producer).failed, 11);
    ck_assert_int_eq(leat_producer_wake_us(producer), INT64_MAX);
}
END_TEST

START_TEST(linger_is_kept)
{
    int64_t before_us = leat_clock_monotonic_us();

    options.linger_us = 500 * LEAT_MS_US; /* long enough for what follows to be within it */
    begin(LEAT_AGGREGATION_KPL);
    put("a", "", "one");
    ck_assert_int_ge(leat_producer_wake_us(producer), before_us + options.linger_us);
    ck_assert_int_eq(leat_producer_poll(producer, &err), 0);
    ck_assert_uint_eq(leat_producer_counts(producer).user_records, 0);
    while (leat_clock_monotonic_us() < leat_producer_wake_us(producer))
        continue;
    ck_assert_int_eq(leat_producer_poll(producer, &err), 0);
    ck_assert_uint_eq(leat_producer_counts(producer).user_records, 1);
}
END_TEST

START_TEST(pace_is_even)
{
    int64_t began_us;

    options.rate = 200;
    options.linger_us = 20 * LEAT_MS_US;
    begin(LEAT_AGGREGATION_NONE);
    began_us = leat_clock_monotonic_us();
    put_numbers(0, 100);
    /* 100 records at 200 a second, of which the first 0.1 s may come at once */
    ck_assert_int_ge(leat_clock_monotonic_us() - began_us, 380 * LEAT_MS_US);
    /* nobody waited for the last one */
    ck_assert_uint_gt(leat_producer_counts(producer).user_records, 50);
    flush();
    ck_assert_uint_eq(leat_producer_counts(producer).user_records, 100);
}
END_TEST

START_TEST(wrong_options)
{
    options.max_record_bytes = 100;
    ck_assert_ptr_null(leat_producer_new(&options, &err));
    options.max_record_bytes = 0;
    options.aggregate_bytes = (size_t)2 << 20;
    ck_assert_ptr_null(leat_producer_new(&options, &err));
    options.aggregate_bytes = 0;
    options.stream = "nobody";
    options.aggregation = LEAT_AGGREGATION_KPL;
    ck_assert_ptr_null(leat_producer_new(&options, &err));
    ck_assert_int_eq(err.code, LEAT_E_NOT_FOUND);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("integration/producer");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, plain_records);
    tcase_add_test(tests, kpl_aggregates_per_shard);
    tcase_add_test(tests, kpl_across_a_split);
    tcase_add_test(tests, kpl_across_a_merge);
    tcase_add_test(tests, kpl_with_a_listing_that_fails);
    tcase_add_test(tests, gzip_arrays_per_key);
    tcase_add_test(tests, random_keys);
    tcase_add_test(tests, limits_are_kept);
    tcase_add_test(tests, refused_records_are_sent_again);
    tcase_add_test(tests, what_fails_for_good_is_counted);
    tcase_add_test(tests, linger_is_kept);
    tcase_add_test(tests, pace_is_even);
    tcase_add_test(tests, wrong_options);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
