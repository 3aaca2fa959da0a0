/* What the producer's files share; nobody else includes this. */
#ifndef LEAT_PRODUCER_INSIDE_H
#define LEAT_PRODUCER_INSIDE_H

#include "base/arena.h"
#include "base/map.h"
#include "base/random.h"
#include "base/thread.h"
#include "producer/gzip_json.h"
#include "producer/kpl_encode.h"
#include "producer/producer.h"
#include "producer/shard_map.h"

struct leat_user_put {
    struct leat_slice partition_key, explicit_hash_key, data;
};

/* Records that wait to become one stream record: of one shard (kpl), or of one key (gzip_json). */
struct leat_producer_group {
    struct leat_kpl_encoder kpl;
    struct leat_gzip_json json;
    struct leat_user_put first; /* in the arena: a lone record goes as it is */
};

/* What is known of a stream record beside its put. */
struct leat_producer_sent {
    size_t user_records;
    struct leat_slice shard; /* kpl aggregates: where it was made for; else empty */
};

struct leat_producer {
    struct leat_producer_options options;
    char *stream;
    struct leat_kinesis *kinesis;
    struct leat_random random;
    struct leat_mutex lock; /* for waits alone: nobody else is there */
    struct leat_condition never;
    double turn_us;

    struct leat_arena arena; /* of all that waits; reset when nothing does */
    struct leat_kinesis_put *puts;
    struct leat_producer_sent *sent;
    size_t count, puts_capacity, sent_capacity;
    size_t ready_bytes;            /* of the puts */
    size_t waiting_bytes, waiting; /* of user records, since nothing waited */
    int64_t oldest_us;             /* when the first of them came; INT64_MAX: none waits */

    struct leat_shard_map map;             /* kpl */
    int64_t map_at_us;                     /* of the last attempt to list */
    bool has_uncovered;                    /* a hash key was in no open shard */
    struct leat_producer_group **by_shard; /* by place in map.open; NULL: none waits */
    struct leat_map by_key;                /* gzip_json: key -> group */
    struct leat_producer_counts counts;
};

/* producer_groups.c: from user records to stream records. */
void leat_producer_place(struct leat_producer *producer, const struct leat_user_put *user);
/* As a stream record of its own. */
void leat_producer_place_alone(struct leat_producer *producer, const struct leat_user_put *user);
void leat_producer_seal_all(struct leat_producer *producer);
void leat_producer_groups_release(struct leat_producer *producer);
struct leat_hash_key leat_user_put_hash(const struct leat_user_put *user);

/* producer_send.c: from stream records to the service. */
int leat_producer_map_refresh(struct leat_producer *producer, struct leat_error *err);
int leat_producer_send(struct leat_producer *producer, struct leat_error *err);

#endif
