/*
 * The auditor and the cleanup, as they run (cover.h and garbage.h decide).
 *
 * The auditor runs with the pass, every ten seconds: one worker reads the hash ranges of active leases, in one statement, so it
 * sees one moment. A hole that is there twice in a row makes a full sync, which makes the missing leases again from
 * ListShards: with counter 0, and the take raises that past whatever progress there is.
 *
 * Cleanup runs with the sync of a stream, behind its listing. Stories. (1) A listing is not complete (pages that disagree): unless
 * its open shards cover all hash keys nothing is marked and nothing goes; and what goes was missing for a whole grace. (2) A shard
 * is listed again, or its lease was opened again by a processor that came: the mark is taken off, the removal's condition does not
 * hold. (3) Two workers clean up at once: the second finds nothing.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "lease/inside.h"
#include "lease/rows_cleanup.h"

#define COVER_US (10 * LEAT_SECOND_US)
#define COVER_TIMES 2
#define MOST_AT_ONCE 1000
#define STREAM_GRACE_US (24 * 3600 * LEAT_SECOND_US)

static bool
range_from(struct leat_slice first, struct leat_slice last, struct leat_hash_range *ret_range)
{
    return leat_hash_key_parse(first, &ret_range->first) &&
           leat_hash_key_parse(last, &ret_range->last);
}

static void
say(struct leat_lease_manager *manager, enum leat_log_level level, const char *what,
    struct leat_slice stream, const char *detail)
{
    const struct leat_lease_events *events = &manager->options.events;
    char name[520];

    if (events->stream == NULL)
        return;
    snprintf(name, sizeof name, "%.*s", (int)(stream.size < 512 ? stream.size : 512),
             (const char *)stream.data);
    events->stream(events->context, level, what, name, detail);
}

/* ---- the auditor: the manager thread ------------------------------------------------------------- */

static struct leat_covered_stream *
memory_of(struct leat_lease_manager *manager, struct leat_slice stream_id)
{
    struct leat_covered_stream *covered = leat_map_get(&manager->covered, stream_id);

    if (covered == NULL) {
        covered = LEAT_NEW(struct leat_covered_stream);
        leat_map_put(&manager->covered, stream_id, covered);
    }
    return covered;
}

static void
describe(const struct leat_hash_range *hole, struct leat_buf *out)
{
    leat_buf_add_text(out, "hash keys ");
    leat_hash_key_format(hole->first, out);
    leat_buf_add_text(out, " to ");
    leat_hash_key_format(hole->last, out);
}

static void
watch_stream(struct leat_lease_manager *manager, struct leat_slice stream_id,
             struct leat_hash_range *ranges, size_t count)
{
    struct leat_covered_stream *covered = memory_of(manager, stream_id);
    struct leat_hash_range hole;
    bool has_hole = leat_cover_has_hole(ranges, count, &hole);
    LEAT_AUTO_BUF detail = LEAT_BUF_INIT;

    if (leat_cover_confirm(&covered->memory, has_hole ? &hole : NULL, COVER_TIMES)) {
        leat_manager_sync_soon(manager);
        if (covered->is_told)
            return;
        covered->is_told = true;
        describe(&hole, &detail);
        leat_mutex_lock(&manager->lock);
        manager->counts.holes++;
        leat_mutex_unlock(&manager->lock);
        say(manager, LEAT_LOG_ERROR,
            "no lease covers a part of a stream: its shards are listed and missing leases made "
            "again",
            stream_id, leat_buf_text(&detail));
    } else if (!has_hole && covered->is_told) {
        covered->is_told = false;
        say(manager, LEAT_LOG_INFO, "leases cover the whole stream again", stream_id, "");
    }
}

int
leat_manager_watch_cover(struct leat_lease_manager *manager, int64_t now_us, struct leat_error *err)
{
    struct leat_range_rows rows;
    struct leat_hash_range *ranges;
    size_t begin = 0, count = 0;
    int status;

    if (now_us < manager->cover_at_us || !manager->has_synced)
        return 0;
    manager->cover_at_us = now_us + COVER_US;
    status = leat_rows_ranges(manager->connection, &manager->rows, &rows, err);
    if (status != 0)
        return status;
    ranges = LEAT_NEW_ARRAY(struct leat_hash_range, rows.count + 1);
    for (size_t i = 0; i < rows.count; i++) {
        if (range_from(rows.rows[i].first, rows.rows[i].last, &ranges[count]))
            count++;
        if (i + 1 < rows.count &&
            leat_slice_equals(rows.rows[i].stream_id, rows.rows[i + 1].stream_id))
            continue;
        watch_stream(manager, rows.rows[begin].stream_id, ranges, count);
        begin = i + 1;
        count = 0;
    }
    free(ranges);
    leat_arena_release(&rows.arena);
    return 0;
}

/* ---- cleanup: the sync thread ------------------------------------------------------------------------ */

/* Open shards cover all hash keys: the listing is whole. Without hash keys (a file) nobody knows. */
static bool
is_whole(const struct leat_shard_list *shards)
{
    struct leat_hash_range *ranges = LEAT_NEW_ARRAY(struct leat_hash_range, shards->count + 1);
    struct leat_hash_range hole;
    size_t count = 0;
    bool has_hole;

    for (size_t i = 0; i < shards->count; i++) {
        const struct leat_shard_facts *shard = &shards->shards[i];

        if (!shard->is_closed &&
            range_from(shard->starting_hash_key, shard->ending_hash_key, &ranges[count]))
            count++;
    }
    has_hole = leat_cover_has_hole(ranges, count, &hole);
    free(ranges);
    return !has_hole;
}

static void
tell_removed(struct leat_lease_manager *manager, struct leat_slice stream, size_t leases,
             size_t workers)
{
    LEAT_AUTO_BUF detail = LEAT_BUF_INIT;

    if (leases + workers == 0)
        return;
    leat_mutex_lock(&manager->lock);
    manager->counts.leases_removed += leases;
    manager->counts.workers_removed += workers;
    leat_mutex_unlock(&manager->lock);
    if (leases > 0) {
        leat_buf_printf(&detail, "%zu", leases);
        say(manager, LEAT_LOG_INFO, "leases of shards that have left the stream are removed",
            stream, leat_buf_text(&detail));
    }
}

/* Those that are listed or have a lease, and the children of those that are neither. */
static void
tell_known(struct leat_lease_manager *manager, const char *stream_id,
           const struct leat_shard_list *listed, const struct leat_aged_rows *aged)
{
    const struct leat_lease_options *options = &manager->options;
    size_t most = listed->count + aged->count;
    struct leat_slice *shards = LEAT_NEW_ARRAY(struct leat_slice, most + 1);
    struct leat_slice *pairs = LEAT_NEW_ARRAY(struct leat_slice, 4 * aged->count + 1);
    struct leat_known_shards known = {.stream_id = leat_slice_from(stream_id),
                                      .shards = shards,
                                      .parents = pairs,
                                      .children = pairs + 2 * aged->count};

    for (size_t i = 0; i < listed->count; i++)
        shards[known.count++] = listed->shards[i].shard;
    for (size_t i = 0; i < aged->count; i++) {
        const struct leat_aged_lease *lease = &aged->leases[i];

        shards[known.count++] = lease->shard;
        for (size_t p = 0; p < lease->parent_count; p++) {
            pairs[known.pair_count] = lease->parents[p];
            pairs[2 * aged->count + known.pair_count++] = lease->shard;
        }
    }
    for (size_t i = 0; i < options->processor_count; i++)
        options->events.known(options->events.context, options->processors[i].name, &known);
    free(shards);
    free(pairs);
}

/* Else no shard can have left it that had a child. */
static bool
was_resharded(const struct leat_shard_list *listed, const struct leat_aged_rows *aged)
{
    for (size_t i = 0; i < listed->count; i++) {
        if (listed->shards[i].is_closed || listed->shards[i].parent_count > 0)
            return true;
    }
    for (size_t i = 0; i < aged->count; i++) {
        if (aged->leases[i].parent_count > 0)
            return true;
    }
    return false;
}

int
leat_manager_clean_up(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                      const char *stream_id, const struct leat_shard_list *shards,
                      struct leat_error *err)
{
    int64_t grace_us = manager->options.lease_grace_us;
    struct leat_aged_rows aged;
    struct leat_slice *names;
    size_t *garbage, count, removed = 0;
    int status;

    if (!is_whole(shards))
        return 0;
    status = leat_rows_age(connection, &manager->rows, stream_id, shards, &aged, err);
    if (status != 0)
        return status;
    /* As they were before any goes: rows of those that go now are told the next time. */
    if (manager->options.events.known != NULL && was_resharded(shards, &aged))
        tell_known(manager, stream_id, shards, &aged);
    garbage = LEAT_NEW_ARRAY(size_t, aged.count + 1);
    names = LEAT_NEW_ARRAY(struct leat_slice, aged.count + 1);
    count = leat_garbage(aged.leases, aged.count, shards, grace_us, MOST_AT_ONCE, garbage);
    for (size_t i = 0; i < count; i++)
        names[i] = aged.leases[garbage[i]].shard;
    if (count > 0)
        status = leat_rows_remove(connection, &manager->rows, stream_id, names, count, grace_us,
                                  &removed, err);
    if (status == 0)
        tell_removed(manager, leat_slice_from(stream_id), removed, 0);
    free(garbage);
    free(names);
    leat_arena_release(&aged.arena);
    return status;
}

int
leat_manager_purge(struct leat_lease_manager *manager, struct leat_pg_connection *connection,
                   struct leat_error *err)
{
    size_t workers = 0, leases = 0;
    int status = leat_rows_purge_workers(connection, &manager->rows, &workers, err);

    if (status == 0)
        status = leat_rows_purge_streams(connection, &manager->rows, STREAM_GRACE_US, &leases, err);
    if (status == 0)
        tell_removed(manager, leat_slice_from("(deleted)"), leases, workers);
    return status;
}
