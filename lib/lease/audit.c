/*
 * Ended leases against the target: a lease ends in the lease database when its processors have committed SHARD_END in their
 * targets. When a target loses those commits (a failover, a crash, a restored backup) nobody runs the shard any more, and its
 * children wait for ever. So, when there is reason to doubt and every ten minutes, the pipeline is told which leases have ended,
 * compares them with progress, and asks for those that it finds below SHARD_END to be opened again.
 *
 * The order matters. Leases are read first, then shards are listed, then progress is read: a lease that had ended before has its
 * SHARD_END in every target from then on, unless the target lost it; a shard that is listed after that has not been cleaned up.
 * A child that waits for a parent that is running is none of this: its parent's lease has not ended.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"
#include "lease/rows_inside.h"
#include "postgres/array.h"

#define FIRST_US (15 * LEAT_SECOND_US) /* after the start, which has enough to do */
#define AUDIT_US (600 * LEAT_SECOND_US)

void
leat_lease_audit(struct leat_lease_manager *manager)
{
    leat_mutex_lock(&manager->lock);
    manager->is_audit_wanted = true;
    leat_mutex_unlock(&manager->lock);
    leat_sync_want(manager);
}

static bool
is_due(struct leat_lease_manager *manager, int64_t now_us)
{
    bool is_wanted;

    leat_mutex_lock(&manager->lock);
    is_wanted = manager->is_audit_wanted;
    manager->is_audit_wanted = false;
    leat_mutex_unlock(&manager->lock);
    if (manager->audit_at_us == 0)
        manager->audit_at_us = now_us + FIRST_US;
    return is_wanted || now_us >= manager->audit_at_us;
}

/* What is read once for all streams: before any of them is listed. */
struct auditing {
    struct leat_lease_manager *manager;
    struct leat_lease_rows leases;
    struct leat_beginnings known;
};

static bool
has_ended(const struct auditing *a, const struct leat_source *source)
{
    for (size_t i = 0; i < a->leases.count; i++) {
        if (a->leases.leases[i].state == LEAT_LEASE_ENDED &&
            leat_slice_is(a->leases.leases[i].key.stream_id, source->facts.stream_id))
            return true;
    }
    return false;
}

/* Those that have ended, that are still listed, and that this processor needs. */
static size_t
ended_of(const struct auditing *a, const struct leat_shard_list *list,
         const struct leat_beginning *beginning, struct leat_slice *ret_shards)
{
    struct leat_map listed;
    size_t count = 0;

    leat_map_init(&listed);
    for (size_t i = 0; i < list->count; i++)
        leat_map_put(&listed, list->shards[i].shard, &list->shards[i]);
    for (size_t i = 0; i < a->leases.count; i++) {
        const struct leat_lease *lease = &a->leases.leases[i];

        if (lease->state == LEAT_LEASE_ENDED &&
            leat_slice_equals(lease->key.stream_id, beginning->stream_id) &&
            leat_map_get(&listed, lease->key.shard) != NULL &&
            leat_beginning_role(beginning, lease->key.shard) != LEAT_SHARD_PASSED)
            ret_shards[count++] = lease->key.shard;
    }
    leat_map_release(&listed, NULL);
    return count;
}

static void
tell(const struct auditing *a, const struct leat_source *source, const struct leat_shard_list *list)
{
    const struct leat_lease_options *options = &a->manager->options;
    struct leat_slice *shards = LEAT_NEW_ARRAY(struct leat_slice, a->leases.count);

    for (size_t i = 0; i < options->processor_count; i++) {
        const struct leat_lease_processor *processor = &options->processors[i];
        const struct leat_beginning *beginning = leat_beginnings_find(
            &a->known, leat_slice_from(processor->name), leat_slice_from(source->facts.stream_id));
        size_t count;

        if (beginning == NULL || !leat_manager_takes(processor, source))
            continue;
        count = ended_of(a, list, beginning, shards);
        if (count > 0)
            options->events.ended(options->events.context, processor->name, beginning->stream_id,
                                  shards, count);
    }
    free(shards);
}

static int
audit_stream(const struct auditing *a, struct leat_source *source, struct leat_error *err)
{
    struct leat_shard_list list;
    int status = 0;

    if (!has_ended(a, source))
        return 0;
    leat_shard_list_init(&list);
    status = source->ops->list_shards(source, &list, err);
    if (status == 0)
        tell(a, source, &list);
    leat_shard_list_release(&list);
    return status != 0 ? leat_error_prefix(err, "stream \"%s\"", source->facts.name) : 0;
}

/* One that cannot be listed does not hold up the others; one that is not there is looked up, and nothing of it is told. */
static int
audit_all(const struct auditing *a, struct leat_error *err)
{
    struct leat_stream_set set;
    struct leat_error one;
    int status = 0;

    leat_streams_snapshot(a->manager->options.streams, &set);
    for (size_t i = 0; i < set.count && !a->manager->is_stopping; i++) {
        const char *stream_id = set.items[i].source->facts.stream_id;
        struct leat_lease_key key = {leat_slice_from(stream_id), leat_slice_from("")};
        int one_status = audit_stream(a, set.items[i].source, &one);

        if (one_status == LEAT_E_NOT_FOUND && !set.items[i].is_fixed) {
            leat_lease_doubt(a->manager, key, NULL, NULL);
        } else if (one_status != 0 && status == 0) {
            status = one_status;
            *err = one;
        }
    }
    leat_stream_set_release(&set);
    return status;
}

int
leat_manager_audit(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                   struct leat_error *err)
{
    int64_t now_us = leat_clock_monotonic_us();
    struct auditing a = {.manager = manager};
    int status;

    if (manager->options.events.ended == NULL || !is_due(manager, now_us))
        return 0;
    leat_lease_rows_init(&a.leases);
    leat_beginnings_init(&a.known);
    status = leat_rows_beginnings(connection, &manager->rows, NULL, &a.known, err);
    if (status == 0)
        status = leat_rows_leases(connection, &manager->rows, 0, &a.leases, err);
    if (status == 0)
        status = audit_all(&a, err);
    manager->audit_at_us = now_us + (status == 0 ? AUDIT_US : FIRST_US);
    leat_lease_rows_release(&a.leases);
    leat_beginnings_release(&a.known);
    return status;
}

/* ---- opened again ------------------------------------------------------------------------------ */

int
leat_rows_reopen(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 const struct leat_reopening *reopening, struct leat_error *err)
{
    /* Other processors stay in ended_by: they only look and go. Where not all have ended it, its owner keeps it, and takes it again
       since the counter moves. */
    static const char sql[] = LEAT_TOLD(
        "UPDATE leat.leases l SET state = 'active', ended_by = array_remove(l.ended_by, $4), "
        "lease_owner = CASE WHEN l.state = 'ended' THEN NULL ELSE l.lease_owner END, "
        "next_owner = CASE WHEN l.state = 'ended' THEN NULL ELSE l.next_owner END, "
        "handoff_at = CASE WHEN l.state = 'ended' THEN NULL ELSE l.handoff_at END, "
        "lease_counter = l.lease_counter + 1 FROM (SELECT o.shard FROM leat.leases o WHERE "
        "o.application = $1 AND o.stream_id = $2 AND o.shard = ANY ($3::text[]) AND (o.state = "
        "'ended' OR $4 = ANY (o.ended_by)) ORDER BY o.shard FOR UPDATE SKIP LOCKED) k WHERE "
        "l.application = $1 AND l.stream_id = $2 AND l.shard = k.shard",
        "'re-opened'");
    static const char left_sql[] =
        "SELECT FROM leat.leases l WHERE l.application = $1 AND l.stream_id = $2 AND l.shard = ANY "
        "($3::text[]) AND (l.state = 'ended' OR $4 = ANY (l.ended_by))";
    struct leat_pg_parameters parameters;
    struct leat_buf shards;
    size_t left = 0;
    int status;

    leat_buf_init(&shards, SIZE_MAX);
    leat_pg_array_begin(&shards, LEAT_PG_TEXT, reopening->count);
    for (size_t i = 0; i < reopening->count; i++)
        leat_pg_array_bytes(&shards, reopening->shards[i]);
    leat_rows_begin(&parameters, context);
    leat_pg_add_slice(&parameters, reopening->stream_id);
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &shards);
    leat_pg_add_slice(&parameters, reopening->processor);
    status = leat_rows_change(connection, context, sql, &parameters, NULL, err);
    if (status == 0)
        status = leat_rows_run(connection, left_sql, &parameters, &left, err);
    leat_buf_release(&shards);
    return status == 0 && left > 0
               ? leat_error_set(err, LEAT_E_UNAVAILABLE,
                                "could not open %zu leases again: another transaction holds their "
                                "rows",
                                left)
               : status;
}
