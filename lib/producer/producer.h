/*
 * A batching, aggregating put over Kinesis' PutRecords. Records wait for company, at most `linger`; then all that waits is sent
 * in as few calls as the service's limits allow. Failed records alone are sent again (aws/kinesis_put.c).
 *
 * Threads: one, the caller's: nothing is sent but inside put, poll and flush, which block for it. So a caller that waits for
 * something else (a line, a socket) does so until leat_producer_wake_us and then calls poll.
 *
 * At least once: a record whose answer was lost, or that a reshard moved while it was under way, may be stored twice. Order
 * per partition key is kept unless a record fails inside a call and is sent again.
 *
 * kpl: an aggregate holds records of one open shard, since readers drop the others. Where it ended up elsewhere (a reshard),
 * the records that do not belong there are sent again. A record alone is put as it is.
 * gzip_json: an array holds JSON records of one partition key (its elements have no other); what is no JSON is put as it is.
 */
#ifndef LEAT_PRODUCER_PRODUCER_H
#define LEAT_PRODUCER_PRODUCER_H

#include "aws/kinesis.h"

enum leat_aggregation {
    LEAT_AGGREGATION_NONE = 0,
    LEAT_AGGREGATION_KPL = 1,
    LEAT_AGGREGATION_GZIP_JSON = 2
};
/* none, kpl, gzip-json (gzip_json); false: another word. */
bool leat_aggregation_parse(const char *text, enum leat_aggregation *ret_aggregation);

#define LEAT_PRODUCER_RECORD_BYTES                                                                 \
    ((size_t)1 << 20) /* data and partition key; the service's default */
#define LEAT_PRODUCER_KEY_CHARACTERS 256

struct leat_producer_options {
    const struct leat_aws *aws; /* borrowed for the producer's life */
    const char *stream;
    enum leat_aggregation aggregation;
    int64_t linger_us; /* 0: 100 ms */
    double rate;       /* user records a second, paced evenly; 0: none */
    size_t
        aggregate_bytes; /* of an aggregate; 0: 50 KiB (kpl), 256 KiB before compression (gzip_json); at most 1 MiB */
    size_t
        max_record_bytes; /* 0: LEAT_PRODUCER_RECORD_BYTES; up to 10 MiB where the stream allows it */
};

struct leat_producer;
/* NULL: err. With kpl the stream's shards are listed here. */
struct leat_producer *leat_producer_new(const struct leat_producer_options *options,
                                        struct leat_error *err);
/* What still waits is forgotten: flush first. */
void leat_producer_free(struct leat_producer *producer);

/* Would put refuse this record? INVALID or LIMIT, with the reason; nothing happens. */
int leat_producer_check(const struct leat_producer *producer, struct leat_slice partition_key,
                        struct leat_slice explicit_hash_key, struct leat_slice data,
                        struct leat_error *err);
/*
 * Copies. partition_key empty: a random one (in a gzip'd array: one for all of it). explicit_hash_key empty: none. Waits
 * for its turn when there is a rate. An error is either leat_producer_check's, or that of an earlier batch, which had to be
 * sent to make room: then some of *its* records are lost (counts.failed), and this record is taken all the same.
 */
int leat_producer_put(struct leat_producer *producer, struct leat_slice partition_key,
                      struct leat_slice explicit_hash_key, struct leat_slice data,
                      struct leat_error *err);
/* Sends when linger has passed. */
int leat_producer_poll(struct leat_producer *producer, struct leat_error *err);
/* Sends all. On an error counts.failed says how many were not stored; nothing waits any more. */
int leat_producer_flush(struct leat_producer *producer, struct leat_error *err);

/* Monotonic: when poll has something to do (INT64_MAX: nothing waits), and when the next put need not wait. */
int64_t leat_producer_wake_us(const struct leat_producer *producer);
int64_t leat_producer_turn_us(const struct leat_producer *producer);

struct leat_producer_counts {
    uint64_t user_records;   /* stored */
    uint64_t stream_records; /* stored: fewer, with aggregation */
    uint64_t bytes;          /* of them: data and keys */
    uint64_t retries;        /* records sent again after a refusal */
    uint64_t moved;          /* user records sent again because a reshard moved their place */
    uint64_t failed;         /* user records that were not stored, or of which it is not known */
};
struct leat_producer_counts leat_producer_counts(const struct leat_producer *producer);

#endif
