/* The fetch thread over files: every record once and in order, back-pressure, repositioning, closing in the middle. */
#include "stream/fetch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "stream/file_source.h"
#include "support/patience.h"

#define LINES 20000

struct receiver {
    struct leat_mutex lock;
    struct leat_condition condition;
    struct leat_chunk *chunks[64]; /* how far the fetch thread gets ahead depends on the machine */
    size_t count;
    uint64_t generation;
};

static char path[64];
static struct leat_error err;
static struct leat_memory *memory;
static struct leat_fetcher *fetcher;
static struct leat_source *source;
static struct receiver receiver;

static void
deliver(void *context, uint64_t generation, struct leat_chunk *chunk)
{
    leat_mutex_lock(&receiver.lock);
    ck_assert_uint_lt(receiver.count, LEAT_COUNT_OF(receiver.chunks));
    receiver.generation = generation;
    receiver.chunks[receiver.count++] = chunk;
    leat_condition_signal(&receiver.condition);
    leat_mutex_unlock(&receiver.lock);
}

static void
trouble(void *context, uint64_t generation, const struct leat_read_result *result)
{
    ck_abort_msg("%s", result->err.text);
}

static const struct leat_feed_events events = {deliver, trouble, NULL};

static void
setup(void)
{
    struct leat_fetcher_options options = {.idle_us = 10 * LEAT_MS_US};
    FILE *file;
    int fd;

    snprintf(path, sizeof path, "/tmp/leat-fetch-XXXXXX");
    fd = mkstemp(path);
    file = fdopen(fd, "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < LINES; i++)
        fprintf(file, "%d %0200d\n", i, 0);
    fclose(file);
    memory = leat_memory_new(LEAT_MEMORY_MINIMUM_BYTES, 1);
    options.memory = memory;
    fetcher = leat_fetcher_new(&options, &err);
    ck_assert_msg(fetcher != NULL, "%s", err.text);
    ck_assert_int_eq(leat_file_source_open("f", path, false, &source, &err), 0);
    leat_mutex_init(&receiver.lock);
    leat_condition_init(&receiver.condition);
    receiver.count = 0;
}

static void
teardown(void)
{
    leat_fetcher_free(fetcher);
    source->ops->close(source);
    ck_assert_uint_eq(leat_memory_total(memory), 0);
    leat_memory_free(memory);
    unlink(path);
}

static struct leat_chunk *
next_chunk(void)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    struct leat_chunk *chunk;

    leat_mutex_lock(&receiver.lock);
    while (receiver.count == 0)
        ck_assert(leat_condition_wait_until(&receiver.condition, &receiver.lock, deadline_us));
    chunk = receiver.chunks[0];
    for (size_t i = 1; i < receiver.count; i++)
        receiver.chunks[i - 1] = receiver.chunks[i];
    receiver.count--;
    leat_mutex_unlock(&receiver.lock);
    return chunk;
}

static struct leat_feed *
open_feed(void)
{
    struct leat_position start = {.kind = LEAT_POSITION_TRIM_HORIZON};

    return leat_feed_open(fetcher, source, leat_slice_from(LEAT_FILE_SHARD), 0, &start, 1, &events);
}

/* Reads to the end; returns how many records came, checked to be in order from `first`. */
static long
read_all(struct leat_feed *feed, long first)
{
    bool is_end = false;
    long next = first;

    while (!is_end) {
        struct leat_chunk *chunk = next_chunk();

        for (size_t i = 0; i < chunk->count; i++)
            ck_assert_int_eq(strtol((const char *)chunk->records[i].data.data, NULL, 10), next++);
        is_end = chunk->is_shard_end;
        leat_chunk_unref(chunk);
        leat_feed_queued(feed, 0);
    }
    return next;
}

static void
drop_rest(void)
{
    while (receiver.count > 0)
        leat_chunk_unref(receiver.chunks[--receiver.count]);
}

START_TEST(test_every_record_comes_once_in_order)
{
    struct leat_feed *feed = open_feed();

    ck_assert_int_eq(read_all(feed, 0), LINES);
    leat_feed_close(feed);
    ck_assert_uint_eq(leat_fetcher_counts(fetcher).records, LINES);
}
END_TEST

static void
wait_for(int64_t us)
{
    int64_t deadline_us = leat_clock_monotonic_us() + us;
    struct leat_mutex lock;
    struct leat_condition never;

    leat_mutex_init(&lock);
    leat_condition_init(&never);
    leat_mutex_lock(&lock);
    while (leat_condition_wait_until(&never, &lock, deadline_us))
        ;
    leat_mutex_unlock(&lock);
    leat_condition_release(&never);
    leat_mutex_release(&lock);
}

START_TEST(test_a_consumer_that_does_not_begin_stops_the_reading)
{
    struct leat_feed *feed = open_feed();
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;

    while (leat_fetcher_counts(fetcher).reads < 2 && leat_clock_monotonic_us() < deadline_us)
        wait_for(5 * LEAT_MS_US);
    wait_for(200 * LEAT_MS_US);
    ck_assert_uint_eq(leat_fetcher_counts(fetcher).reads, 2);
    ck_assert_uint_le(leat_memory_total(memory), LEAT_MEMORY_MINIMUM_BYTES);
    leat_feed_close(feed);
    drop_rest();
}
END_TEST

START_TEST(test_it_begins_again_where_it_is_told)
{
    struct leat_position start = {.kind = LEAT_POSITION_TRIM_HORIZON};
    struct leat_feed *feed = open_feed();
    struct leat_chunk *chunk = next_chunk();
    long skipped;

    leat_feed_pause(feed, true);
    start.kind = LEAT_POSITION_SEQUENCE;
    start.sub_sequence = -1;
    snprintf(start.sequence, sizeof start.sequence, "%.*s", (int)chunk->records[99].sequence.size,
             (const char *)chunk->records[99].sequence.data);
    leat_chunk_unref(chunk);
    leat_feed_reposition(feed, &start, 2);
    leat_feed_pause(feed, false);
    do { /* what was read before comes with the old generation */
        chunk = next_chunk();
        skipped = strtol((const char *)chunk->records[0].data.data, NULL, 10);
        if (skipped == 100)
            break;
        leat_chunk_unref(chunk);
    } while (true);
    ck_assert_uint_eq(receiver.generation, 2);
    skipped = 100 + (long)chunk->count;
    leat_chunk_unref(chunk);
    leat_feed_queued(feed, 0);
    ck_assert_int_eq(read_all(feed, skipped), LINES);
    leat_feed_close(feed);
}
END_TEST

START_TEST(test_closing_in_the_middle_gives_everything_back)
{
    for (int i = 0; i < 50; i++) {
        struct leat_feed *feed = open_feed();

        if (i % 2 == 0)
            leat_chunk_unref(next_chunk());
        leat_feed_close(feed);
        drop_rest();
        ck_assert_uint_eq(leat_memory_total(memory), 0);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fetch");
    TCase *tests = tcase_create("fetch");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_every_record_comes_once_in_order);
    tcase_add_test(tests, test_a_consumer_that_does_not_begin_stops_the_reading);
    tcase_add_test(tests, test_it_begins_again_where_it_is_told);
    tcase_add_test(tests, test_closing_in_the_middle_gives_everything_back);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
