/*
 * Where records come from: Kinesis (polling) and a file today; EFO, DynamoDB Streams, Kafka later.
 * The interface and what every implementer owes.
 *
 * A *source* is one stream. It is opened by the worker, shared by reference (the registry of streams, held leases, consumers),
 * and closed with the last of them, on whatever thread that is. A *reader* reads one shard
 * for one consumer. Readers belong to the *fetch thread* (fetch.h): open, read, reposition and close are called there
 * alone and never block; at most one read is under way per reader; its end is told by one call of `done`.
 * describe, list_shards, now and try_read block (network); the lease manager's threads call them, also at once.
 *
 * A *chunk* is one answer: its bytes and the records in it, as slices into the bytes. It is handed over whole, belongs
 * to the consumer from then on, and is given back with leat_chunk_unref when all of it is *processed*.
 */
#ifndef LEAT_STREAM_SOURCE_H
#define LEAT_STREAM_SOURCE_H

#include <leat/record.h>

#include "stream/memory.h"
#include "stream/position.h"
#include "stream/shard.h"

/* One record of the stream as it came: before de-aggregation. 64 bytes of facts, slices into the chunk. */
struct leat_raw_record {
    struct leat_slice data;
    struct leat_slice partition_key;
    struct leat_slice sequence;
    int64_t arrival_us;
};

struct leat_chunk {
    struct leat_raw_record *records;
    size_t count;
    int64_t behind_ms; /* -1: not known */
    bool is_shard_end; /* nothing follows: the shard is closed and read to its end */
    /* The service gave no next iterator, and no children either: an end, if the shard is closed; the reader goes on from where it
       is. Whoever takes the chunk asks, and ends the shard itself. */
    bool is_end_doubted;
    bool is_after_gap; /* the record at the position that was asked for has left the stream */
    struct leat_shard_facts *children; /* only with is_shard_end, where the source tells them */
    size_t child_count;
    size_t payload_bytes;  /* what the service counts for it: data and partition keys */
    size_t held_bytes;     /* memory of this answer; the fetcher settles the reservation by it */
    int64_t arrived_at_us; /* monotonic: when the answer was complete */
    int64_t asked_at_us;   /* monotonic: before it was asked for; set by the fetcher */
    struct leat_memory *memory;          /* NULL: not charged */
    struct leat_reservation reservation; /* of the budget, given back with the last reference */
    void (*release)(struct leat_chunk *chunk); /* frees the bytes; set by the source */
    void *owner;
    _Atomic int reference_count;
};

struct leat_chunk *leat_chunk_ref(struct leat_chunk *chunk);
void leat_chunk_unref(struct leat_chunk *chunk); /* any thread; NULL is fine */

enum leat_read_outcome {
    LEAT_READ_OK = 0, /* chunk given (maybe with 0 records) */
    LEAT_READ_AGAIN =
        1, /* transient: throttled, unavailable: err says; try again not before retry_at_us */
    LEAT_READ_TOO_LARGE =
        2, /* the answer over-ran the reservation: ask with a larger one (needed_bytes) */
    LEAT_READ_GONE = 3,    /* the shard left the stream (retention), or the stream is gone */
    LEAT_READ_INVALID = 4, /* the position is not of this stream: it was made again */
    LEAT_READ_BLOCKED = 5  /* credentials, rights: visible, retried slowly */
};

struct leat_read_result {
    enum leat_read_outcome outcome;
    struct leat_chunk *chunk; /* the receiver's */
    int64_t retry_at_us;      /* monotonic */
    bool
        is_over_pace; /* AGAIN: the shard gives no more now; when it does is the fetcher's to find out */
    size_t needed_bytes;
    struct leat_error err;
};

typedef void (*leat_read_done_fn)(void *context, const struct leat_read_result *result);

/* What is reserved for an answer, unless as much as possible is wanted at once. */
#define LEAT_FEED_USUAL_BYTES ((size_t)4 << 20)

struct leat_reader;
struct leat_source;
struct
    leat_event_loop; /* aws/http.h's loop of the fetch thread, for sources that need the network */

struct leat_source_facts {
    char name[129]; /* as configured */
    char stream_id
        [512]; /* ARN@creation in whole seconds; file:<device>-<inode> or file:<path> for files */
    char arn[480];
    int64_t retention_ms; /* 0: for ever */
    int64_t created_us;
};

struct leat_source_ops {
    const char *kind; /* "kinesis", "file" */
    bool has_limits;  /* a service that may give so much a second and shard, and no more */
    /* Blocking. Facts of the stream as it is now. */
    int (*describe)(struct leat_source *source, struct leat_source_facts *ret_facts,
                    struct leat_error *err);
    /* Blocking, paged inside. All shards that the stream still tells. */
    int (*list_shards)(struct leat_source *source, struct leat_shard_list *list,
                       struct leat_error *err);
    /* The service's own time, for LATEST: µs since 1970 UTC. Blocking. */
    int (*now)(struct leat_source *source, int64_t *ret_us, struct leat_error *err);
    /* Can this process read the stream? One record of this shard is asked for. Blocking. 0 also when the service answers that it
       cannot now, or not this shard: it was reached, and knows us. NULL: nobody has to ask. */
    int (*try_read)(struct leat_source *source, struct leat_slice shard, struct leat_error *err);

    struct leat_reader *(*reader_open)(struct leat_source *source, struct leat_event_loop *loop,
                                       struct leat_slice shard,
                                       const struct leat_position *position);
    /* At most `reservation` bytes of answer; with more than LEAT_FEED_USUAL_BYTES as much as there is. done is called later on the fetch thread, never from inside. */
    void (*read)(struct leat_reader *reader, size_t reservation_bytes, leat_read_done_fn done,
                 void *context);
    /* The next read starts there. Not while one is under way. */
    void (*reposition)(struct leat_reader *reader, const struct leat_position *position);
    /* Cancels a read under way: its done is not called any more. */
    void (*reader_close)(struct leat_reader *reader);
    void (*close)(struct leat_source *source);
};

struct leat_source {
    const struct leat_source_ops *ops;
    struct leat_source_facts facts;
    bool is_aws;                 /* with has_limits: they are the documented ones */
    _Atomic int more_references; /* than the one that it is opened with */
};

struct leat_source *leat_source_ref(struct leat_source *source);
void leat_source_unref(
    struct leat_source *source); /* any thread; the last one closes; NULL is fine */

#endif
