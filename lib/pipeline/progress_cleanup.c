/*
 * Progress rows live until their shard has left the stream and its lease is gone; then they go, in the target, a thousand at a
 * time, by the processor's first committer. The lease manager tells after a listing which shards are known: all others' rows that
 * say SHARD_END have no reader, unless a child waits that has no row yet (a pair), which must find its parent at its end.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "pipeline/committer.h"

#define MOST_AT_ONCE 1000

struct leat_known {
    struct leat_known *next;
    struct leat_arena arena;
    struct leat_known_shards shards;
};

static void
free_known(struct leat_known *known)
{
    leat_arena_release(&known->arena);
    free(known);
}

static const struct leat_slice *
copy_all(struct leat_arena *arena, const struct leat_slice *slices, size_t count)
{
    struct leat_slice *copies = leat_arena_alloc_zero(arena, count + 1, sizeof *copies);

    for (size_t i = 0; i < count; i++)
        copies[i] = leat_arena_copy(arena, slices[i]);
    return copies;
}

static struct leat_known *
copy(const struct leat_known_shards *shards)
{
    struct leat_known *known = LEAT_NEW(struct leat_known);

    leat_arena_init(&known->arena);
    known->shards = (struct leat_known_shards){
        .stream_id = leat_arena_copy(&known->arena, shards->stream_id),
        .shards = copy_all(&known->arena, shards->shards, shards->count),
        .count = shards->count,
        .parents = copy_all(&known->arena, shards->parents, shards->pair_count),
        .children = copy_all(&known->arena, shards->children, shards->pair_count),
        .pair_count = shards->pair_count,
    };
    return known;
}

void
leat_committer_tell_known(struct leat_committer *committer, const struct leat_known_shards *shards)
{
    struct leat_known *known = copy(shards), *old = NULL;

    leat_mutex_lock(&committer->lock);
    for (struct leat_known **link = &committer->known; *link != NULL && old == NULL;
         link = &(*link)->next) {
        if (!leat_slice_equals((*link)->shards.stream_id, shards->stream_id))
            continue;
        old = *link;
        *link = old->next;
        break;
    }
    known->next = committer->known;
    committer->known = known;
    committer->is_woken = true;
    leat_condition_signal(&committer->condition);
    leat_mutex_unlock(&committer->lock);
    if (old != NULL)
        free_known(old);
}

static struct leat_known *
next_known(struct leat_committer *committer)
{
    struct leat_known *known;

    leat_mutex_lock(&committer->lock);
    known = committer->known;
    if (known != NULL)
        committer->known = known->next;
    leat_mutex_unlock(&committer->lock);
    return known;
}

static bool
can_forget(const struct leat_target *ops)
{
    return ops->size >=
               offsetof(struct leat_target, progress_forget) + sizeof(ops->progress_forget) &&
           ops->progress_forget != NULL;
}

/* What cannot be removed now is told again after the next listing. */
void
leat_committer_clean_up(struct leat_committer *committer)
{
    struct leat_known *known;

    while ((known = next_known(committer)) != NULL) {
        struct leat_progress_forget forget = {
            .size = sizeof forget,
            .application =
                leat_slice_from(leat_pipeline_options(committer->runtime->pipeline)->application),
            .processor = leat_slice_from(committer->runtime->config.name),
            .tenant = leat_slice_from(""),
            .stream_id = known->shards.stream_id,
            .known = known->shards.shards,
            .known_count = known->shards.count,
            .parents = known->shards.parents,
            .children = known->shards.children,
            .pair_count = known->shards.pair_count,
            .most = MOST_AT_ONCE,
        };
        struct leat_error err;
        size_t removed = 0;

        if (can_forget(committer->store.ops) &&
            committer->store.ops->progress_forget(committer->store.committer, &forget, &removed,
                                                  &err) == 0)
            committer->runtime->counters.progress_removed += removed;
        free_known(known);
    }
}

void
leat_committer_known_release(struct leat_committer *committer)
{
    struct leat_known *known;

    while ((known = next_known(committer)) != NULL)
        free_known(known);
}
