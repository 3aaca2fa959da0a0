/* A shard of a stream and its lineage, as ListShards tells it. Pure. */
#ifndef LEAT_STREAM_SHARD_H
#define LEAT_STREAM_SHARD_H

#include "base/arena.h"
#include "base/buf.h"

#define LEAT_SHARD_PARENTS 2

struct leat_shard_facts {
    struct leat_slice shard;
    struct leat_slice parents[LEAT_SHARD_PARENTS]; /* may name shards that have left the list */
    size_t parent_count;
    struct leat_slice starting_hash_key,
        ending_hash_key; /* decimal, inclusive; empty: not known (a file) */
    struct leat_slice starting_sequence;
    struct leat_slice
        ending_sequence; /* of a closed one: nothing lies behind it; empty: not told */
    bool is_closed;      /* has an ending sequence number */
};

struct leat_shard_list {
    struct leat_arena arena; /* owns every slice */
    struct leat_shard_facts *shards;
    size_t count, capacity;
};

void leat_shard_list_init(struct leat_shard_list *list);
void leat_shard_list_release(struct leat_shard_list *list);
/* Copies the facts into the list's arena. */
void leat_shard_list_add(struct leat_shard_list *list, const struct leat_shard_facts *facts);
const struct leat_shard_facts *leat_shard_list_find(const struct leat_shard_list *list,
                                                    struct leat_slice shard);

/* 128-bit hash keys. */
struct leat_hash_key {
    uint64_t high, low;
};
bool leat_hash_key_parse(struct leat_slice decimal, struct leat_hash_key *ret_key);
void leat_hash_key_of(struct leat_slice partition_key, struct leat_hash_key *ret_key); /* MD5 */
int leat_hash_key_compare(struct leat_hash_key a, struct leat_hash_key b);
void leat_hash_key_format(struct leat_hash_key key, struct leat_buf *out);

#endif
