/* See beginning.h. A handful of processors and streams: looked for one by one. */
#include "lease/beginning.h"

#include <stdlib.h>

#include "base/memory.h"

void
leat_beginnings_init(struct leat_beginnings *beginnings)
{
    *beginnings = (struct leat_beginnings){0};
    leat_arena_init(&beginnings->arena);
}

void
leat_beginnings_release(struct leat_beginnings *beginnings)
{
    for (size_t i = 0; i < beginnings->count; i++)
        leat_map_release(&beginnings->items[i].roles, NULL);
    free(beginnings->items);
    leat_arena_release(&beginnings->arena);
    leat_beginnings_init(beginnings);
}

struct leat_beginning *
leat_beginnings_add(struct leat_beginnings *beginnings, struct leat_slice processor,
                    struct leat_slice stream_id, struct leat_slice start)
{
    struct leat_beginning *beginning;

    LEAT_GROW(beginnings->items, beginnings->count, beginnings->capacity);
    beginning = &beginnings->items[beginnings->count++];
    beginning->processor = leat_arena_copy(&beginnings->arena, processor);
    beginning->stream_id = leat_arena_copy(&beginnings->arena, stream_id);
    beginning->start = leat_arena_copy(&beginnings->arena, start);
    leat_map_init(&beginning->roles);
    return beginning;
}

const struct leat_beginning *
leat_beginnings_find(const struct leat_beginnings *beginnings, struct leat_slice processor,
                     struct leat_slice stream_id)
{
    for (size_t i = 0; i < beginnings->count; i++) {
        if (leat_slice_equals(beginnings->items[i].processor, processor) &&
            leat_slice_equals(beginnings->items[i].stream_id, stream_id))
            return &beginnings->items[i];
    }
    return NULL;
}

void
leat_beginning_set(struct leat_beginning *beginning, struct leat_slice shard,
                   enum leat_shard_role role)
{
    if (role != LEAT_SHARD_LATER)
        leat_map_put(&beginning->roles, shard, (void *)(uintptr_t)role);
}

enum leat_shard_role
leat_beginning_role(const struct leat_beginning *beginning, struct leat_slice shard)
{
    return (enum leat_shard_role)(uintptr_t)leat_map_get(&beginning->roles, shard);
}

struct leat_slice
leat_beginning_checkpoint(const struct leat_beginning *beginning, struct leat_slice shard)
{
    return leat_beginning_role(beginning, shard) == LEAT_SHARD_START
               ? beginning->start
               : leat_slice_from("TRIM_HORIZON");
}
