#include "support/feeds.h"

#include <check.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/patience.h"

#define KEY_ID "AKIDFEEDS"
#define SECRET "a/secret+of=feeds"

void
feeds_start(struct feeds *feeds, const struct feeds_options *options)
{
    struct leat_local_kinesis_options server = options->server;
    struct leat_fetcher_options fetcher = options->fetcher;
    struct leat_error err;

    memset(feeds, 0, sizeof *feeds);
    server.access_key_id = KEY_ID;
    server.secret_access_key = SECRET;
    feeds->server = leat_local_kinesis_new(&server, &err);
    ck_assert_msg(feeds->server != NULL, "%s", err.text);
    ck_assert_int_eq(leat_local_kinesis_create_stream(feeds->server, FEEDS_STREAM,
                                                      options->shards > 0 ? options->shards : 1,
                                                      &err),
                     0);
    feeds->aws.region = "us-east-1";
    feeds->aws.endpoints[LEAT_SERVICE_KINESIS] = leat_local_kinesis_endpoint(feeds->server);
    feeds->aws.credentials = leat_credentials_static_new(KEY_ID, SECRET, NULL);
    feeds->regions = leat_region_pool_new((size_t)16 << 20);
    feeds->memory = leat_memory_new(LEAT_MEMORY_MINIMUM_BYTES, 1);
    ck_assert_msg(leat_kinesis_source_open(
                      &(struct leat_kinesis_source_options){.stream = FEEDS_STREAM,
                                                            .aws = &feeds->aws,
                                                            .encoding = options->encoding,
                                                            .regions = feeds->regions},
                      &feeds->source, &err) == 0,
                  "%s", err.text);
    fetcher.memory = feeds->memory;
    if (fetcher.idle_us == 0)
        fetcher.idle_us = 5 * LEAT_MS_US;
    feeds->fetcher = leat_fetcher_new(&fetcher, &err);
    ck_assert_msg(feeds->fetcher != NULL, "%s", err.text);
}

void
feeds_stop(struct feeds *feeds)
{
    leat_fetcher_free(feeds->fetcher);
    feeds->source->ops->close(feeds->source);
    ck_assert_uint_eq(leat_memory_total(feeds->memory), 0);
    leat_memory_free(feeds->memory);
    leat_region_pool_free(feeds->regions);
    leat_credentials_provider_free(feeds->aws.credentials);
    leat_local_kinesis_free(feeds->server);
}

static void
add_item(struct watched *watched, const struct feed_item *item)
{
    leat_mutex_lock(&watched->lock);
    ck_assert_uint_lt(watched->count, LEAT_COUNT_OF(watched->items));
    watched->items[watched->count++] = *item;
    leat_condition_signal(&watched->condition);
    leat_mutex_unlock(&watched->lock);
}

static void
deliver(void *context, uint64_t generation, struct leat_chunk *chunk)
{
    /* An empty answer is no news for these tests, as it is none for a consumer. */
    if (chunk->count == 0 && !chunk->is_shard_end)
        leat_chunk_unref(chunk);
    else
        add_item(context, &(struct feed_item){.generation = generation, .chunk = chunk});
}

static void
trouble(void *context, uint64_t generation, const struct leat_read_result *result)
{
    add_item(context, &(struct feed_item){.generation = generation, .trouble = *result});
}

void
watched_open(struct watched *watched, struct feeds *feeds, unsigned shard,
             const struct leat_position *position)
{
    struct leat_feed_events events = {deliver, trouble, watched};
    struct leat_position start = {.kind = LEAT_POSITION_TRIM_HORIZON};

    memset(watched, 0, sizeof *watched);
    leat_mutex_init(&watched->lock);
    leat_condition_init(&watched->condition);
    watched->feeds = feeds;
    watched->shard = shard;
    watched->feed = leat_feed_open(feeds->fetcher, feeds->source,
                                   leat_slice_from(feeds_shard(shard)), 0,
                                   position != NULL ? position : &start, 1, &events);
}

void
watched_close(struct watched *watched)
{
    leat_feed_close(watched->feed);
    leat_is_unshared();
    while (watched->count > 0)
        leat_chunk_unref(watched->items[--watched->count].chunk);
    leat_condition_release(&watched->condition);
    leat_mutex_release(&watched->lock);
}

bool
watched_next(struct watched *watched, int64_t within_us, struct feed_item *ret_item)
{
    int64_t deadline_us = leat_clock_monotonic_us() + within_us;
    bool is_there = true;

    leat_mutex_lock(&watched->lock);
    while (watched->count == 0 && is_there)
        is_there = leat_condition_wait_until(&watched->condition, &watched->lock, deadline_us);
    is_there = watched->count > 0;
    if (is_there) {
        *ret_item = watched->items[0];
        watched->count--;
        for (size_t i = 0; i < watched->count; i++)
            watched->items[i] = watched->items[i + 1];
    }
    leat_mutex_unlock(&watched->lock);
    return is_there;
}

struct leat_chunk *
watched_chunk(struct watched *watched)
{
    struct feed_item item;

    ck_assert_msg(watched_next(watched, PATIENCE_US, &item), "shard %u: no chunk came",
                  watched->shard);
    ck_assert_msg(item.chunk != NULL, "shard %u: trouble %d: %s", watched->shard,
                  (int)item.trouble.outcome, item.trouble.err.text);
    return item.chunk;
}

struct leat_read_result
watched_trouble(struct watched *watched)
{
    struct feed_item item;

    ck_assert_msg(watched_next(watched, PATIENCE_US, &item), "shard %u: no trouble came",
                  watched->shard);
    ck_assert_msg(item.chunk == NULL, "shard %u: a chunk came", watched->shard);
    return item.trouble;
}

void
watched_check(struct watched *watched, const struct leat_chunk *chunk)
{
    char begin[17], key[24];

    for (size_t i = 0; i < chunk->count; i++) {
        const struct leat_raw_record *record = &chunk->records[i];

        snprintf(begin, sizeof begin, "%016llx", (unsigned long long)watched->next);
        ck_assert_uint_ge(record->data.size, 16);
        ck_assert_msg(memcmp(record->data.data, begin, 16) == 0,
                      "shard %u: record %.16s instead of %s", watched->shard,
                      (const char *)record->data.data, begin);
        for (size_t byte = 16; byte < record->data.size; byte += 997)
            ck_assert_uint_eq(record->data.data[byte], (unsigned char)(watched->next + byte));
        snprintf(key, sizeof key, "k%llu", (unsigned long long)watched->next % 1000);
        ck_assert(leat_slice_is(record->partition_key, key));
        ck_assert_uint_eq(record->sequence.size, 56);
        ck_assert_int_gt(record->arrival_us, 0);
        watched->next++;
    }
}

void
watched_read_to(struct watched *watched, uint64_t next)
{
    while (watched->next < next) {
        struct leat_chunk *chunk = watched_chunk(watched);

        watched_check(watched, chunk);
        leat_chunk_unref(chunk);
        leat_feed_queued(watched->feed, 0);
    }
    ck_assert_uint_eq(watched->next, next);
}

const char *
feeds_shard(unsigned shard)
{
    static _Thread_local char names[4][24];
    static _Thread_local unsigned turn;
    char *name = names[turn++ % LEAT_COUNT_OF(names)];

    snprintf(name, sizeof names[0], "shardId-%012u", shard);
    return name;
}

void
feeds_put(struct feeds *feeds, unsigned shard, unsigned shards, uint64_t number, size_t bytes)
{
    unsigned char *data = leat_alloc(bytes);
    LEAT_AUTO_BUF hash_key = LEAT_BUF_INIT;
    char key[24], begin[17];
    struct leat_error err;
    /* In the middle of the shard's range. */
    struct leat_hash_key place = {UINT64_MAX / shards * shard + UINT64_MAX / shards / 2, 0};

    ck_assert_uint_ge(bytes, 16);
    for (size_t i = 16; i < bytes; i++)
        data[i] = (unsigned char)(number + i);
    snprintf(begin, sizeof begin, "%016llx", (unsigned long long)number);
    memcpy(data, begin, 16);
    snprintf(key, sizeof key, "k%llu", (unsigned long long)number % 1000);
    leat_hash_key_format(place, &hash_key);
    ck_assert_msg(leat_local_kinesis_put(feeds->server, FEEDS_STREAM, leat_slice_from(key),
                                         leat_buf_slice(&hash_key), leat_slice_make(data, bytes),
                                         NULL, &err) == 0,
                  "%s", err.text);
    free(data);
}

void
feeds_fault(struct feeds *feeds, const struct leat_local_fault *fault)
{
    leat_local_kinesis_fault(feeds->server, fault);
}
