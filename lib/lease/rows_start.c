/*
 * Statements about where processors begin, and what follows from it for leases: one transaction per stream.
 *
 * Stories it survives. (1) Two workers meet a stream at once: the stream's row is locked, the second finds the first one's
 * start. (2) A worker dies between meeting a stream and making the leases: all of it is one transaction. (3) The last known
 * processor ends a shard while a new one meets the stream: whoever ends it holds the stream's row, too, so either it sees
 * what the new one needs, or the lease is ended by then and becomes active again here.
 */
#include "base/memory.h"
#include "lease/rows_inside.h"
#include "postgres/array.h"

static struct leat_slice
cell(const PGresult *result, int row, int column)
{
    return leat_slice_make(PQgetvalue(result, row, column),
                           (size_t)PQgetlength(result, row, column));
}

/* By processor and stream, a row for each shard; at least one. */
static void
add_rows(struct leat_beginnings *beginnings, const PGresult *result)
{
    struct leat_beginning *beginning = NULL;

    for (int row = 0; row < PQntuples(result); row++) {
        if (beginning == NULL || !leat_slice_equals(beginning->processor, cell(result, row, 0)) ||
            !leat_slice_equals(beginning->stream_id, cell(result, row, 1)))
            beginning = leat_beginnings_add(beginnings, cell(result, row, 0), cell(result, row, 1),
                                            cell(result, row, 2));
        if (!PQgetisnull(result, row, 3))
            leat_beginning_set(beginning, cell(result, row, 3),
                               PQgetvalue(result, row, 4)[0] != 0 ? LEAT_SHARD_PASSED
                                                                  : LEAT_SHARD_START);
    }
}

int
leat_rows_beginnings(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const char *stream_id, struct leat_beginnings *beginnings,
                     struct leat_error *err)
{
    static const char sql[] =
        "SELECT processor, stream_id, b.start, s.shard, s.is_passed FROM leat.starts b LEFT JOIN "
        "leat.start_shards s USING (application, processor, stream_id) WHERE application = $1 AND "
        "($2::text IS NULL OR stream_id = $2) ORDER BY processor, stream_id";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, stream_id);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    if (status != 0)
        return status;
    add_rows(beginnings, result);
    PQclear(result);
    return 0;
}

int
leat_rows_met(struct leat_pg_connection *connection, const struct leat_rows_context *context,
              struct leat_map *ret_met, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    status = leat_pg_execute(connection,
                             "SELECT processor || E'\\n' || stream_id FROM leat.starts WHERE "
                             "application = $1",
                             &parameters, &result, err);
    if (status != 0)
        return status;
    for (int row = 0; row < PQntuples(result); row++)
        leat_map_put(ret_met, cell(result, row, 0), ret_met);
    PQclear(result);
    return 0;
}

int
leat_rows_now(struct leat_pg_connection *connection, int64_t *ret_us, struct leat_error *err)
{
    PGresult *result;
    int status = leat_pg_execute(connection,
                                 "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8",
                                 NULL, &result, err);

    if (status != 0)
        return status;
    *ret_us = leat_pg_int8(PQgetvalue(result, 0, 0));
    PQclear(result);
    return 0;
}

int
leat_rows_sync_begin(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const char *stream_id, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    size_t rows = 0;
    int status = leat_pg_script(connection, "BEGIN", err);

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, stream_id);
    if (status == 0)
        status = leat_rows_run(connection,
                               "SELECT 1 FROM leat.streams WHERE application = $1 AND stream_id = "
                               "$2 AND state = 'active' FOR UPDATE",
                               &parameters, &rows, err);
    if (status == 0 && rows == 0)
        status = leat_error_set(err, LEAT_E_NOT_FOUND, "the stream is gone");
    return status;
}

static int
insert_shards(struct leat_pg_connection *connection, const struct leat_rows_context *context,
              const struct leat_beginning *beginning, struct leat_error *err)
{
    static const char sql[] =
        "INSERT INTO leat.start_shards (application, processor, stream_id, shard, is_passed) "
        "SELECT $1, $2, $3, u.shard, u.is_passed FROM unnest($4::text[], $5::bool[]) AS u (shard, "
        "is_passed) ORDER BY u.shard";
    struct leat_pg_parameters parameters;
    const struct leat_map_entry *entry;
    struct leat_buf shards, passed;
    size_t position = 0;
    int status;

    leat_buf_init(&shards, SIZE_MAX);
    leat_buf_init(&passed, SIZE_MAX);
    leat_pg_array_begin(&shards, LEAT_PG_TEXT, beginning->roles.count);
    leat_pg_array_begin(&passed, LEAT_PG_BOOL, beginning->roles.count);
    while ((entry = leat_map_next(&beginning->roles, &position)) != NULL) {
        leat_pg_array_bytes(&shards, entry->key);
        leat_pg_array_bool(&passed, (uintptr_t)entry->value == LEAT_SHARD_PASSED);
    }
    leat_rows_begin(&parameters, context);
    leat_pg_add_slice(&parameters, beginning->processor);
    leat_pg_add_slice(&parameters, beginning->stream_id);
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &shards);
    leat_pg_add_array(&parameters, LEAT_PG_BOOL_ARRAY, &passed);
    status = leat_rows_run(connection, sql, &parameters, NULL, err);
    leat_buf_release(&shards);
    leat_buf_release(&passed);
    return status;
}

int
leat_rows_meet(struct leat_pg_connection *connection, const struct leat_rows_context *context,
               const struct leat_beginning *beginning, size_t *changed, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    size_t rows = 0;
    int status;

    leat_rows_begin(&parameters, context);
    leat_pg_add_slice(&parameters, beginning->processor);
    leat_pg_add_slice(&parameters, beginning->stream_id);
    leat_pg_add_slice(&parameters, beginning->start);
    status = leat_rows_run(connection,
                           "INSERT INTO leat.starts (application, processor, stream_id, start) "
                           "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING 1",
                           &parameters, &rows, err);
    if (status == 0 && rows > 0)
        status = insert_shards(connection, context, beginning, err);
    *changed += rows;
    return status;
}

/*
 * Those of the stream that are free: a row that somebody's transaction holds is left to the next sync. Found once, by an array of places:
 * as a join, a planner that takes both sides for one row (they are new, and nobody has counted them) looks for them again for each
 * row, and ten thousand shards take minutes (Postgres 17).
 */
#define FREE(condition)                                                                            \
    "l.ctid = ANY (ARRAY (SELECT l.ctid FROM leat.leases l WHERE l.application = $1 AND "          \
    "l.stream_id = $2 AND " condition " ORDER BY l.shard FOR UPDATE OF l SKIP LOCKED)) AND "

/* Those that ended before a processor came that needs them. */
static const char reopen_sql[] = LEAT_TOLD(
    "UPDATE leat.leases l SET state = 'active', lease_owner = NULL, next_owner = NULL, handoff_at "
    "= NULL, lease_counter = l.lease_counter + 1 WHERE " FREE(
        "l.state = 'ended' AND l.shard = ANY ($3) "
        "AND EXISTS (SELECT FROM leat.processors p JOIN leat.starts k ON k.application = "
        "p.application AND k.processor = p.processor AND k.stream_id = l.stream_id "
        "WHERE " LEAT_IS_OF_STREAM " AND p.processor <> ALL (l.ended_by) AND NOT " LEAT_HAS_PASSED
        ")") "l.state = 'ended'",
    "'re-opened'");

/* Those for which a processor was waited for that does not need them, as is known now, or was retired. $3 is not asked. */
static const char end_sql[] = LEAT_TOLD(
    "UPDATE leat.leases l SET state = 'ended', lease_owner = NULL, next_owner = NULL, handoff_at = "
    "NULL, lease_counter = l.lease_counter + 1 WHERE " FREE(
        "l.state = 'active' AND $3::text[] IS NOT NULL AND EXISTS (SELECT FROM leat.processors p "
        "WHERE " LEAT_IS_OF_STREAM
        ") AND NOT EXISTS (SELECT FROM leat.processors p WHERE " LEAT_IS_OF_STREAM
        " AND p.processor <> ALL (l.ended_by) AND NOT " LEAT_HAS_PASSED ")") "l.state = 'active'",
    "'ended'");

int
leat_rows_settle(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 const char *stream_id, const struct leat_shard_list *shards, size_t *changed,
                 struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    struct leat_buf listed;
    size_t reopened = 0, ended = 0;
    int status;

    leat_buf_init(&listed, SIZE_MAX);
    leat_pg_array_begin(&listed, LEAT_PG_TEXT, shards->count);
    for (size_t i = 0; i < shards->count; i++)
        leat_pg_array_bytes(&listed, shards->shards[i].shard);
    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, stream_id);
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &listed);
    status = leat_rows_run(connection, reopen_sql, &parameters, &reopened, err);
    if (status == 0)
        status = leat_rows_run(connection, end_sql, &parameters, &ended, err);
    *changed += reopened + ended;
    leat_buf_release(&listed);
    return status;
}

int
leat_rows_name_children(struct leat_pg_connection *connection,
                        const struct leat_rows_context *context, const char *stream_id,
                        const struct leat_slice *pairs, size_t pair_count, size_t *changed,
                        struct leat_error *err)
{
    static const char sql[] =
        "WITH named AS (SELECT u.parent, array_agg(DISTINCT u.child ORDER BY u.child) AS children "
        "FROM unnest($3::text[], $4::text[]) AS u (parent, child) GROUP BY 1), locked AS "
        "MATERIALIZED (SELECT l.shard, n.children FROM leat.leases l JOIN named n ON n.parent = "
        "l.shard WHERE l.application = $1 AND l.stream_id = $2 AND l.state = 'active' AND "
        "l.children = '{}' ORDER BY l.shard FOR UPDATE OF l) "
        "UPDATE leat.leases l SET children = k.children FROM locked k WHERE l.application = $1 "
        "AND l.stream_id = $2 AND l.shard = k.shard RETURNING 1";
    struct leat_pg_parameters parameters;
    struct leat_buf parents, children;
    size_t rows = 0;
    int status;

    leat_buf_init(&parents, SIZE_MAX);
    leat_buf_init(&children, SIZE_MAX);
    leat_pg_array_begin(&parents, LEAT_PG_TEXT, pair_count);
    leat_pg_array_begin(&children, LEAT_PG_TEXT, pair_count);
    for (size_t i = 0; i < pair_count; i++) {
        leat_pg_array_bytes(&parents, pairs[2 * i]);
        leat_pg_array_bytes(&children, pairs[2 * i + 1]);
    }
    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, stream_id);
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &parents);
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &children);
    status = leat_rows_run(connection, sql, &parameters, &rows, err);
    *changed += rows;
    leat_buf_release(&parents);
    leat_buf_release(&children);
    return status;
}

int
leat_rows_sync_end(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                   int status, size_t changed, struct leat_error *err)
{
    return leat_rows_finish(connection, context, status, changed > 0, err);
}
