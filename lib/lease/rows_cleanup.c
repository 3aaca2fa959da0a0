/*
 * See rows_cleanup.h. What is removed is named by its condition once more: whatever was decided on an old reading, a lease that is
 * active again, or whose shard is listed again, stays.
 */
#include "lease/rows_cleanup.h"

#include "base/memory.h"
#include "lease/rows_inside.h"
#include "postgres/array.h"

int
leat_rows_ranges(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 struct leat_range_rows *ret_rows, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    status = leat_pg_execute(connection,
                             "SELECT l.stream_id, l.starting_hash_key, l.ending_hash_key FROM "
                             "leat.leases l JOIN leat.streams s USING (application, stream_id) "
                             "WHERE l.application = $1 AND l.state = 'active' AND s.state = "
                             "'active' AND l.starting_hash_key <> '' ORDER BY l.stream_id",
                             &parameters, &result, err);
    if (status != 0)
        return status;
    leat_arena_init(&ret_rows->arena);
    ret_rows->count = (size_t)PQntuples(result);
    ret_rows->rows =
        leat_arena_alloc_zero(&ret_rows->arena, ret_rows->count + 1, sizeof *ret_rows->rows);
    for (int row = 0; row < PQntuples(result); row++)
        ret_rows->rows[row] = (struct leat_range_row){
            leat_rows_text(&ret_rows->arena, result, row, 0),
            leat_rows_text(&ret_rows->arena, result, row, 1),
            leat_rows_text(&ret_rows->arena, result, row, 2),
        };
    PQclear(result);
    return 0;
}

/* ---- leases of shards that have left their stream ------------------------------------------------ */

#define IS_LISTED "EXISTS (SELECT FROM unnest($3::text[]) AS u (shard) WHERE u.shard = l.shard)"

/* Of rows that are free: what somebody's transaction holds is marked, or goes, the next time. */
#define FREE(condition)                                                                            \
    "(SELECT l.shard FROM leat.leases l WHERE l.application = $1 AND l.stream_id = $2 "            \
    "AND " condition " ORDER BY l.shard FOR UPDATE SKIP LOCKED) k WHERE l.application = $1 AND "   \
    "l.stream_id = $2 AND l.shard = k.shard AND " condition

/* A mark that is later than now is made again: nobody knows how old it is, and a grace has to pass before anything goes. */
static const char mark_sql[] = "UPDATE leat.leases l SET gone_at = clock_timestamp() FROM " FREE(
    "l.state = 'ended' AND (l.gone_at IS NULL OR l.gone_at > clock_timestamp()) AND "
    "NOT " IS_LISTED);

static const char unmark_sql[] = "UPDATE leat.leases l SET gone_at = NULL FROM " FREE(
    "l.gone_at IS NOT NULL AND (l.state <> 'ended' OR " IS_LISTED ")");

static const char aged_sql[] =
    "SELECT l.shard, l.parents[1], l.parents[2], l.state = 'ended', l.lease_counter > 0, "
    "coalesce((extract(epoch FROM clock_timestamp() - l.gone_at) * 1000000)::int8, -1) FROM "
    "leat.leases l WHERE l.application = $1 AND l.stream_id = $2 ORDER BY l.shard";

static void
read_aged(const PGresult *result, struct leat_aged_rows *ret_rows)
{
    leat_arena_init(&ret_rows->arena);
    ret_rows->count = (size_t)PQntuples(result);
    ret_rows->leases =
        leat_arena_alloc_zero(&ret_rows->arena, ret_rows->count + 1, sizeof *ret_rows->leases);
    for (int row = 0; row < PQntuples(result); row++) {
        struct leat_aged_lease *lease = &ret_rows->leases[row];

        lease->shard = leat_rows_text(&ret_rows->arena, result, row, 0);
        for (int p = 0; p < LEAT_SHARD_PARENTS; p++) {
            if (!PQgetisnull(result, row, 1 + p))
                lease->parents[lease->parent_count++] =
                    leat_rows_text(&ret_rows->arena, result, row, 1 + p);
        }
        lease->is_ended = PQgetvalue(result, row, 3)[0] != 0;
        lease->has_begun = PQgetvalue(result, row, 4)[0] != 0;
        lease->gone_us = leat_pg_int8(PQgetvalue(result, row, 5));
    }
}

static void
bind_names(struct leat_buf *column, const struct leat_slice *names, size_t count)
{
    leat_buf_init(column, SIZE_MAX);
    leat_pg_array_begin(column, LEAT_PG_TEXT, count);
    for (size_t i = 0; i < count; i++)
        leat_pg_array_bytes(column, names[i]);
}

int
leat_rows_age(struct leat_pg_connection *connection, const struct leat_rows_context *context,
              const char *stream_id, const struct leat_shard_list *listed,
              struct leat_aged_rows *ret_rows, struct leat_error *err)
{
    struct leat_pg_parameters parameters, key;
    struct leat_buf shards;
    PGresult *result;
    int status;

    leat_buf_init(&shards, SIZE_MAX);
    leat_pg_array_begin(&shards, LEAT_PG_TEXT, listed->count);
    for (size_t i = 0; i < listed->count; i++)
        leat_pg_array_bytes(&shards, listed->shards[i].shard);
    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, stream_id);
    key = parameters;
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &shards);
    status = leat_rows_run(connection, unmark_sql, &parameters, NULL, err);
    if (status == 0)
        status = leat_rows_run(connection, mark_sql, &parameters, NULL, err);
    leat_rows_begin(&key, context);
    leat_pg_add_text(&key, stream_id);
    if (status == 0)
        status = leat_pg_execute(connection, aged_sql, &key, &result, err);
    leat_buf_release(&shards);
    if (status != 0)
        return status;
    read_aged(result, ret_rows);
    PQclear(result);
    return 0;
}

int
leat_rows_remove(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 const char *stream_id, const struct leat_slice *shards, size_t count,
                 int64_t grace_us, size_t *ret_removed, struct leat_error *err)
{
    static const char sql[] = "WITH gone AS (DELETE FROM leat.leases l USING " FREE(
        "l.shard = ANY ($3::text[]) AND l.state = 'ended' AND l.gone_at <= clock_timestamp() - "
        "$4 * interval '1 us'") " RETURNING l.shard), starts AS (DELETE FROM leat.start_shards b "
                                "USING "
                                "gone WHERE b.application = $1 AND b.stream_id = $2 AND b.shard = "
                                "gone.shard) SELECT FROM "
                                "gone";
    struct leat_pg_parameters parameters;
    struct leat_buf names;
    int status;

    bind_names(&names, shards, count);
    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, stream_id);
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &names);
    leat_pg_add_int8(&parameters, grace_us);
    status = leat_rows_run(connection, sql, &parameters, ret_removed, err);
    leat_buf_release(&names);
    return status;
}

/* ---- workers and streams ---------------------------------------------------------------------------- */

int
leat_rows_purge_workers(struct leat_pg_connection *connection,
                        const struct leat_rows_context *context, size_t *ret_removed,
                        struct leat_error *err)
{
    /* One that a lease still names as its owner is looked for by moves: that lease is given away first. */
    static const char sql[] =
        "DELETE FROM leat.workers WHERE application = $1 AND (application, worker_id) IN (SELECT "
        "w.application, w.worker_id FROM leat.workers w WHERE w.application = $1 AND w.state = "
        "'dead' AND " LEAT_IS_PAST(
            "coalesce(w.died_at, w.expires_at)",
            "interval '1 h'") " AND NOT "
                              "EXISTS (SELECT FROM leat.leases l WHERE l.application = "
                              "w.application AND w.incarnation "
                              "IN (l.lease_owner, l.next_owner)) ORDER BY w.worker_id LIMIT 1000 "
                              "FOR UPDATE SKIP LOCKED) "
                              "AND state = 'dead' RETURNING 1";
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    return leat_rows_run(connection, sql, &parameters, ret_removed, err);
}

int
leat_rows_purge_streams(struct leat_pg_connection *connection,
                        const struct leat_rows_context *context, int64_t grace_us,
                        size_t *ret_leases, struct leat_error *err)
{
    /* Later than now: nobody knows since when, so the grace begins. */
    static const char again_sql[] =
        "UPDATE leat.streams s SET gone_at = clock_timestamp() FROM (SELECT o.stream_id FROM "
        "leat.streams o WHERE o.application = $1 AND o.state = 'gone' AND o.gone_at > "
        "clock_timestamp() AND $2::int8 IS NOT NULL ORDER BY o.stream_id FOR UPDATE SKIP LOCKED) k "
        "WHERE s.application = $1 AND s.stream_id = k.stream_id";
    static const char sql[] =
        "WITH gone AS (SELECT s.application, s.stream_id FROM leat.streams s WHERE s.application = "
        "$1 AND s.state = 'gone' AND s.gone_at < clock_timestamp() - $2 * interval '1 us' AND NOT "
        "EXISTS (SELECT FROM leat.leases l WHERE l.application = s.application AND l.stream_id = "
        "s.stream_id AND l.state = 'active') ORDER BY s.stream_id LIMIT 1 FOR UPDATE SKIP LOCKED), "
        "shards AS (DELETE FROM leat.start_shards b USING gone g WHERE b.application = "
        "g.application AND b.stream_id = g.stream_id), "
        "starts AS (DELETE FROM leat.starts b USING gone g WHERE b.application = g.application AND "
        "b.stream_id = g.stream_id), "
        "streams AS (DELETE FROM leat.streams b USING gone g WHERE b.application = g.application "
        "AND b.stream_id = g.stream_id) "
        "DELETE FROM leat.leases b USING gone g WHERE b.application = g.application AND "
        "b.stream_id = g.stream_id RETURNING 1";
    struct leat_pg_parameters parameters;
    int status;

    leat_rows_begin(&parameters, context);
    leat_pg_add_int8(&parameters, grace_us);
    status = leat_rows_run(connection, again_sql, &parameters, NULL, err);
    return status == 0 ? leat_rows_run(connection, sql, &parameters, ret_leases, err) : status;
}
