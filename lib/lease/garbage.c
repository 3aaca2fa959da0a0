/* See garbage.h. */
#include "lease/garbage.h"

#include "base/map.h"

static void
wait_for(struct leat_map *waited, const struct leat_slice *parents, size_t count)
{
    for (size_t p = 0; p < count; p++)
        leat_map_put(waited, parents[p], waited);
}

size_t
leat_garbage(const struct leat_aged_lease *leases, size_t count,
             const struct leat_shard_list *listed, int64_t grace_us, size_t most,
             size_t *ret_garbage)
{
    struct leat_map known, there, waited;
    size_t found = 0;

    leat_map_init(&known);
    leat_map_init(&there);
    leat_map_init(&waited);
    for (size_t i = 0; i < count; i++) {
        leat_map_put(&known, leases[i].shard, &known);
        if (!leases[i].is_ended && !leases[i].has_begun)
            wait_for(&waited, leases[i].parents, leases[i].parent_count);
    }
    for (size_t i = 0; i < listed->count; i++) {
        const struct leat_shard_facts *shard = &listed->shards[i];

        leat_map_put(&there, shard->shard, &there);
        if (leat_map_get(&known, shard->shard) == NULL)
            wait_for(&waited, shard->parents, shard->parent_count);
    }
    for (size_t i = 0; i < count && found < most; i++) {
        if (leases[i].is_ended && leases[i].gone_us >= 0 && leases[i].gone_us >= grace_us &&
            leat_map_get(&there, leases[i].shard) == NULL &&
            leat_map_get(&waited, leases[i].shard) == NULL)
            ret_garbage[found++] = i;
    }
    leat_map_release(&known, NULL);
    leat_map_release(&there, NULL);
    leat_map_release(&waited, NULL);
    return found;
}
