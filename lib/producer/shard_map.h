/* Which open shard a hash key goes to, as of the last listing. Pure; not for threads. */
#ifndef LEAT_PRODUCER_SHARD_MAP_H
#define LEAT_PRODUCER_SHARD_MAP_H

#include "stream/shard.h"

struct leat_shard_range {
    struct leat_slice shard; /* in the list's arena */
    struct leat_hash_key start, end;
};

struct leat_shard_map {
    struct leat_shard_list list; /* open and closed ones */
    struct leat_shard_range *open;
    size_t open_count;
};

void leat_shard_map_init(struct leat_shard_map *map);
void leat_shard_map_release(struct leat_shard_map *map);
/* Takes the list over; it is empty afterwards. Shards without a readable range are left out of `open`. */
void leat_shard_map_take(struct leat_shard_map *map, struct leat_shard_list *list);
/* The place in `open`; SIZE_MAX: no open shard has it. */
size_t leat_shard_map_find(const struct leat_shard_map *map, struct leat_hash_key key);
/* Of any shard of the list, open or closed. false: not known. */
bool leat_shard_map_range(const struct leat_shard_map *map, struct leat_slice shard,
                          struct leat_shard_range *ret_range);
/* The same open shards? */
bool leat_shard_map_equal(const struct leat_shard_map *a, const struct leat_shard_map *b);
static inline bool
leat_shard_range_has(const struct leat_shard_range *range, struct leat_hash_key key)
{
    return leat_hash_key_compare(key, range->start) >= 0 &&
           leat_hash_key_compare(key, range->end) <= 0;
}

#endif
