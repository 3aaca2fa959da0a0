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
    /* What a service told that nobody can work with: how many, and the first of them, in a form that can be shown. */
    size_t left_out_count, cyclic_count, misnumbered_count;
    char first_left_out[200], first_cyclic[200], first_misnumbered[200];
};

void leat_shard_list_init(struct leat_shard_list *list);
void leat_shard_list_release(struct leat_shard_list *list);
/* Copies the facts into the list's arena. */
void leat_shard_list_add(struct leat_shard_list *list, const struct leat_shard_facts *facts);
/*
 * 1 to 128 bytes of printable ASCII without blanks, as the API has it. Anything else no database takes (a NUL), no index (too long),
 * or no terminal; one such id in a statement would stop all others with it.
 */
bool leat_shard_name_is_fine(struct leat_slice name);
/* As leat_shard_list_add, of what came over the wire: a shard with a name that is not fine is left out, parents with such names are
   not told; a shard with a hash key or a sequence number that is none is misnumbered, and counts as without that one. */
void leat_shard_list_add_told(struct leat_shard_list *list, const struct leat_shard_facts *facts);
/* Shards that are their own ancestors would wait for themselves: links inside a cycle are cut. */
void leat_shard_list_cut_cycles(struct leat_shard_list *list);
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
