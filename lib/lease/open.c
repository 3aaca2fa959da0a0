/*
 * Leases that have ended though their shards are open: an answer that said so by mistake and was believed (by an older leat), a
 * database that was put right by hand. Nobody reads such a shard any more. A list may lag behind a reshard, and leases are read
 * before it: so what is seen twice, a second apart, is told to the pipeline, which compares it with progress (pipeline/audit.c).
 */
#include <stdlib.h>

#include "base/memory.h"
#include "lease/inside.h"

static void
key_of(const struct leat_lease *lease, struct leat_buf *out)
{
    leat_buf_add_slice(out, lease->key.stream_id);
    leat_buf_add_byte(out, '\n');
    leat_buf_add_slice(out, lease->key.shard);
}

static void
say(struct leat_lease_manager *manager, const struct leat_source *source, struct leat_slice shard)
{
    const struct leat_lease_events *events = &manager->options.events;
    char name[160];

    if (events->stream == NULL)
        return;
    snprintf(name, sizeof name, "%.*s", (int)(shard.size < 150 ? shard.size : 150),
             (const char *)shard.data);
    events->stream(events->context, LEAT_LOG_WARNING,
                   "a lease has ended, but its shard is open: it is opened again, where progress "
                   "is not at the shard's end",
                   source->facts.name, name);
}

/* Those that are seen for the second time; ret_shards has room for all leases. */
static size_t
find(struct leat_lease_manager *manager, const struct leat_source *source,
     const struct leat_lease_rows *leases, const struct leat_shard_list *shards,
     struct leat_slice *ret_shards)
{
    struct leat_map open;
    size_t count = 0;

    leat_map_init(&open);
    for (size_t i = 0; i < shards->count; i++) {
        if (!shards->shards[i].is_closed && source->ops->has_limits)
            leat_map_put(&open, shards->shards[i].shard, &open);
    }
    for (size_t i = 0; open.count > 0 && i < leases->count; i++) {
        const struct leat_lease *lease = &leases->leases[i];
        LEAT_AUTO_BUF key = LEAT_BUF_INIT;

        if (!leat_slice_is(lease->key.stream_id, source->facts.stream_id))
            continue;
        key_of(lease, &key);
        if (lease->state != LEAT_LEASE_ENDED || leat_map_get(&open, lease->key.shard) == NULL) {
            leat_map_remove(&manager->ended_open, leat_buf_slice(&key));
        } else if (leat_map_put(&manager->ended_open, leat_buf_slice(&key), manager) == NULL) {
            leat_manager_sync_soon(manager);
        } else {
            say(manager, source, lease->key.shard);
            ret_shards[count++] = lease->key.shard;
        }
    }
    leat_map_release(&open, NULL);
    return count;
}

void
leat_manager_look_for_open(struct leat_lease_manager *manager, struct leat_source *source,
                           const struct leat_lease_rows *leases,
                           const struct leat_shard_list *shards,
                           const struct leat_beginnings *known)
{
    const struct leat_lease_options *options = &manager->options;
    struct leat_slice *found, *needed;
    size_t count;

    if (options->events.ended_open == NULL)
        return;
    found = LEAT_NEW_ARRAY(struct leat_slice, leases->count + 1);
    needed = LEAT_NEW_ARRAY(struct leat_slice, leases->count + 1);
    count = find(manager, source, leases, shards, found);
    for (size_t i = 0; count > 0 && i < options->processor_count; i++) {
        const struct leat_beginning *beginning =
            leat_beginnings_find(known, leat_slice_from(options->processors[i].name),
                                 leat_slice_from(source->facts.stream_id));
        size_t needs = 0;

        for (size_t j = 0; beginning != NULL && j < count; j++) {
            if (leat_beginning_role(beginning, found[j]) != LEAT_SHARD_PASSED)
                needed[needs++] = found[j];
        }
        if (needs > 0 && leat_manager_takes(&options->processors[i], source))
            options->events.ended_open(options->events.context, options->processors[i].name,
                                       leat_slice_from(source->facts.stream_id), needed, needs);
    }
    free(found);
    free(needed);
}
