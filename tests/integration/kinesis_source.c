/*
 * Source, readers, regions and fetch thread together against our own Kinesis: every record once and in order, whatever their
 * size; positions; the ends of shards and streams; closing and pacing. Faults are in kinesis_source_faults.c.
 */
#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/canned_http.h"
#include "support/feeds.h"
#include "support/patience.h"

#define SHARDS 4
#define MIB ((size_t)1 << 20)

static const enum leat_kinesis_encoding encodings[] = {LEAT_KINESIS_CBOR, LEAT_KINESIS_JSON};
#define ENCODINGS ((int)LEAT_COUNT_OF(encodings))

static struct feeds feeds;
static struct watched watched[SHARDS];

static void
start(unsigned shards, enum leat_kinesis_encoding encoding, size_t record_bytes)
{
    feeds_start(&feeds, &(struct feeds_options){.server = {.record_bytes = record_bytes},
                                                .shards = shards,
                                                .encoding = encoding});
}

static void
open_all(unsigned shards)
{
    for (unsigned i = 0; i < shards; i++)
        watched_open(&watched[i], &feeds, i, NULL);
}

static void
close_all(unsigned shards)
{
    for (unsigned i = 0; i < shards; i++)
        watched_close(&watched[i]);
    feeds_stop(&feeds);
}

/* The rest of a shard's records, then its end; the caller's. */
static struct leat_chunk *
read_to_end(struct watched *of)
{
    struct leat_chunk *chunk = watched_chunk(of);

    while (!chunk->is_shard_end) {
        watched_check(of, chunk);
        leat_chunk_unref(chunk);
        leat_feed_queued(of->feed, 0);
        chunk = watched_chunk(of);
    }
    watched_check(of, chunk);
    return chunk;
}

/* Where the record of this number is, by reading a shard once. */
static void
find_positions(struct watched *of, struct leat_position *positions, size_t count)
{
    size_t found = 0;

    while (found < count) {
        struct leat_chunk *chunk = watched_chunk(of);

        watched_check(of, chunk);
        for (size_t i = 0; i < chunk->count && found < count; i++) {
            struct leat_position *position = &positions[found++];

            *position = (struct leat_position){.kind = LEAT_POSITION_SEQUENCE, .sub_sequence = -1};
            memcpy(position->sequence, chunk->records[i].sequence.data,
                   chunk->records[i].sequence.size);
        }
        leat_chunk_unref(chunk);
        leat_feed_queued(of->feed, 0);
    }
}

/* ---- all records ----------------------------------------------------------------------------- */

START_TEST(four_shards_are_read_whole_and_in_order)
{
    const uint64_t many = 6000;
    struct leat_local_kinesis_counts counts;

    start(SHARDS, encodings[_i], 0);
    for (uint64_t number = 0; number < many; number++) {
        for (unsigned shard = 0; shard < SHARDS; shard++)
            feeds_put(&feeds, shard, SHARDS, number, 16 + (size_t)(number * 37 + shard) % 900);
    }
    open_all(SHARDS);
    for (unsigned shard = 0; shard < SHARDS; shard++)
        watched_read_to(&watched[shard], many);
    /* What comes later too, behind empty answers. */
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        feeds_put(&feeds, shard, SHARDS, watched[shard].next, 100);
        watched_read_to(&watched[shard], watched[shard].next + 1);
    }
    leat_local_kinesis_counts(feeds.server, &counts);
    ck_assert_uint_eq(counts.refused, 0);
    ck_assert_uint_eq(leat_fetcher_counts(feeds.fetcher).records, SHARDS * (many + 1));
    ck_assert_uint_eq(leat_local_kinesis_calls(feeds.server, "GetShardIterator"), SHARDS);
    close_all(SHARDS);
}
END_TEST

/* Whoever has a chunk is processed: as consumers do. */
static void
read_by_turns(unsigned shards, uint64_t records, uint64_t apart)
{
    uint64_t least = 0, most;
    struct feed_item item;
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (least < records) {
        ck_assert_int_lt(leat_clock_monotonic_us(), deadline_us);
        least = records;
        most = 0;
        for (unsigned i = 0; i < shards; i++) {
            if (watched_next(&watched[i], LEAT_MS_US, &item)) {
                ck_assert_msg(item.chunk != NULL, "%s", item.trouble.err.text);
                watched_check(&watched[i], item.chunk);
                leat_chunk_unref(item.chunk);
                leat_feed_queued(watched[i].feed, 0);
            }
            ck_assert_uint_le(leat_memory_total(feeds.memory),
                              LEAT_MEMORY_MINIMUM_BYTES + LEAT_MEMORY_SPARE_BYTES);
            least = watched[i].next < least ? watched[i].next : least;
            most = watched[i].next > most ? watched[i].next : most;
        }
        ck_assert_msg(most - least <= apart, "%llu records apart",
                      (unsigned long long)(most - least));
    }
}

START_TEST(records_of_a_mebibyte_within_the_budget)
{
    const uint64_t many = 54;

    start(SHARDS, encodings[_i], 0);
    for (uint64_t number = 0; number < many; number++) {
        for (unsigned shard = 0; shard < SHARDS; shard++)
            feeds_put(&feeds, shard, SHARDS, number, MIB - 8);
    }
    open_all(SHARDS);
    /* No shard starves: what waits for room gets it in its turn. An answer is nine records. */
    read_by_turns(SHARDS, many, 30);
    /* Some were asked for again, with more memory: nothing was lost or came twice by it. */
    ck_assert_uint_gt(leat_fetcher_counts(feeds.fetcher).reads, SHARDS * 6);
    ck_assert_uint_eq(leat_fetcher_counts(feeds.fetcher).records, SHARDS * many);
    ck_assert_uint_eq(leat_fetcher_counts(feeds.fetcher).errors, 0);
    close_all(SHARDS);
}
END_TEST

START_TEST(records_of_ten_mebibytes_fit_the_spare_slot)
{
    start(2, encodings[_i], 10 * MIB);
    for (uint64_t number = 0; number < 3; number++) {
        for (unsigned shard = 0; shard < 2; shard++)
            feeds_put(&feeds, shard, 2, number, 10 * MIB - 8);
    }
    open_all(2);
    watched_read_to(&watched[1], 3);
    watched_read_to(&watched[0], 3);
    close_all(2);
}
END_TEST

START_TEST(an_answer_above_the_spare_slot_is_asked_for_smaller)
{
    unsigned char key[256];
    struct leat_error err;
    uint64_t seen = 0;

    /* As JSON each of these bytes is six: 10,000 records are 17 MB. */
    memset(key, 1, sizeof key);
    start(1, LEAT_KINESIS_JSON, 0);
    for (uint32_t number = 0; number < 30000; number++)
        ck_assert_int_eq(
            leat_local_kinesis_put(feeds.server, FEEDS_STREAM, leat_slice_make(key, sizeof key),
                                   leat_slice_from(""), leat_slice_make(&number, sizeof number),
                                   NULL, &err),
            0);
    open_all(1);
    while (seen < 30000) {
        struct leat_chunk *chunk = watched_chunk(&watched[0]);

        for (size_t i = 0; i < chunk->count; i++) {
            uint32_t number;

            ck_assert_uint_eq(chunk->records[i].data.size, sizeof number);
            memcpy(&number, chunk->records[i].data.data, sizeof number);
            ck_assert_uint_eq(number, seen++);
            ck_assert_uint_eq(chunk->records[i].partition_key.size, sizeof key);
        }
        leat_chunk_unref(chunk);
        leat_feed_queued(watched[0].feed, 0);
    }
    ck_assert_uint_gt(leat_fetcher_counts(feeds.fetcher).reads, 6);
    close_all(1);
}
END_TEST

static const char summary[] =
    "{\"StreamDescriptionSummary\":{\"StreamName\":\"vast\",\"StreamARN\":\"arn:aws:kinesis:us-"
    "east-1:"
    "000000000000:stream/vast\",\"StreamStatus\":\"ACTIVE\",\"RetentionPeriodHours\":24,"
    "\"StreamCreationTimestamp\":1.7E9,\"OpenShardCount\":1}}";

/* No Kinesis sends such an answer; a source that is none may. */
START_TEST(a_record_that_nothing_holds_is_told)
{
    static const char huge[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
                               "Content-Length: 17000000\r\n\r\n{";
    struct canned_http *server = canned_http_new();
    struct leat_kinesis_source_options options;
    struct leat_read_result result;
    struct leat_source *source;
    struct leat_error err;

    start(1, LEAT_KINESIS_JSON, 0);
    source = feeds.source;
    feeds.aws.endpoints[LEAT_SERVICE_KINESIS] = canned_http_url(server);
    options =
        (struct leat_kinesis_source_options){"vast", &feeds.aws, LEAT_KINESIS_JSON, feeds.regions};
    canned_http_answer(server, 200, "", leat_slice_from(summary));
    ck_assert_msg(leat_kinesis_source_open(&options, &feeds.source, &err) == 0, "%s", err.text);
    canned_http_answer(server, 200, "", leat_slice_from("{\"ShardIterator\":\"AAAA\"}"));
    for (int i = 0; i < 40; i++)
        canned_http_add(server, leat_slice_from(huge), CANNED_CLOSE);
    open_all(1);
    result = watched_trouble(&watched[0]);
    ck_assert_int_eq(result.outcome, LEAT_READ_BLOCKED);
    ck_assert_ptr_nonnull(strstr(result.err.text, "\"vast\""));
    ck_assert_ptr_nonnull(
        strstr(canned_http_request(server, canned_http_count(server) - 1), "\"Limit\":1,"));
    /* And is not asked for on and on. */
    ck_assert(!watched_next(&watched[0], 200 * LEAT_MS_US, &(struct feed_item){0}));
    ck_assert_uint_le(canned_http_count(server), 14);
    source->ops->close(source);
    close_all(1);
    canned_http_free(server);
}
END_TEST

/* ---- positions ------------------------------------------------------------------------------- */

START_TEST(it_begins_behind_a_record_or_inside_its_aggregate)
{
    struct leat_position positions[10];
    struct feed_item item;

    start(1, encodings[_i], 0);
    for (uint64_t number = 0; number < 10; number++)
        feeds_put(&feeds, 0, 1, number, 100);
    open_all(1);
    find_positions(&watched[0], positions, 10);
    /* All of the fifth is done: the sixth is next. */
    leat_feed_reposition(watched[0].feed, &positions[4], 2);
    watched[0].next = 5;
    watched_read_to(&watched[0], 10);
    /* Some of it is done: it comes again, whole. */
    positions[4].sub_sequence = 0;
    leat_feed_reposition(watched[0].feed, &positions[4], 3);
    ck_assert(watched_next(&watched[0], PATIENCE_US, &item));
    ck_assert_uint_eq(item.generation, 3);
    watched[0].next = 4;
    watched_check(&watched[0], item.chunk);
    leat_chunk_unref(item.chunk);
    ck_assert_uint_eq(watched[0].next, 10);
    leat_feed_queued(watched[0].feed, 0);
    /* A feed that is opened there does the same, and an iterator that expires before its first use too. */
    watched_close(&watched[0]);
    feeds_fault(&feeds, &(struct leat_local_fault){.kind = LEAT_LOCAL_FAULT_EXPIRED_ITERATOR,
                                                   .action = "GetRecords",
                                                   .times = 1});
    watched_open(&watched[0], &feeds, 0, &positions[4]);
    watched[0].next = 4;
    watched_read_to(&watched[0], 10);
    close_all(1);
}
END_TEST

START_TEST(it_begins_at_a_time_and_at_the_tip)
{
    struct leat_position position = {.kind = LEAT_POSITION_AT_TIMESTAMP, .sub_sequence = -1};
    uint64_t reads;

    start(1, encodings[_i], 0);
    feeds_put(&feeds, 0, 1, 0, 100);
    leat_local_kinesis_shift_clock(feeds.server, 10 * LEAT_SECOND_US);
    position.timestamp_us = leat_local_kinesis_now_us(feeds.server);
    feeds_put(&feeds, 0, 1, 1, 100);
    watched_open(&watched[0], &feeds, 0, &position);
    watched[0].next = 1;
    watched_read_to(&watched[0], 2);
    watched_close(&watched[0]);
    reads = leat_fetcher_counts(feeds.fetcher).reads; /* however many the first feed had time for */
    position.kind = LEAT_POSITION_LATEST;
    watched_open(&watched[0], &feeds, 0, &position);
    while (leat_fetcher_counts(feeds.fetcher).reads < reads + 5)
        watched_next(&watched[0], LEAT_MS_US, &(struct feed_item){0});
    feeds_put(&feeds, 0, 1, 2, 100);
    watched[0].next = 2;
    watched_read_to(&watched[0], 3);
    close_all(1);
}
END_TEST

START_TEST(a_time_that_is_not_yet_is_waited_for)
{
    struct leat_position position = {.kind = LEAT_POSITION_AT_TIMESTAMP, .sub_sequence = -1};
    struct leat_read_result result;

    start(1, encodings[_i], 0);
    position.timestamp_us = leat_local_kinesis_now_us(feeds.server) + 60 * LEAT_SECOND_US;
    watched_open(&watched[0], &feeds, 0, &position);
    /* The service refuses it, as it does a foreign sequence number: but the stream is the same. */
    result = watched_trouble(&watched[0]);
    ck_assert_int_eq(result.outcome, LEAT_READ_AGAIN);
    leat_local_kinesis_shift_clock(feeds.server, 61 * LEAT_SECOND_US);
    feeds_put(&feeds, 0, 1, 0, 100);
    ck_assert_int_eq(watched_trouble(&watched[0]).outcome, LEAT_READ_OK);
    watched_read_to(&watched[0], 1);
    close_all(1);
}
END_TEST

START_TEST(iterators_grow_old)
{
    start(1, encodings[_i], 0);
    feeds_put(&feeds, 0, 1, 0, 100);
    open_all(1);
    watched_read_to(&watched[0], 1);
    for (uint64_t number = 1; number < 5; number++) {
        leat_feed_pause(watched[0].feed, true);
        leat_local_kinesis_shift_clock(feeds.server, 301 * LEAT_SECOND_US);
        feeds_put(&feeds, 0, 1, number, 100);
        leat_feed_pause(watched[0].feed, false);
        watched_read_to(&watched[0], number + 1);
    }
    ck_assert_uint_eq(leat_local_kinesis_calls(feeds.server, "GetShardIterator"), 5);
    close_all(1);
}
END_TEST

/* ---- ends ------------------------------------------------------------------------------------ */

START_TEST(a_shard_ends_and_tells_its_children)
{
    struct leat_position end = {.kind = LEAT_POSITION_SHARD_END, .sub_sequence = -1};
    struct leat_chunk *chunk;
    struct leat_error err;

    start(2, encodings[_i], 0);
    feeds_put(&feeds, 0, 2, 0, 100);
    feeds_put(&feeds, 1, 2, 0, 100);
    ck_assert_int_eq(leat_local_kinesis_split(feeds.server, FEEDS_STREAM, feeds_shard(0), &err), 0);
    open_all(2);
    chunk = read_to_end(&watched[0]);
    ck_assert_uint_eq(watched[0].next, 1);
    ck_assert_uint_eq(chunk->child_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(leat_slice_is(chunk->children[i].shard, feeds_shard(2 + i)));
        ck_assert_uint_eq(chunk->children[i].parent_count, 1);
        ck_assert(leat_slice_is(chunk->children[i].parents[0], feeds_shard(0)));
    }
    ck_assert(leat_slice_is(chunk->children[0].starting_hash_key, "0"));
    leat_chunk_unref(chunk);
    watched_read_to(&watched[1], 1);
    ck_assert_int_eq(
        leat_local_kinesis_merge(feeds.server, FEEDS_STREAM, feeds_shard(3), feeds_shard(1), &err),
        0);
    chunk = read_to_end(&watched[1]); /* it was open when the feed began */
    ck_assert_uint_eq(chunk->child_count, 1);
    ck_assert(leat_slice_is(chunk->children[0].shard, feeds_shard(4)));
    ck_assert_uint_eq(chunk->children[0].parent_count, 2);
    leat_chunk_unref(chunk);
    /* Whoever was at the end already is told so, without a call. */
    watched_close(&watched[0]);
    watched_open(&watched[0], &feeds, 0, &end);
    chunk = watched_chunk(&watched[0]);
    ck_assert(chunk->is_shard_end);
    ck_assert_uint_eq(chunk->count, 0);
    leat_chunk_unref(chunk);
    close_all(2);
}
END_TEST

START_TEST(a_deleted_stream_is_gone_and_its_namesake_is_another)
{
    struct leat_position position[1];
    struct leat_read_result result;
    struct leat_kinesis *kinesis;
    struct leat_error err;
    uint64_t calls;

    start(1, encodings[_i], 0);
    kinesis = leat_kinesis_new(&feeds.aws, encodings[_i], &err);
    for (uint64_t number = 0; number < 5; number++)
        feeds_put(&feeds, 0, 1, number, 100);
    open_all(1);
    find_positions(&watched[0], position, 1);
    ck_assert_int_eq(leat_kinesis_delete_stream(kinesis, FEEDS_STREAM, &err), 0);
    result = watched_trouble(&watched[0]);
    ck_assert_int_eq(result.outcome, LEAT_READ_GONE);
    ck_assert_int_eq(result.err.code, LEAT_E_NOT_FOUND);
    calls = leat_fetcher_counts(feeds.fetcher).reads;
    ck_assert(!watched_next(&watched[0], 50 * LEAT_MS_US, &(struct feed_item){0}));
    ck_assert_uint_eq(leat_fetcher_counts(feeds.fetcher).reads, calls);

    leat_local_kinesis_shift_clock(feeds.server, 2 * LEAT_SECOND_US);
    ck_assert_int_eq(leat_kinesis_create_stream(kinesis, FEEDS_STREAM, 1, &err), 0);
    feeds_put(&feeds, 0, 1, 0, 100);
    leat_feed_reposition(watched[0].feed, position, 2);
    result = watched_trouble(&watched[0]);
    ck_assert_int_eq(result.outcome, LEAT_READ_INVALID);
    watched_close(&watched[0]);
    watched_open(&watched[0], &feeds, 0, NULL);
    watched_read_to(&watched[0], 1);
    leat_kinesis_free(kinesis);
    close_all(1);
}
END_TEST

START_TEST(a_trimmed_shard_goes_on_where_it_begins_and_a_closed_one_is_gone)
{
    struct leat_position positions[10];
    struct leat_error err;

    start(1, encodings[_i], 0);
    for (uint64_t number = 0; number < 10; number++)
        feeds_put(&feeds, 0, 1, number, 100);
    open_all(1);
    find_positions(&watched[0], positions, 10);
    leat_local_kinesis_shift_clock(feeds.server, LEAT_SECOND_US);
    ck_assert_int_eq(leat_local_kinesis_trim(feeds.server, FEEDS_STREAM, NULL, INT64_MAX, &err), 0);
    feeds_put(&feeds, 0, 1, 10, 100);
    leat_feed_reposition(watched[0].feed, &positions[2], 2);
    watched[0].next = 10;
    watched_read_to(&watched[0], 11);
    ck_assert_int_eq(leat_local_kinesis_split(feeds.server, FEEDS_STREAM, feeds_shard(0), &err), 0);
    ck_assert_int_eq(
        leat_local_kinesis_trim(feeds.server, FEEDS_STREAM, feeds_shard(0), INT64_MAX, &err), 0);
    leat_feed_reposition(watched[0].feed, &positions[9], 3);
    /* The end may have been seen before the shard went. */
    while (true) {
        struct feed_item item;

        ck_assert(watched_next(&watched[0], PATIENCE_US, &item));
        if (item.chunk == NULL && item.generation == 3) {
            ck_assert_int_eq(item.trouble.outcome, LEAT_READ_GONE);
            break;
        }
        leat_chunk_unref(item.chunk);
    }
    close_all(1);
}
END_TEST

/* ---- closing and pacing ---------------------------------------------------------------------- */

START_TEST(closing_ends_a_read_under_way)
{
    int64_t begun_us;

    start(1, encodings[_i], 0);
    feeds_put(&feeds, 0, 1, 0, 100);
    for (int i = 0; i < 2; i++) {
        const char *action = i == 0 ? "GetShardIterator" : "GetRecords";
        uint64_t calls;

        feeds_fault(&feeds, &(struct leat_local_fault){.kind = LEAT_LOCAL_FAULT_DELAY,
                                                       .action = action,
                                                       .delay_us = 2 * PATIENCE_US});
        calls = leat_local_kinesis_calls(feeds.server, action);
        open_all(1);
        while (leat_local_kinesis_calls(feeds.server, action) == calls)
            watched_next(&watched[0], LEAT_MS_US, &(struct feed_item){0});
        begun_us = leat_clock_monotonic_us();
        watched_close(&watched[0]);
        ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, PATIENCE_US);
        ck_assert_uint_eq(leat_memory_total(feeds.memory), 0);
        leat_local_kinesis_clear_faults(feeds.server);
    }
    for (int i = 0; i < 100; i++) {
        struct feed_item item;

        open_all(1);
        if (watched_next(&watched[0], (int64_t)(i % 10) * 300, &item))
            leat_chunk_unref(item.chunk);
        watched_close(&watched[0]);
        ck_assert_uint_eq(leat_memory_total(feeds.memory), 0);
    }
    feeds_stop(&feeds);
}
END_TEST

START_TEST(two_feeds_of_a_shard_keep_its_limits)
{
    struct leat_local_kinesis_counts counts;
    int64_t begun_us;
    uint64_t calls;
    double allowed;

    feeds_start(&feeds, &(struct feeds_options){.encoding = encodings[_i],
                                                .server.limits = leat_local_limits_aws,
                                                .fetcher = {.calls_per_second = 5,
                                                            .bytes_per_second = 2e6,
                                                            .idle_us = LEAT_MS_US}});
    begun_us = leat_clock_monotonic_us();
    watched_open(&watched[0], &feeds, 0, NULL);
    watched_open(&watched[1], &feeds, 0, NULL);
    for (uint64_t number = 0; number < 6; number++) {
        feeds_put(&feeds, 0, 1, number, 100);
        watched_read_to(&watched[0], number + 1);
        watched_read_to(&watched[1], number + 1);
    }
    calls = leat_local_kinesis_calls(feeds.server, "GetRecords"); /* before the time: they go on */
    allowed = 6 + 5.0 * (double)(leat_clock_monotonic_us() - begun_us) / 1e6;
    ck_assert_double_le((double)calls, allowed);
    leat_local_kinesis_counts(feeds.server, &counts);
    ck_assert_uint_eq(counts.throttled, 0);
    ck_assert_uint_eq(leat_fetcher_counts(feeds.fetcher).throttles, 0);
    close_all(2);
}
END_TEST

/* Nothing is configured: the service's rule is found and kept, by two feeds of a shard together. */
START_TEST(limits_are_found_by_asking)
{
    const uint64_t many = 4000;
    struct leat_local_kinesis_counts counts;
    struct leat_fetcher_counts reading;
    int64_t begun_us, deadline_us;
    double seconds;

    feeds_start(&feeds, &(struct feeds_options){.encoding = encodings[_i],
                                                .server.limits = leat_local_limits_aws});
    for (uint64_t number = 0; number < many; number++)
        feeds_put(&feeds, 0, 1, number, 1000);
    begun_us = leat_clock_monotonic_us();
    watched_open(&watched[0], &feeds, 0, NULL);
    watched_open(&watched[1], &feeds, 0, NULL);
    read_by_turns(2, many, many);
    /* The feeds read on: a refusal may be under way. */
    deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    do {
        leat_local_kinesis_counts(feeds.server, &counts);
        reading = leat_fetcher_counts(feeds.fetcher);
    } while (counts.throttled != reading.throttles && leat_clock_monotonic_us() < deadline_us);
    seconds = (double)(leat_clock_monotonic_us() - begun_us) / 1e6;
    ck_assert_uint_ge(counts.throttled, 1);
    ck_assert_uint_eq(counts.throttled, reading.throttles);
    ck_assert_msg((double)counts.throttled <= 8 + 4 * seconds, "%llu refusals in %.1f s",
                  (unsigned long long)counts.throttled, seconds);
    close_all(2);
}
END_TEST

START_TEST(without_limits_nothing_is_waited_for)
{
    const uint64_t many = 20000;
    struct leat_local_kinesis_counts counts;
    int64_t begun_us;

    start(1, encodings[_i], 0);
    for (uint64_t number = 0; number < many; number++)
        feeds_put(&feeds, 0, 1, number, 1000);
    begun_us = leat_clock_monotonic_us();
    open_all(1);
    watched_read_to(&watched[0], many);
    /* The documented pace takes nine seconds for 20 MB: so a slow machine's five are a proof, too. */
    ck_assert_int_lt(leat_clock_monotonic_us() - begun_us, 8 * LEAT_SECOND_US);
    leat_local_kinesis_counts(feeds.server, &counts);
    ck_assert_uint_eq(counts.throttled, 0);
    ck_assert_uint_eq(leat_fetcher_counts(feeds.fetcher).errors, 0);
    close_all(1);
}
END_TEST

/* ---- the source itself ----------------------------------------------------------------------- */

START_TEST(facts_shards_and_time)
{
    struct leat_kinesis_source_options options;
    struct leat_source *again;
    struct leat_source_facts facts;
    struct leat_shard_list list;
    struct leat_error err;
    int64_t now_us;

    start(2, encodings[_i], 0);
    ck_assert_str_eq(feeds.source->facts.name, FEEDS_STREAM);
    ck_assert_int_eq(feeds.source->facts.retention_ms, 24 * 3600 * 1000);
    ck_assert_ptr_nonnull(strstr(feeds.source->facts.stream_id, ":stream/" FEEDS_STREAM "@"));
    ck_assert_int_eq(leat_local_kinesis_split(feeds.server, FEEDS_STREAM, feeds_shard(1), &err), 0);
    leat_shard_list_init(&list);
    ck_assert_int_eq(feeds.source->ops->list_shards(feeds.source, &list, &err), 0);
    ck_assert_uint_eq(list.count, 4);
    ck_assert(list.shards[1].is_closed && !list.shards[0].is_closed);
    ck_assert_uint_eq(list.shards[3].parent_count, 1);
    ck_assert(leat_slice_is(list.shards[3].parents[0], feeds_shard(1)));
    leat_shard_list_release(&list);
    leat_local_kinesis_shift_clock(feeds.server, 3600 * LEAT_SECOND_US);
    ck_assert_int_eq(feeds.source->ops->now(feeds.source, &now_us, &err), 0);
    ck_assert_int_lt(llabs(now_us - leat_local_kinesis_now_us(feeds.server)), PATIENCE_US);

    options = (struct leat_kinesis_source_options){feeds.source->facts.arn, &feeds.aws,
                                                   encodings[_i], feeds.regions};
    ck_assert_int_eq(leat_kinesis_source_open(&options, &again, &err), 0);
    ck_assert_str_eq(again->facts.stream_id, feeds.source->facts.stream_id);
    leat_kinesis_source_interrupt(again);
    ck_assert_int_eq(again->ops->describe(again, &facts, &err), LEAT_E_CANCELLED);
    again->ops->close(again);
    options.stream = "elsewhere";
    ck_assert_int_eq(leat_kinesis_source_open(&options, &again, &err), LEAT_E_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "\"elsewhere\""));
    feeds_stop(&feeds);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("integration/kinesis_source");
    TCase *tests = tcase_create("kinesis_source");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, four_shards_are_read_whole_and_in_order, 0, ENCODINGS);
    tcase_add_loop_test(tests, records_of_a_mebibyte_within_the_budget, 0, ENCODINGS);
    tcase_add_loop_test(tests, records_of_ten_mebibytes_fit_the_spare_slot, 0, ENCODINGS);
    tcase_add_test(tests, an_answer_above_the_spare_slot_is_asked_for_smaller);
    tcase_add_test(tests, a_record_that_nothing_holds_is_told);
    tcase_add_loop_test(tests, it_begins_behind_a_record_or_inside_its_aggregate, 0, ENCODINGS);
    tcase_add_loop_test(tests, it_begins_at_a_time_and_at_the_tip, 0, ENCODINGS);
    tcase_add_loop_test(tests, a_time_that_is_not_yet_is_waited_for, 0, ENCODINGS);
    tcase_add_loop_test(tests, iterators_grow_old, 0, ENCODINGS);
    tcase_add_loop_test(tests, a_shard_ends_and_tells_its_children, 0, ENCODINGS);
    tcase_add_loop_test(tests, a_deleted_stream_is_gone_and_its_namesake_is_another, 0, ENCODINGS);
    tcase_add_loop_test(tests, a_trimmed_shard_goes_on_where_it_begins_and_a_closed_one_is_gone, 0,
                        ENCODINGS);
    tcase_add_loop_test(tests, closing_ends_a_read_under_way, 0, ENCODINGS);
    tcase_add_loop_test(tests, two_feeds_of_a_shard_keep_its_limits, 0, 1);
    tcase_add_loop_test(tests, limits_are_found_by_asking, 0, ENCODINGS);
    tcase_add_loop_test(tests, without_limits_nothing_is_waited_for, 0, ENCODINGS);
    tcase_add_loop_test(tests, facts_shards_and_time, 0, ENCODINGS);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
