/*
 * Reads a stream's shards for `leat tail`: parents before children, each shard within the service's limits, one call at a time
 * on the caller's thread. No checkpoint, no lease: it looks on.
 */
#ifndef LEAT_WORKER_TAIL_READER_H
#define LEAT_WORKER_TAIL_READER_H

#include "aws/kinesis.h"
#include "stream/deaggregate.h"

struct leat_tail_options {
    struct leat_kinesis *kinesis; /* borrowed */
    const char *stream;
    const char *shard;             /* NULL: all, and their children when they come */
    enum leat_position_kind start; /* TRIM_HORIZON, LATEST or AT_TIMESTAMP */
    int64_t start_us;              /* AT_TIMESTAMP */
    unsigned limit;                /* records a call; 0: the service's maximum */
    bool is_raw;                   /* records as they are stored: aggregates whole */
    bool until_end;                /* ends where all shards are read to their tip or end */
};

/* The record and the shard's name live until it returns. false: that was enough. */
typedef bool (*leat_tail_fn)(void *context, const char *shard,
                             const struct leat_user_record *record);
/* After the records of one call: time to flush. false: that was enough. */
typedef bool (*leat_tail_pause_fn)(void *context);

/* 0: until_end, the one shard ended, or a callback said enough. LEAT_E_CANCELLED: leat_is_stopped. */
int leat_tail(const struct leat_tail_options *options, leat_tail_fn each, leat_tail_pause_fn pause,
              void *context, struct leat_error *err);

#endif
