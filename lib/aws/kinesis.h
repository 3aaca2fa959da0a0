/*
 * Kinesis Data Streams: blocking calls for commands, lease manager and producers, and started ones for the fetch thread.
 *
 * A client belongs to one thread. Encoding `auto`: CBOR first, JSON for good where the server refuses CBOR or answers in it
 * unusably; records are *put* as CBOR only to AWS itself or to a server that has shown real CBOR (some emulators accept
 * it and store something else).
 * JSON null counts as absent. Errors name service, action, stream and reason; codes: NOT_FOUND, EXPIRED (iterator), INVALID,
 * THROTTLED, DENIED, CONFLICT, UNAVAILABLE, LIMIT, FORMAT.
 */
#ifndef LEAT_AWS_KINESIS_H
#define LEAT_AWS_KINESIS_H

#include "aws/client.h"
#include "aws/wire.h"
#include "base/arena.h"

#define LEAT_KINESIS_ITERATOR_BYTES 2048
#define LEAT_KINESIS_SHARD_BYTES 128
#define LEAT_KINESIS_HASH_KEY_BYTES 39
#define LEAT_KINESIS_SEQUENCE_BYTES 128
/* An ARN that holds a region, an account and a stream's name of 128 letters has 190; the API's texts allow 2,048. */
#define LEAT_KINESIS_ARN_BYTES 470
#define LEAT_KINESIS_GET_RECORDS 10000           /* records per GetRecords */
#define LEAT_KINESIS_PUT_RECORDS 500             /* records per PutRecords */
#define LEAT_KINESIS_PUT_BYTES ((size_t)5 << 20) /* data + keys per PutRecords */

enum leat_kinesis_encoding { LEAT_KINESIS_AUTO = 0, LEAT_KINESIS_CBOR = 1, LEAT_KINESIS_JSON = 2 };

struct leat_kinesis;
struct leat_kinesis *leat_kinesis_new(const struct leat_aws *aws,
                                      enum leat_kinesis_encoding encoding, struct leat_error *err);
void leat_kinesis_free(struct leat_kinesis *kinesis); /* cancels its started calls */
void leat_kinesis_interrupt(
    struct leat_kinesis *kinesis); /* any thread: blocking calls end with CANCELLED */
/* The service's clock by its last answer. */
int64_t leat_kinesis_now_us(const struct leat_kinesis *kinesis);
const char *leat_kinesis_endpoint(const struct leat_kinesis *kinesis);
/* AWS's own endpoint of the region, with the limits that AWS documents. */
bool leat_kinesis_is_aws(const struct leat_kinesis *kinesis);
/* What is spoken now. */
enum leat_wire_encoding leat_kinesis_wire(const struct leat_kinesis *kinesis);
/* A CBOR answer did not parse: `auto` speaks JSON from now on. false: encoding is fixed, or JSON already. */
bool leat_kinesis_distrust_cbor(struct leat_kinesis *kinesis);

/* ---- streams and shards (blocking) ---------------------------------------------------------- */

int leat_kinesis_create_stream(struct leat_kinesis *kinesis, const char *stream, unsigned shards,
                               struct leat_error *err);
int leat_kinesis_delete_stream(struct leat_kinesis *kinesis, const char *stream,
                               struct leat_error *err);

struct leat_kinesis_summary {
    char name[129];
    char arn[LEAT_KINESIS_ARN_BYTES + 1];
    char status[24]; /* CREATING, DELETING, ACTIVE, UPDATING */
    int64_t created_us;
    int32_t retention_hours;
    int32_t open_shards;
};
int leat_kinesis_describe_stream_summary(struct leat_kinesis *kinesis, const char *stream,
                                         struct leat_kinesis_summary *ret_summary,
                                         struct leat_error *err);

/* Names live until the callback returns. Non-zero ends the listing, and is returned. */
typedef int (*leat_kinesis_name_fn)(void *context, struct leat_slice name);
int leat_kinesis_list_streams(struct leat_kinesis *kinesis, leat_kinesis_name_fn each,
                              void *context, struct leat_error *err);
/* The same with what the listing tells beside names: never retention or shards; arn "" and created_us 0 where a server tells
   names alone. Non-zero ends the listing, and is returned. */
typedef int (*leat_kinesis_summary_fn)(void *context, const struct leat_kinesis_summary *summary);
int leat_kinesis_list_summaries(struct leat_kinesis *kinesis, leat_kinesis_summary_fn each,
                                void *context, struct leat_error *err);

/* Empty slices: absent. */
struct leat_kinesis_shard {
    struct leat_slice shard, parent, adjacent_parent;
    struct leat_slice starting_hash_key, ending_hash_key;
    struct leat_slice starting_sequence, ending_sequence; /* ending: only of closed shards */
};
typedef int (*leat_kinesis_shard_fn)(void *context, const struct leat_kinesis_shard *shard);
/* Paged inside; an expired page token begins again: then a shard may be told twice. */
int leat_kinesis_list_shards(struct leat_kinesis *kinesis, const char *stream,
                             leat_kinesis_shard_fn each, void *context, struct leat_error *err);
/* The same, as it is told: one shard's names that are too long end no listing. `each` looks at them. */
int leat_kinesis_list_told_shards(struct leat_kinesis *kinesis, const char *stream,
                                  leat_kinesis_shard_fn each, void *context,
                                  struct leat_error *err);

int leat_kinesis_split_shard(struct leat_kinesis *kinesis, const char *stream, const char *shard,
                             const char *new_starting_hash_key, struct leat_error *err);
int leat_kinesis_merge_shards(struct leat_kinesis *kinesis, const char *stream, const char *shard,
                              const char *adjacent_shard, struct leat_error *err);

/* ---- reading --------------------------------------------------------------------------------- */

enum leat_kinesis_iterator_type {
    LEAT_ITERATOR_TRIM_HORIZON = 0,
    LEAT_ITERATOR_LATEST = 1,
    LEAT_ITERATOR_AT_TIMESTAMP = 2,
    LEAT_ITERATOR_AT_SEQUENCE = 3,
    LEAT_ITERATOR_AFTER_SEQUENCE = 4
};
struct leat_kinesis_iterator_request {
    const char *stream; /* name */
    struct leat_slice shard;
    enum leat_kinesis_iterator_type type;
    struct leat_slice sequence; /* AT_, AFTER_SEQUENCE */
    int64_t timestamp_us;       /* AT_TIMESTAMP */
};
int leat_kinesis_get_shard_iterator(struct leat_kinesis *kinesis,
                                    const struct leat_kinesis_iterator_request *request,
                                    char ret_iterator[LEAT_KINESIS_ITERATOR_BYTES],
                                    struct leat_error *err);

/*
 * Where an answer goes: the caller's memory. It grows by `grow` (which must make capacity ≥ wanted_bytes, data may move;
 * false: not allowed), or not at all (NULL). An answer that does not fit is aborted: LEAT_E_LIMIT, is_overrun.
 */
struct leat_kinesis_region {
    unsigned char *data;
    size_t size, capacity;
    bool (*grow)(struct leat_kinesis_region *region, size_t wanted_bytes);
    void *context;
};

/* One record: slices into the answer's bytes. The first four are those of stream/source.h's raw record. */
struct leat_kinesis_record {
    struct leat_slice data, partition_key, sequence;
    int64_t arrival_us; /* 0: not told */
};
struct leat_kinesis_child {
    struct leat_slice shard;
    struct leat_slice parents[2];
    size_t parent_count;
    struct leat_slice starting_hash_key, ending_hash_key;
};
#define LEAT_KINESIS_CHILDREN 16

struct leat_kinesis_records {
    struct leat_kinesis_record *records; /* owned: leat_kinesis_records_release */
    size_t count, capacity;
    struct leat_slice next_iterator; /* empty: the shard is read to its end */
    bool is_end;
    int64_t behind_ms; /* -1: not told */
    struct leat_kinesis_child children[LEAT_KINESIS_CHILDREN];
    size_t child_count;
    bool
        has_text_data; /* CBOR whose Data were base64 texts (kinesis-local): decoded in place all the same */
};

/*
 * Pure. The bytes are changed (base64 decoded, JSON strings unescaped, pieces joined, all in place) and must outlive the slices.
 * `records` keeps its array for the next answer: zero it before the first use. LEAT_E_FORMAT: what was parsed so far
 * is of no use.
 */
int leat_kinesis_records_parse(unsigned char *bytes, size_t size, enum leat_wire_encoding encoding,
                               struct leat_kinesis_records *records, struct leat_error *err);
void leat_kinesis_records_release(struct leat_kinesis_records *records);

/* Blocking: as the started one, with retries; for `leat tail`. The region keeps its memory. more than five: the call and the two places its answer is kept in. */
int leat_kinesis_get_records(struct leat_kinesis *kinesis, const char *stream, const char *iterator,
                             unsigned limit, struct leat_kinesis_region *region,
                             struct leat_kinesis_records *records, struct leat_error *err);

/* ---- started calls: on a loop, one attempt (and the one refresh and clock correction of client.h); retries are the
        caller's. The callback comes from run_once of that loop; the call is gone after it. -------------------------- */

struct leat_kinesis_call;
struct leat_kinesis_answer {
    int result; /* 0 or LEAT_E_…, with err */
    struct leat_fault fault;
    struct leat_error err;
    /* get_shard_iterator */
    const char *iterator; /* lives until the callback returns */
    /* get_records: region->size bytes in this encoding */
    enum leat_wire_encoding encoding;
    bool is_overrun;     /* the region could not hold it */
    size_t needed_bytes; /* with is_overrun: the answer's length; 0: not known */
    int64_t date_us;     /* the service's Date; 0: none */
    int64_t retry_after_us;
};
typedef void (*leat_kinesis_done_fn)(void *context, const struct leat_kinesis_answer *answer);

/* The request's texts are copied. */
struct leat_kinesis_call *leat_kinesis_get_shard_iterator_start(
    struct leat_kinesis *kinesis, struct leat_event_loop *loop,
    const struct leat_kinesis_iterator_request *request, leat_kinesis_done_fn done, void *context);

struct leat_kinesis_read {
    const char *stream;                 /* for messages */
    const char *iterator;               /* copied */
    unsigned limit;                     /* records; 0: the service's maximum */
    struct leat_kinesis_region *region; /* the caller's until done; size is set to 0 at the start */
};
struct leat_kinesis_call *leat_kinesis_get_records_start(struct leat_kinesis *kinesis,
                                                         struct leat_event_loop *loop,
                                                         const struct leat_kinesis_read *read,
                                                         leat_kinesis_done_fn done, void *context);
void leat_kinesis_cancel(struct leat_kinesis_call *call); /* NULL is fine; done is not called */

/* ---- putting (blocking) ---------------------------------------------------------------------- */

struct leat_kinesis_put {
    struct leat_slice data, partition_key;
    struct leat_slice explicit_hash_key; /* empty: none */
    /* filled: */
    int result; /* 0, or LEAT_E_…: THROTTLED, UNAVAILABLE, INVALID, LIMIT, UNKNOWN (the answer was lost) */
    unsigned attempts;
    char sequence[LEAT_KINESIS_SEQUENCE_BYTES + 1], shard[LEAT_KINESIS_SHARD_BYTES + 1];
    char error_type[LEAT_FAULT_TYPE_BYTES]; /* "" when stored */
};
/*
 * In calls of ≤ 500 records and ≤ 5 MiB; only failed records are sent again, with backoff, within the retry policy.
 * 0: all are stored. Otherwise the first failure's code, with the number of failed ones in err; each record's own
 * `result` says what became of it. A record may be stored twice when an answer was lost.
 */
int leat_kinesis_put_records(struct leat_kinesis *kinesis, const char *stream,
                             struct leat_kinesis_put *records, size_t count,
                             struct leat_error *err);

/*
 * One call of ≤ 500 records and ≤ 5 MiB, for who tries again himself. 0: each record has its own `result`. Else nothing is known
 * to be stored (LEAT_E_UNKNOWN: it may be).
 */
int leat_kinesis_put_once(struct leat_kinesis *kinesis, const char *stream,
                          struct leat_kinesis_put *records, size_t count, struct leat_error *err);

#endif
