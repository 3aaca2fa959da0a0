/*
 * What may go wrong between a reader and Kinesis, fault by fault: every record comes once and in order all the same, and what
 * lasts is told once at its beginning and once at its end.
 */
#include <check.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/feeds.h"

#define MANY 16000 /* five reads at least: they are asked for by 1,000, 2,000, … */

static const enum leat_kinesis_encoding encodings[] = {LEAT_KINESIS_CBOR, LEAT_KINESIS_JSON,
                                                       LEAT_KINESIS_AUTO};
#define ENCODINGS ((int)LEAT_COUNT_OF(encodings))

/* Every second call is hit, three in all, where nothing else is said. */
static const struct leat_local_fault faults[] = {
    {LEAT_LOCAL_FAULT_THROTTLE, "GetRecords"},
    {LEAT_LOCAL_FAULT_THROTTLE, "GetShardIterator", .every = 1},
    {LEAT_LOCAL_FAULT_ERROR, "GetRecords", .status = 500},
    {LEAT_LOCAL_FAULT_ERROR, "GetRecords", .status = 503},
    {LEAT_LOCAL_FAULT_ERROR, "GetShardIterator", .every = 1},
    {LEAT_LOCAL_FAULT_REFUSE, "GetRecords", .type = "KMSThrottlingException"},
    {LEAT_LOCAL_FAULT_REFUSE, "GetRecords", .type = "InternalFailureException", .status = 500},
    /* An iterator that the service does not know any more. */
    {LEAT_LOCAL_FAULT_REFUSE, "GetRecords", .type = "InvalidArgumentException"},
    {LEAT_LOCAL_FAULT_EXPIRED_ITERATOR, "GetRecords"},
    {LEAT_LOCAL_FAULT_DELAY, "GetRecords", .delay_us = 50 * LEAT_MS_US},
    {LEAT_LOCAL_FAULT_SLOW, "GetRecords", .bytes = 20000, .delay_us = LEAT_MS_US},
    {LEAT_LOCAL_FAULT_CUT, "GetRecords"},
    {LEAT_LOCAL_FAULT_CUT, "GetRecords", .bytes = 1},
    {LEAT_LOCAL_FAULT_CUT, "GetShardIterator", .every = 1},
    {LEAT_LOCAL_FAULT_RESET, "GetRecords"},
    {LEAT_LOCAL_FAULT_LOST, "GetRecords"},
    {LEAT_LOCAL_FAULT_STALE, "GetRecords"},
    {LEAT_LOCAL_FAULT_EMPTY, "GetRecords"},
    {LEAT_LOCAL_FAULT_REPEAT, "GetRecords"},
    {LEAT_LOCAL_FAULT_REPEAT, "GetRecords", .every = 1, .times = 4},
    {LEAT_LOCAL_FAULT_NULL, "GetRecords"},
    {LEAT_LOCAL_FAULT_INDEFINITE, "GetRecords"},
};

static struct feeds feeds;
static struct watched watched;

static void
start(enum leat_kinesis_encoding encoding, uint64_t records)
{
    feeds_start(&feeds, &(struct feeds_options){.encoding = encoding});
    for (uint64_t number = 0; number < records; number++)
        feeds_put(&feeds, 0, 1, number, 40);
}

static void
stop(void)
{
    watched_close(&watched);
    feeds_stop(&feeds);
}

START_TEST(each_fault_costs_no_record_and_doubles_none)
{
    struct leat_local_fault fault = faults[(size_t)_i % LEAT_COUNT_OF(faults)];
    enum leat_kinesis_encoding encoding = encodings[(size_t)_i / LEAT_COUNT_OF(faults)];
    struct leat_local_kinesis_counts counts;
    struct leat_chunk *end;
    struct leat_error err;

    fault.every = fault.every > 0 ? fault.every : 2;
    fault.times = fault.times > 0 ? fault.times : 3;
    start(encoding, MANY);
    leat_local_kinesis_split(feeds.server, FEEDS_STREAM, feeds_shard(0), &err);
    feeds_fault(&feeds, &fault);
    watched_open(&watched, &feeds, 0, NULL);
    while (true) {
        end = watched_chunk(&watched);
        watched_check(&watched, end);
        if (end->is_shard_end)
            break;
        leat_chunk_unref(end);
        leat_feed_queued(watched.feed, 0);
    }
    ck_assert_uint_eq(watched.next, MANY);
    ck_assert_uint_eq(end->child_count, 2);
    leat_chunk_unref(end);
    leat_local_kinesis_counts(feeds.server, &counts);
    ck_assert_uint_ge(counts.faults, 2);
    stop();
}
END_TEST

START_TEST(an_iterator_that_repeats_what_was_read_brings_only_what_is_new)
{
    start(encodings[_i], 10);
    feeds_fault(&feeds, &(struct leat_local_fault){
                            .kind = LEAT_LOCAL_FAULT_REPEAT, .action = "GetRecords", .times = 1});
    watched_open(&watched, &feeds, 0, NULL);
    leat_feed_queued(watched.feed, 1);
    for (uint64_t number = 10; number < 30; number++) {
        watched_read_to(&watched, number);
        leat_feed_pause(watched.feed, true);
        feeds_fault(&feeds, &(struct leat_local_fault){.kind = LEAT_LOCAL_FAULT_REPEAT,
                                                       .action = "GetRecords",
                                                       .every = 2,
                                                       .times = 1});
        feeds_put(&feeds, 0, 1, number, 40);
        leat_feed_pause(watched.feed, false);
    }
    watched_read_to(&watched, 30);
    ck_assert_uint_eq(leat_fetcher_counts(feeds.fetcher).records, 30);
    stop();
}
END_TEST

START_TEST(a_server_without_cbor_is_read_as_json)
{
    start(LEAT_KINESIS_AUTO, 2000);
    feeds_fault(&feeds, &(struct leat_local_fault){.kind = LEAT_LOCAL_FAULT_NO_CBOR});
    watched_open(&watched, &feeds, 0, NULL);
    watched_read_to(&watched, 2000);
    stop();
}
END_TEST

START_TEST(an_outage_that_lasts_is_told_once_and_its_end_too)
{
    struct leat_read_result result;

    start(encodings[_i], 10);
    feeds_fault(&feeds,
                &(struct leat_local_fault){.kind = LEAT_LOCAL_FAULT_ERROR, .action = "GetRecords"});
    watched_open(&watched, &feeds, 0, NULL);
    result = watched_trouble(&watched);
    ck_assert_int_eq(result.outcome, LEAT_READ_AGAIN);
    ck_assert_int_eq(result.err.code, LEAT_E_UNAVAILABLE);
    ck_assert(!watched_next(&watched, LEAT_SECOND_US, &(struct feed_item){0}));
    leat_local_kinesis_clear_faults(feeds.server);
    ck_assert_int_eq(watched_trouble(&watched).outcome, LEAT_READ_OK);
    watched_read_to(&watched, 10);
    stop();
}
END_TEST

START_TEST(rights_that_are_taken_block_and_given_back_free_it)
{
    struct leat_read_result result;

    start(encodings[_i], 10);
    feeds_fault(&feeds, &(struct leat_local_fault){.kind = LEAT_LOCAL_FAULT_REFUSE,
                                                   .action = "GetRecords",
                                                   .type = "AccessDeniedException",
                                                   .times = 1});
    watched_open(&watched, &feeds, 0, NULL);
    result = watched_trouble(&watched);
    ck_assert_int_eq(result.outcome, LEAT_READ_BLOCKED);
    ck_assert_ptr_nonnull(strstr(result.err.text, FEEDS_STREAM));
    ck_assert_int_eq(watched_trouble(&watched).outcome, LEAT_READ_OK);
    watched_read_to(&watched, 10);
    stop();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("integration/kinesis_source_faults");
    TCase *tests = tcase_create("kinesis_source_faults");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, each_fault_costs_no_record_and_doubles_none, 0,
                        2 * (int)LEAT_COUNT_OF(faults));
    tcase_add_loop_test(tests, an_iterator_that_repeats_what_was_read_brings_only_what_is_new, 0,
                        ENCODINGS);
    tcase_add_test(tests, a_server_without_cbor_is_read_as_json);
    tcase_add_loop_test(tests, an_outage_that_lasts_is_told_once_and_its_end_too, 0, 1);
    tcase_add_loop_test(tests, rights_that_are_taken_block_and_given_back_free_it, 0, 1);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
