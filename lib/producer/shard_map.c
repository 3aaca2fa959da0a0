/*
 * The open shards, sorted by where they start. While a reshard is under way a listing may tell a closed parent and its children,
 * both children, or neither: what is not covered is simply not found, and its records then go one by one.
 */
#include "producer/shard_map.h"

#include <stdlib.h>

#include "base/memory.h"

void
leat_shard_map_init(struct leat_shard_map *map)
{
    *map = (struct leat_shard_map){0};
    leat_shard_list_init(&map->list);
}

void
leat_shard_map_release(struct leat_shard_map *map)
{
    leat_shard_list_release(&map->list);
    free(map->open);
    leat_shard_map_init(map);
}

static int
by_start(const void *left, const void *right)
{
    const struct leat_shard_range *a = left, *b = right;

    return leat_hash_key_compare(a->start, b->start);
}

static bool
range_of(const struct leat_shard_facts *facts, struct leat_shard_range *range)
{
    range->shard = facts->shard;
    return leat_hash_key_parse(facts->starting_hash_key, &range->start) &&
           leat_hash_key_parse(facts->ending_hash_key, &range->end);
}

void
leat_shard_map_take(struct leat_shard_map *map, struct leat_shard_list *list)
{
    leat_shard_map_release(map);
    map->list = *list;
    leat_shard_list_init(list);
    map->open = LEAT_NEW_ARRAY(struct leat_shard_range, map->list.count + 1);
    for (size_t i = 0; i < map->list.count; i++) {
        const struct leat_shard_facts *facts = &map->list.shards[i];

        if (!facts->is_closed && range_of(facts, &map->open[map->open_count]))
            map->open_count++;
    }
    leat_sort(map->open, map->open_count, sizeof *map->open, by_start);
}

size_t
leat_shard_map_find(const struct leat_shard_map *map, struct leat_hash_key key)
{
    size_t low = 0, high = map->open_count;

    /* the last one that starts at or before the key */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (leat_hash_key_compare(map->open[middle].start, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && leat_shard_range_has(&map->open[low - 1], key) ? low - 1 : SIZE_MAX;
}

bool
leat_shard_map_range(const struct leat_shard_map *map, struct leat_slice shard,
                     struct leat_shard_range *ret_range)
{
    const struct leat_shard_facts *facts = leat_shard_list_find(&map->list, shard);

    return facts != NULL && range_of(facts, ret_range);
}

bool
leat_shard_map_equal(const struct leat_shard_map *a, const struct leat_shard_map *b)
{
    if (a->open_count != b->open_count)
        return false;
    for (size_t i = 0; i < a->open_count; i++) {
        if (!leat_slice_equals(a->open[i].shard, b->open[i].shard))
            return false;
    }
    return true;
}
