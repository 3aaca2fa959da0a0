/*
 * Shards that have ended here, and are open: an answer or a list that said so by mistake and was believed, a database that was put
 * right by hand. Nobody reads such a shard any more, or not for all of its processors. What is seen in two listings of this worker
 * in a row is told to the pipeline, which compares it with progress (pipeline/audit.c).
 *
 * Stories. (1) A list lags behind a reshard, or is wrong once: leases are read before each listing, and one alone does nothing. Should two
 * lag, the parent is put back to where it was and ends again: its children begin later, and nothing is done twice. (2) The list
 * tells no ending sequence number of a shard, and its children: it is no open one. (3) The stream was deleted and made again under
 * its name: shards of the same ids are open, in another stream. It is asked who it is before anything is told.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "lease/inside.h"

/* What a key of manager->ended_open leads to. */
static char seen_once, seen_again;

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
                   "a lease has ended, but its shard is open: it is opened again, where its last "
                   "position is known",
                   source->facts.name, name);
}

/* Shards without an ending sequence number, and without children. */
static void
find_open(const struct leat_source *source, const struct leat_shard_list *shards,
          struct leat_map *open)
{
    if (!source->ops->has_limits)
        return;
    for (size_t i = 0; i < shards->count; i++) {
        if (!shards->shards[i].is_closed)
            leat_map_put(open, shards->shards[i].shard, open);
    }
    for (size_t i = 0; i < shards->count; i++) {
        for (size_t p = 0; p < shards->shards[i].parent_count; p++)
            leat_map_remove(open, shards->shards[i].parents[p]);
    }
}

/* Those that are seen for the second time, or yet again; ret_shards has room for all leases. */
static size_t
find(struct leat_lease_manager *manager, const struct leat_source *source,
     const struct leat_lease_rows *leases, const struct leat_shard_list *shards,
     struct leat_slice *ret_shards)
{
    struct leat_map open;
    size_t count = 0;

    leat_map_init(&open);
    find_open(source, shards, &open);
    for (size_t i = 0; i < leases->count; i++) {
        const struct leat_lease *lease = &leases->leases[i];
        LEAT_AUTO_BUF key = LEAT_BUF_INIT;
        const char *seen;

        if (!leat_slice_is(lease->key.stream_id, source->facts.stream_id))
            continue;
        key_of(lease, &key);
        if (!lease->has_ended_for_some || leat_map_get(&open, lease->key.shard) == NULL) {
            leat_map_remove(&manager->ended_open, leat_buf_slice(&key));
            continue;
        }
        seen = leat_map_get(&manager->ended_open, leat_buf_slice(&key));
        leat_map_put(&manager->ended_open, leat_buf_slice(&key),
                     seen == NULL ? &seen_once : &seen_again);
        if (seen == NULL)
            leat_manager_sync_soon(manager);
        else
            ret_shards[count++] = lease->key.shard;
        if (seen == &seen_once && lease->state == LEAT_LEASE_ENDED)
            say(manager, source, lease->key.shard);
    }
    leat_map_release(&open, NULL);
    return count;
}

static void
tell(struct leat_lease_manager *manager, const struct leat_source *source,
     const struct leat_beginnings *known, const struct leat_slice *found, size_t count)
{
    const struct leat_lease_options *options = &manager->options;
    struct leat_slice *needed = LEAT_NEW_ARRAY(struct leat_slice, count + 1);

    for (size_t i = 0; i < options->processor_count; i++) {
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
    free(needed);
}

int
leat_manager_look_for_open(struct leat_lease_manager *manager, struct leat_source *source,
                           const struct leat_lease_rows *leases,
                           const struct leat_shard_list *shards,
                           const struct leat_beginnings *known, struct leat_error *err)
{
    struct leat_source_facts facts;
    struct leat_slice *found;
    size_t count;
    int status = 0;

    if (manager->options.events.ended_open == NULL)
        return 0;
    found = LEAT_NEW_ARRAY(struct leat_slice, leases->count + 1);
    count = find(manager, source, leases, shards, found);
    if (count > 0)
        status = source->ops->describe(source, &facts, err);
    if (status == 0 && count > 0 && strcmp(facts.stream_id, source->facts.stream_id) != 0)
        status = leat_error_set(err, LEAT_E_NOT_FOUND, "it was deleted and made again");
    if (status == 0 && count > 0)
        tell(manager, source, known, found, count);
    free(found);
    return status;
}
