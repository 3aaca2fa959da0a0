/* What is ours: the rows read against what the pipeline was told; each difference is one event. The manager thread's. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "lease/inside.h"
#include "stream/spec.h"

static void
held_key(struct leat_lease_key key, struct leat_buf *out)
{
    leat_buf_add_slice(out, key.stream_id);
    leat_buf_add_byte(out, '\n');
    leat_buf_add_slice(out, key.shard);
}

static void
free_held(void *value)
{
    struct leat_held_lease *held = value;

    leat_source_unref(held->source);
    free(held->stream_id);
    free(held->shard);
    free(held);
}

void
leat_manager_free_held(struct leat_lease_manager *manager)
{
    leat_map_release(&manager->held, free_held);
}

struct leat_held_lease *
leat_manager_find(struct leat_lease_manager *manager, struct leat_lease_key key)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    held_key(key, &text);
    return leat_map_get(&manager->held, leat_buf_slice(&text));
}

static void
count_held(struct leat_lease_manager *manager)
{
    leat_mutex_lock(&manager->lock);
    manager->counts.owned = manager->held.count;
    leat_mutex_unlock(&manager->lock);
}

static void
tell_lost(struct leat_lease_manager *manager, struct leat_lease_key key, enum leat_lease_loss loss)
{
    const struct leat_lease_events *events = &manager->options.events;

    events->lost(events->context, key, loss);
    if (events->log_lost != NULL)
        events->log_lost(events->log, key, loss);
}

void
leat_manager_lose(struct leat_lease_manager *manager, struct leat_lease_key key,
                  enum leat_lease_loss loss)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_held_lease *held;

    held_key(key, &text);
    held = leat_map_remove(&manager->held, leat_buf_slice(&text));
    if (held == NULL)
        return;
    leat_mutex_lock(&manager->lock);
    manager->counts.lost++;
    leat_mutex_unlock(&manager->lock);
    tell_lost(manager, key, loss);
    free_held(held);
    count_held(manager);
}

void
leat_manager_lose_all(struct leat_lease_manager *manager, enum leat_lease_loss loss)
{
    struct leat_map_entry *entry;
    size_t position = 0;

    while ((entry = leat_map_next(&manager->held, &position)) != NULL) {
        struct leat_held_lease *held = entry->value;

        tell_lost(
            manager,
            (struct leat_lease_key){leat_slice_from(held->stream_id), leat_slice_from(held->shard)},
            loss);
    }
    leat_manager_free_held(manager);
    count_held(manager);
}

/* ---- where processors begin --------------------------------------------------------------------- */

bool
leat_manager_takes(const struct leat_lease_processor *processor, const struct leat_source *source)
{
    return processor->stream_count == 0 ||
           leat_stream_spec_first(processor->stream_specs, processor->stream_count,
                                  source->facts.name, source->facts.arn) < processor->stream_count;
}

static const struct leat_beginning *
beginning_of(const struct leat_lease_manager *manager, size_t processor,
             const struct leat_source *source)
{
    return leat_beginnings_find(&manager->beginnings,
                                leat_slice_from(manager->options.processors[processor].name),
                                leat_slice_from(source->facts.stream_id));
}

/* How many of this worker's processors that read the stream have yet to meet it; the sync thread sees to that. */
static size_t
count_unmet(const struct leat_lease_manager *manager, const struct leat_source *source,
            bool with_unasked)
{
    size_t count = 0;

    for (size_t i = 0; i < manager->options.processor_count; i++)
        count += leat_manager_takes(&manager->options.processors[i], source) &&
                 beginning_of(manager, i, source) == NULL &&
                 (with_unasked || !manager->is_unasked[i]);
    return count;
}

static int
read_beginnings(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_stream_set set;
    bool has_all = true;

    leat_streams_snapshot(manager->options.streams, &set);
    for (size_t i = 0; i < set.count; i++)
        has_all = has_all && count_unmet(manager, set.items[i].source, true) == 0;
    leat_stream_set_release(&set);
    if (has_all)
        return 0;
    leat_beginnings_release(&manager->beginnings);
    return leat_rows_beginnings(manager->connection, &manager->rows, NULL, &manager->beginnings,
                                err);
}

/* parents: room for the lease's. */
static struct leat_shard_start
start_in(const struct leat_beginning *beginning, const char *processor,
         const struct leat_lease *lease, struct leat_slice *parents)
{
    struct leat_shard_start start = {
        .processor = processor,
        .start = leat_beginning_checkpoint(beginning, lease->key.shard),
        .parents = parents,
    };

    for (size_t p = 0; p < lease->parent_count; p++) {
        if (leat_beginning_role(beginning, lease->parents[p]) != LEAT_SHARD_PASSED)
            parents[start.parent_count++] = lease->parents[p];
    }
    return start;
}

/* ---- what is ours -------------------------------------------------------------------------------- */

static void
tell_acquired(struct leat_lease_manager *manager, const struct leat_lease *lease,
              struct leat_source *source)
{
    size_t count = manager->options.processor_count;
    struct leat_shard_start *starts = LEAT_NEW_ARRAY(struct leat_shard_start, count);
    struct leat_slice *parents = LEAT_NEW_ARRAY(struct leat_slice, count * LEAT_SHARD_PARENTS);
    struct leat_owned_lease owned = {
        .key = lease->key,
        .lease_counter = lease->lease_counter,
        .starts = starts,
        .starting_hash_key = lease->starting_hash_key,
        .ending_hash_key = lease->ending_hash_key,
        .source = source,
    };

    for (size_t i = 0; i < count; i++) {
        const struct leat_lease_processor *processor = &manager->options.processors[i];
        const struct leat_beginning *beginning = beginning_of(manager, i, source);

        if (leat_manager_takes(processor, source) && beginning != NULL &&
            leat_beginning_role(beginning, lease->key.shard) != LEAT_SHARD_PASSED)
            starts[owned.start_count++] =
                start_in(beginning, processor->name, lease, parents + i * LEAT_SHARD_PARENTS);
    }
    LEAT_POINT("lease.acquired");
    leat_mutex_lock(&manager->lock);
    manager->counts.acquired++;
    leat_mutex_unlock(&manager->lock);
    manager->options.events.acquired(manager->options.events.context, &owned);
    if (manager->options.events.log_taken != NULL)
        manager->options.events.log_taken(manager->options.events.log, lease->key);
    free(starts);
    free(parents);
}

/* NULL: not yet, or never here. */
static struct leat_held_lease *
begin_held(struct leat_lease_manager *manager, const struct leat_lease *lease)
{
    struct leat_source *source = leat_streams_find(manager->options.streams, lease->key.stream_id);
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;
    struct leat_held_lease *held;

    /* A stream that this worker does not read (now), or that a new processor has yet to meet: the version moves when it has. One
       whose target does not answer is not waited for. */
    if (source == NULL || count_unmet(manager, source, false) > 0) {
        leat_source_unref(source);
        return NULL;
    }
    held = LEAT_NEW(struct leat_held_lease);
    held->stream_id = leat_slice_strdup(lease->key.stream_id);
    held->shard = leat_slice_strdup(lease->key.shard);
    held->lease_counter = lease->lease_counter;
    held->source = source;
    held->is_partial = count_unmet(manager, source, true) > 0;
    held_key(lease->key, &text);
    leat_map_put(&manager->held, leat_buf_slice(&text), held);
    return held;
}

/* A lease that the rows say is ours. */
static void
meet(struct leat_lease_manager *manager, const struct leat_lease *lease)
{
    struct leat_held_lease *held = leat_manager_find(manager, lease->key);

    /* A processor has met its stream that could not before: all begin again, with it. */
    if (held != NULL && held->is_partial && count_unmet(manager, held->source, true) == 0) {
        leat_manager_lose(manager, lease->key, LEAT_LOSS_FENCED);
        held = NULL;
    }
    if (held == NULL) {
        held = begin_held(manager, lease);
        if (held == NULL)
            return;
        tell_acquired(manager, lease, held->source);
    } else if (held->lease_counter != lease->lease_counter) {
        /* It was another's in between, or was raised: everything begins again with the new counter. */
        held->lease_counter = lease->lease_counter;
        held->is_draining = held->has_let_go = false;
        held->is_finishing = false;
        tell_acquired(manager, lease, held->source);
    }
    held->is_seen = true;
    if (lease->has_children && !held->is_closed_told) {
        held->is_closed_told = true;
        if (manager->options.events.closed != NULL)
            manager->options.events.closed(manager->options.events.context, lease->key);
    }
    if (leat_manager_finish_if_gone(manager, held))
        return;
    if (lease->next_owner != 0 && !held->is_draining)
        leat_manager_begin_drain(manager, held,
                                 leat_clock_monotonic_us() + manager->options.drain_us);
    else if (lease->next_owner == 0 && held->is_draining && !held->has_let_go &&
             !manager->is_leaving) {
        held->is_draining = false;
        manager->options.events.resume(manager->options.events.context, lease->key);
    }
}

/* Those that are not ours any more; collected first, since losing changes the map. */
static void
lose_unseen(struct leat_lease_manager *manager)
{
    struct leat_map_entry *entry;
    size_t position = 0;

    while ((entry = leat_map_next(&manager->held, &position)) != NULL) {
        struct leat_held_lease *held = entry->value;

        if (held->is_seen)
            continue;
        leat_manager_lose(
            manager,
            (struct leat_lease_key){leat_slice_from(held->stream_id), leat_slice_from(held->shard)},
            LEAT_LOSS_FENCED);
    }
}

int
leat_manager_read(struct leat_lease_manager *manager, struct leat_error *err)
{
    struct leat_map_entry *entry;
    size_t position = 0;
    int status = leat_manager_follow_streams(manager, manager->connection, err);

    /* One that cannot be opened is told by the sync thread, and keeps nothing from the others. */
    if (status != 0 && leat_pg_is_broken(manager->connection))
        return status;
    status = 0;
    /* Streams and beginnings first: a lease that is read then has what was stored with it. */
    if (status == 0)
        status = read_beginnings(manager, err);
    if (status == 0)
        status = leat_rows_leases(manager->connection, &manager->rows, manager->incarnation,
                                  &manager->leases, err);
    if (status != 0)
        return status;
    while ((entry = leat_map_next(&manager->held, &position)) != NULL)
        ((struct leat_held_lease *)entry->value)->is_seen = false;
    for (size_t i = 0; i < manager->leases.count; i++)
        meet(manager, &manager->leases.leases[i]);
    lose_unseen(manager);
    count_held(manager);
    return leat_manager_end_strays(manager, err);
}
