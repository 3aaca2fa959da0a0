/*
 * Streams, shards and records, as a pure model: no clock, no lock, no wire. Time is an argument (µs since 1970), and whoever
 * calls holds the lock. States change lazily: `leat_local_store_settle` does what has come due.
 *
 * A shard's records have numbers 1, 2, 3 …, without gaps: a position is the number that is read next. They lie in chunks,
 * each already encoded as CBOR answers want it, so that a read is a copy of runs. A chunk's bytes never change once written
 * and are counted by reference: a read may copy them after the lock was let go.
 */
#ifndef LEAT_LOCAL_KINESIS_STORE_H
#define LEAT_LOCAL_KINESIS_STORE_H

#include <stdalign.h>
#include <stdatomic.h>

#include "base/map.h"
#include "local/kinesis.h"
#include "stream/shard.h"

#define LEAT_LOCAL_SHARD_NAME_BYTES 24 /* "shardId-000000000000" */
#define LEAT_LOCAL_READ_BYTES ((size_t)10 << 20)
#define LEAT_LOCAL_READ_RECORDS 10000u
#define LEAT_LOCAL_MAXIMUM_SHARDS 20000u
#define LEAT_LOCAL_ACCOUNT "000000000000"

/* A refusal, as the service words it. */
struct leat_local_refusal {
    int status;       /* 400 where nothing else is said */
    const char *type; /* "ResourceNotFoundException": a constant */
    char message[360];
};
/* Always LEAT_E_INVALID, so that it can be returned. */
int leat_local_refuse(struct leat_local_refusal *refusal, const char *type, const char *format, ...)
    LEAT_PRINTF(3, 4);

struct leat_local_entry {
    int64_t arrival_us;
    uint32_t offset;                            /* of the record's CBOR map in its chunk */
    uint32_t data_size;                         /* data ends the map */
    uint16_t key_offset, key_size, data_offset; /* in the map */
};

/* Bytes grow from the front, entries from the back. */
struct leat_local_chunk {
    atomic_uint references;
    uint32_t count;
    uint64_t first; /* number of its first record */
    size_t used, capacity;
    struct leat_local_shard *shard;
    struct leat_local_chunk *older, *newer; /* of the whole store */
    alignas(8) unsigned char bytes[];
};
static inline struct leat_local_entry *
leat_local_chunk_entry(struct leat_local_chunk *chunk, uint32_t place)
{
    return (struct leat_local_entry *)(void *)(chunk->bytes + chunk->capacity) - 1 - place;
}
void leat_local_chunk_unref(struct leat_local_chunk *chunk);

struct leat_local_bucket {
    double level;
    int64_t at_us; /* 0: full */
};
/* Does it hold this much? (A bucket that can hold less than that only has to be full.) */
bool leat_local_bucket_has(struct leat_local_bucket *bucket, uint32_t rate, int64_t now_us,
                           double amount);
void leat_local_bucket_take(struct leat_local_bucket *bucket, uint32_t rate, double amount);

struct leat_local_shard {
    struct leat_local_stream *stream;
    char name[LEAT_LOCAL_SHARD_NAME_BYTES];
    uint32_t index;
    uint32_t parents[2], children[2];
    uint32_t parent_count, child_count;
    struct leat_hash_key start, end; /* inclusive */
    uint64_t epoch;                  /* in its sequence numbers: above its parents' */
    int64_t created_us, closed_us;   /* closed 0: open */
    bool is_gone;
    uint64_t first, last; /* numbers: the oldest that is there, the newest ever put (0: none) */
    int64_t last_arrival_us;
    struct leat_local_chunk **chunks; /* oldest first, from chunk_head */
    size_t chunk_head, chunk_count, chunk_capacity;
    struct leat_local_bucket reads, read_bytes, write_records, write_bytes;
};

enum leat_local_state {
    LEAT_LOCAL_CREATING,
    LEAT_LOCAL_ACTIVE,
    LEAT_LOCAL_UPDATING,
    LEAT_LOCAL_DELETING
};
const char *leat_local_state_text(enum leat_local_state state);

/* A reshard: one shard (split at `at`) or two. */
struct leat_local_change {
    uint32_t shards[2];
    uint32_t shard_count;
    struct leat_hash_key at;
};

struct leat_local_stream {
    char name[129];
    uint64_t id; /* never used again */
    enum leat_local_state state;
    int64_t due_us; /* of the state's end */
    struct leat_local_change change;
    int64_t created_us;
    struct leat_local_shard **shards; /* by index */
    size_t shard_count, shard_capacity;
    struct leat_local_shard **open; /* by hash range */
    size_t open_count, open_capacity;
};

struct leat_local_store {
    /* settings */
    int64_t change_us, retention_us;
    size_t maximum_bytes, record_bytes;
    struct leat_local_limits limits;
    /* contents */
    struct leat_map by_name;
    struct leat_local_stream **streams; /* in no order */
    size_t stream_count, stream_capacity;
    uint64_t last_id, last_epoch;
    struct leat_local_chunk *oldest, *newest;
    size_t bytes; /* of all chunks */
    uint64_t records_trimmed;
};

void leat_local_store_init(struct leat_local_store *store);
void leat_local_store_release(struct leat_local_store *store);
/* All changes that are due. */
void leat_local_store_settle(struct leat_local_store *store, int64_t now_us);

/* ---- kinesis_store.c: streams and lineage ------------------------------------------------------- */

/* change_us: how long it is CREATING. more than five: what, how large, and when. */
int leat_local_store_create(struct leat_local_store *store, struct leat_slice name, uint32_t shards,
                            int64_t now_us, int64_t change_us, struct leat_local_refusal *refusal);
int leat_local_store_delete(struct leat_local_store *store, struct leat_slice name, int64_t now_us,
                            struct leat_local_refusal *refusal);
struct leat_local_stream *leat_local_store_find(struct leat_local_store *store,
                                                struct leat_slice name,
                                                struct leat_local_refusal *refusal);
struct leat_local_stream *leat_local_store_by_id(struct leat_local_store *store, uint64_t id);
/* NULL: never was, or gone. */
struct leat_local_shard *leat_local_stream_shard(struct leat_local_stream *stream,
                                                 struct leat_slice name,
                                                 struct leat_local_refusal *refusal);
struct leat_local_shard *leat_local_stream_route(struct leat_local_stream *stream,
                                                 struct leat_hash_key key);
/* at: where the second child begins; NULL: the middle. more than five: what, where, and when. */
int leat_local_store_split(struct leat_local_store *store, struct leat_local_stream *stream,
                           struct leat_local_shard *shard, const struct leat_hash_key *at,
                           int64_t now_us, struct leat_local_refusal *refusal);
/* more than five: as split. */
int leat_local_store_merge(struct leat_local_store *store, struct leat_local_stream *stream,
                           struct leat_local_shard *shard, struct leat_local_shard *adjacent,
                           int64_t now_us, struct leat_local_refusal *refusal);

/* number 0: the shard's StartingSequenceNumber; last + 1: the EndingSequenceNumber of a closed one. */
void leat_local_sequence_format(const struct leat_local_shard *shard, uint64_t number,
                                char ret_text[LEAT_LOCAL_SEQUENCE_BYTES]);
/* false: not a number of this shard's. */
bool leat_local_sequence_parse(const struct leat_local_shard *shard, struct leat_slice text,
                               uint64_t *ret_number);

/* ---- kinesis_log.c: records --------------------------------------------------------------------- */

struct leat_local_record {
    struct leat_slice partition_key, data;
    struct leat_hash_key hash_key;
};
/* Puts, without looking at limits. Returns its number. */
uint64_t leat_local_shard_append(struct leat_local_store *store, struct leat_local_shard *shard,
                                 const struct leat_local_record *record, int64_t now_us);
/* By the limits: refuses (throttled), or takes from the buckets. */
int leat_local_shard_admit(struct leat_local_store *store, struct leat_local_shard *shard,
                           const struct leat_local_record *record, int64_t now_us,
                           struct leat_local_refusal *refusal);
/* The first record that arrived at this time or later; last + 1: none did. */
uint64_t leat_local_shard_number_at(const struct leat_local_shard *shard, int64_t at_us);
void leat_local_shard_trim(struct leat_local_store *store, struct leat_local_shard *shard,
                           int64_t before_us);
/* What retention takes away; a closed shard whose records are all gone, and which was closed that long ago, is gone for good. */
void leat_local_shard_expire(struct leat_local_store *store, struct leat_local_shard *shard,
                             int64_t now_us);

/* Records that lie beside each other. Holds a reference to its chunk. */
struct leat_local_run {
    struct leat_local_chunk *chunk;
    uint32_t first, count; /* places in the chunk */
};
struct leat_local_child {
    char name[LEAT_LOCAL_SHARD_NAME_BYTES];
    char parents[2][LEAT_LOCAL_SHARD_NAME_BYTES];
    uint32_t parent_count;
    struct leat_hash_key start, end;
};
struct leat_local_read {
    struct leat_local_run *runs;
    size_t run_count, run_capacity;
    uint32_t count;
    uint64_t payload_bytes, cbor_bytes;
    uint64_t next; /* position behind them */
    bool is_end;   /* the shard is closed and read: children are told */
    int64_t behind_ms;
    struct leat_local_child children[2];
    uint32_t child_count;
};
/* From `position` on, as the service's caps (and the limits) allow; limit: records. The caller releases ret_read. more than five: a read is a place, a cap and a time. */
int leat_local_shard_read(struct leat_local_store *store, struct leat_local_shard *shard,
                          uint64_t position, uint32_t limit, int64_t now_us,
                          struct leat_local_read *ret_read, struct leat_local_refusal *refusal);
void leat_local_read_release(struct leat_local_read *read);

#endif
