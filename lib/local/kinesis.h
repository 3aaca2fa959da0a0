/*
 * A Kinesis of our own on loopback, in memory, with faults on demand: for `leat dev`, the demo, tests and benchmarks. It speaks
 * JSON and true CBOR, checks signatures, keeps the service's limits if told to, and does what no other server does when
 * asked: refuse, cut, stall, repeat. The list of actions, faults and control requests is in README.md.
 *
 * Threads: its own (http.h). All functions here may be called from any thread.
 */
#ifndef LEAT_LOCAL_KINESIS_H
#define LEAT_LOCAL_KINESIS_H

#include <leat/error.h>
#include <leat/slice.h>

#include "local/issuer.h"

#define LEAT_LOCAL_SEQUENCE_BYTES 57 /* 56 digits and a zero */

/* Per second; 0: no limit. All but `lists` are per shard. */
struct leat_local_limits {
    uint32_t reads; /* GetRecords */
    uint32_t
        read_bytes; /* data and keys; an answer may overdraw: then the shard is shut until it is paid for */
    uint32_t write_records, write_bytes;
    uint32_t lists; /* ListShards, ListStreams, DescribeStream…: each for the whole server */
};
/* What AWS documents: 5, 2 MB, 1,000, 1 MB; lists 100. */
extern const struct leat_local_limits leat_local_limits_aws;

/* Zeros and NULLs: the defaults. Strings are copied. */
struct leat_local_kinesis_options {
    uint16_t port;      /* 0: a free one */
    unsigned threads;   /* that serve requests; 0: 1 */
    const char *region; /* us-east-1 */
    const char *access_key_id, *secret_access_key,
        *session_token;              /* id NULL, and no issuer: signatures are not looked at */
    struct leat_local_issuer issuer; /* of keys that are good, too; outlives the server */
    int64_t change_us;    /* how long CREATING, UPDATING and DELETING last; 0: not at all */
    int64_t retention_us; /* 24 hours */
    int64_t iterator_us;  /* an iterator's life: 5 minutes; page tokens too */
    size_t maximum_bytes; /* of records, with their index: 1 GiB; then the oldest go */
    size_t record_bytes;  /* the largest record: 1 MiB */
    uint32_t page_shards; /* ListShards' page where MaxResults does not say: 1,000 */
    struct leat_local_limits limits;
    uint64_t seed; /* of faults with a probability */
};

struct leat_local_kinesis;
struct leat_local_kinesis *leat_local_kinesis_new(const struct leat_local_kinesis_options *options,
                                                  struct leat_error *err); /* NULL: err */
void leat_local_kinesis_free(struct leat_local_kinesis *server);           /* NULL is fine */
uint16_t leat_local_kinesis_port(const struct leat_local_kinesis *server);
const char *leat_local_kinesis_endpoint(
    const struct leat_local_kinesis *server); /* http://127.0.0.1:port */

/* ---- streams, past the wire: at once, whatever change_us is --------------------------------------- */

int leat_local_kinesis_create_stream(struct leat_local_kinesis *server, const char *stream,
                                     unsigned shards, struct leat_error *err);
/* Gone at once; one of that name may be made again. */
int leat_local_kinesis_delete_stream(struct leat_local_kinesis *server, const char *stream,
                                     struct leat_error *err);
/* hash_key (decimal) empty: by the partition key. No limit, no fault. ret_sequence may be NULL. more than five: a record and where it went. */
int leat_local_kinesis_put(struct leat_local_kinesis *server, const char *stream,
                           struct leat_slice partition_key, struct leat_slice hash_key,
                           struct leat_slice data, char ret_sequence[LEAT_LOCAL_SEQUENCE_BYTES],
                           struct leat_error *err);
/* In the middle of its hash range. */
int leat_local_kinesis_split(struct leat_local_kinesis *server, const char *stream,
                             const char *shard, struct leat_error *err);
int leat_local_kinesis_merge(struct leat_local_kinesis *server, const char *stream,
                             const char *shard, const char *adjacent_shard, struct leat_error *err);
/*
 * As if retention were over: the records of a shard (NULL: of all) that arrived before this time (INT64_MAX: all) go, and
 * closed shards left without records are gone for good (ResourceNotFound, not listed).
 */
int leat_local_kinesis_trim(struct leat_local_kinesis *server, const char *stream,
                            const char *shard, int64_t before_us, struct leat_error *err);

/* ---- the world around it -------------------------------------------------------------------------- */

/* The server's clock: leat_clock_wall_us() plus all shifts so far. */
void leat_local_kinesis_shift_clock(struct leat_local_kinesis *server, int64_t by_us);
int64_t leat_local_kinesis_now_us(struct leat_local_kinesis *server);
void leat_local_kinesis_set_limits(struct leat_local_kinesis *server,
                                   const struct leat_local_limits *limits);
/* From now on only these; a session token that was good until now is refused as expired. */
void leat_local_kinesis_set_credentials(struct leat_local_kinesis *server,
                                        const char *access_key_id, const char *secret_access_key,
                                        const char *session_token);

/* ---- faults ---------------------------------------------------------------------------------------- */

enum leat_local_fault_kind {
    LEAT_LOCAL_FAULT_THROTTLE = 0,         /* ProvisionedThroughputExceeded, or LimitExceeded */
    LEAT_LOCAL_FAULT_REFUSE = 1,           /* `type`, `status` (400) */
    LEAT_LOCAL_FAULT_ERROR = 2,            /* an empty answer of `status` (500) */
    LEAT_LOCAL_FAULT_EXPIRED_ITERATOR = 3, /* ExpiredIterator; of lists: ExpiredNextToken */
    LEAT_LOCAL_FAULT_EXPIRED_TOKEN = 4,
    LEAT_LOCAL_FAULT_DELAY = 5, /* `delay_us` before the answer; nothing else is wrong */
    LEAT_LOCAL_FAULT_SLOW = 6,  /* `bytes` (1) at a time, `delay_us` (1 ms) between them */
    LEAT_LOCAL_FAULT_CUT = 7,   /* done; the answer ends after `bytes` (at most half) of its body */
    LEAT_LOCAL_FAULT_RESET = 8, /* nothing is done, the connection is reset */
    LEAT_LOCAL_FAULT_LOST = 9,  /* done, and the connection is reset instead of an answer */
    LEAT_LOCAL_FAULT_STALE = 10, /* answered; the next request on this connection is reset unread */
    LEAT_LOCAL_FAULT_EMPTY = 11, /* GetRecords: no records, and the shard is behind all the same */
    LEAT_LOCAL_FAULT_REPEAT = 12, /* GetRecords: NextShardIterator reads the same records again */
    LEAT_LOCAL_FAULT_PARTIAL =
        13, /* PutRecords: each `share`th record (2) is refused: `type` (throttled) */
    LEAT_LOCAL_FAULT_NULL = 14,       /* absent members are there, as null */
    LEAT_LOCAL_FAULT_INDEFINITE = 15, /* CBOR containers of GetRecords without their lengths */
    LEAT_LOCAL_FAULT_NO_CBOR = 16,    /* CBOR is refused with 415 */
    LEAT_LOCAL_FAULT_BARE_END = 17,   /* GetRecords: neither NextShardIterator nor ChildShards */
    LEAT_LOCAL_FAULT_ENDLESS = 18,    /* GetRecords: a closed shard is read on and on */
    LEAT_LOCAL_FAULT_DATE = 19,       /* the Date header is `delay_us` ahead; nothing else is */
    /* ListShards: the first two shards are each other's parents, the third is its own, the ids of the fourth and the fifth have a
       NUL in them and 300 letters. */
    LEAT_LOCAL_FAULT_ODD_SHARDS = 20,
    LEAT_LOCAL_FAULT_CLOSED = 21, /* ListShards: open shards have an EndingSequenceNumber */
    LEAT_LOCAL_FAULT_OPEN = 22    /* ListShards: no shard has one, whatever else is wrong */
};

/* Which calls: those that `action`, `stream` and `shard` (NULL: any) name; of these, after the first `skip`, each `every`th
   (0: 1), with a probability of `per_mille` (0: always), `times` times in all (0: until cleared). Strings are copied. */
struct leat_local_fault {
    enum leat_local_fault_kind kind;
    const char *action, *stream, *shard;
    unsigned skip, every, per_mille, times;
    int status;
    const char *type;
    int64_t delay_us;
    size_t bytes;
    unsigned share;
};
/* Several may hit one call: the first refusal, the first damage, the longest delay. */
void leat_local_kinesis_fault(struct leat_local_kinesis *server,
                              const struct leat_local_fault *fault);
void leat_local_kinesis_clear_faults(struct leat_local_kinesis *server);

/* ---- what happened ----------------------------------------------------------------------------------- */

struct leat_local_kinesis_counts {
    uint64_t calls, refused; /* answers of 4xx and 5xx, without damage done on the way */
    uint64_t throttled;      /* calls, and single records of PutRecords, by limits and by faults */
    uint64_t unsigned_calls; /* refused for their signature */
    uint64_t faults;         /* how often one fired */
    uint64_t records_in, bytes_in, records_out, bytes_out; /* bytes: keys and data */
    uint64_t records_trimmed, stored_bytes;
    uint64_t connections;
};
void leat_local_kinesis_counts(struct leat_local_kinesis *server,
                               struct leat_local_kinesis_counts *ret_counts);
/* Calls of one action ("GetRecords"), whatever became of them. */
uint64_t leat_local_kinesis_calls(struct leat_local_kinesis *server, const char *action);

#endif
