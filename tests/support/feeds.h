/*
 * A Kinesis source with all that reads it, against our own Kinesis: server, client options, regions, budget, fetch thread,
 * and feeds whose chunks and troubles wait in a queue until a test asks for them.
 */
#ifndef LEAT_TESTS_FEEDS_H
#define LEAT_TESTS_FEEDS_H

#include "base/thread.h"
#include "local/kinesis.h"
#include "stream/fetch.h"
#include "stream/kinesis_source.h"

#define FEEDS_STREAM "orders"

struct feeds {
    struct leat_local_kinesis *server;
    struct leat_aws aws;
    struct leat_region_pool *regions;
    struct leat_source *source;
    struct leat_memory *memory;
    struct leat_fetcher *fetcher;
};

struct feeds_options {
    struct leat_local_kinesis_options server;
    unsigned shards;
    enum leat_kinesis_encoding encoding;
    struct leat_fetcher_options fetcher; /* memory is filled in; idle_us 0: 5 ms */
};

/* The stream exists then, with so many shards. */
void feeds_start(struct feeds *feeds, const struct feeds_options *options);
/* Everything closed; every byte of the budget must have come back. */
void feeds_stop(struct feeds *feeds);

struct feed_item {
    uint64_t generation;
    struct leat_chunk *chunk; /* NULL: a trouble */
    struct leat_read_result trouble;
};

struct watched {
    struct feeds *feeds;
    struct leat_feed *feed;
    unsigned shard;
    struct leat_mutex lock;
    struct leat_condition condition;
    struct feed_item items[64] LEAT_FIELD_GUARDED_BY(lock);
    size_t count LEAT_FIELD_GUARDED_BY(lock);
    uint64_t next; /* the number that the next record must have */
};

/* Of shard N; position NULL: from its beginning. */
void watched_open(struct watched *watched, struct feeds *feeds, unsigned shard,
                  const struct leat_position *position);
void watched_close(struct watched *watched); /* what waits is thrown away */
/* The next of either kind within the time; false: none. The chunk is the caller's. */
bool watched_next(struct watched *watched, int64_t within_us, struct feed_item *ret_item);
/* A chunk with records or the end of the shard, within 20 s; a trouble fails the test. */
struct leat_chunk *watched_chunk(struct watched *watched);
/* A trouble, within 20 s; chunks fail the test. */
struct leat_read_result watched_trouble(struct watched *watched);
/* Takes and checks chunks until `next` is there: numbers follow each other, without a gap, none twice. */
void watched_read_to(struct watched *watched, uint64_t next);
void watched_check(struct watched *watched, const struct leat_chunk *chunk);

/* "shardId-00000000000N"; good until the fourth call after this. */
const char *feeds_shard(unsigned shard);
/* A record of at least 16 bytes into the shard of a stream that was never resharded. Its number comes first. */
void feeds_put(struct feeds *feeds, unsigned shard, unsigned shards, uint64_t number, size_t bytes);
void feeds_fault(struct feeds *feeds, const struct leat_local_fault *fault);

#endif
