/*
 * Statements about the registered processors and about who runs them.
 *
 * Stories it survives. (1) A rolling deploy changes a processor's streams: old workers register one list, new ones another, in any
 * order and again and again. A start only adds (union); what no living worker gives the processor any more is taken away by a
 * pass, from what living workers publish. So the list does not flap, and it shrinks when the last old worker has gone.
 * (2) A new processor is registered while the last known one ends a shard: that one's statement asks the rows of its own
 * snapshot; the new processor's sync, which comes after, makes the lease active again (rows_start.c).
 * (3) A processor is retired while leases wait for it alone: they end here, behind the lock on their streams' rows, so that
 * no sync makes one of them active for a new processor in between.
 */
#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"
#include "lease/rows_inside.h"
#include "postgres/array.h"

/* ---- registration ------------------------------------------------------------------------------ */

static int
refuse(const struct leat_lease_processor *processor, bool is_retired, const char *registered,
       struct leat_error *err)
{
    if (is_retired)
        return leat_error_set(err, LEAT_E_INVALID,
                              "processor \"%s\" is retired: nobody waits for it any more; take it "
                              "out of the configuration, give it a new name to begin anew, or "
                              "bring it back with `leat processors resume %s`",
                              processor->name, processor->name);
    /* Under a new address, and silent: whether it is the same nobody can say yet. */
    if (strchr(registered, '#') != NULL && strchr(processor->target_id, '#') == NULL)
        return leat_error_set(err, LEAT_E_UNAVAILABLE,
                              "the target of processor \"%s\" could not be asked which one it is: "
                              "its progress is in %s, and %s does not answer: check its url, and "
                              "that it runs and is migrated",
                              processor->name, registered, processor->target_id);
    return leat_error_set(err, LEAT_E_CONFLICT,
                          "processor \"%s\" has committed to another target: its progress is in "
                          "%s, and this is %s; mend the target's url, or say `leat processors "
                          "retarget %s` if that one was rebuilt, or give it a new name to begin "
                          "anew",
                          processor->name, registered, processor->target_id, processor->name);
}

/* Where both know the target's own id, behind the '#', that decides: a pooler before it, or a new host, makes it no other target, and
   another database at the old address is another one. Else the address does. */
#define SAME_TARGET(registered)                                                                    \
    "CASE WHEN split_part(" registered ", '#', 2) <> '' AND split_part($3, '#', 2) <> '' THEN "    \
    "split_part(" registered ", '#', 2) = split_part($3, '#', 2) ELSE split_part(" registered      \
    ", '#', 1) = split_part($3, '#', 1) END"

/* What is registered by now. $4 is not asked. */
static int
check(struct leat_pg_connection *connection, const struct leat_pg_parameters *parameters,
      const struct leat_lease_processor *processor, struct leat_buf *ret_registered,
      struct leat_error *err)
{
    PGresult *result;
    int status = leat_pg_execute(
        connection,
        "SELECT target_id, state = 'retired', " SAME_TARGET(
            "target_id") " FROM leat.processors WHERE application = $1 AND processor = $2 AND "
                         "$4::text[] IS NOT DISTINCT FROM $4::text[]",
        parameters, &result, err);

    if (status != 0)
        return status;
    if (PQntuples(result) > 0) {
        leat_buf_clear(ret_registered);
        leat_buf_add_text(ret_registered, PQgetvalue(result, 0, 0));
        if (PQgetvalue(result, 0, 1)[0] != 0 || PQgetvalue(result, 0, 2)[0] == 0)
            status = refuse(processor, PQgetvalue(result, 0, 1)[0] != 0,
                            leat_buf_text(ret_registered), err);
    }
    PQclear(result);
    return status;
}

/* Asked first: the statement that changes it would wait for a row that somebody's transaction holds, though it had nothing to
   change there. */
static int
is_as_wanted(struct leat_pg_connection *connection, const struct leat_pg_parameters *parameters,
             bool *ret_is, struct leat_error *err)
{
    size_t rows = 0;
    int status = leat_rows_run(
        connection,
        "SELECT 1 FROM leat.processors p WHERE application = $1 AND processor = $2 AND (p.streams "
        "IS NULL OR ($4::text[] IS NOT NULL AND p.streams @> $4::text[])) AND ($3 NOT LIKE '%#%' "
        "OR p.target_id = $3)",
        parameters, &rows, err);

    *ret_is = rows > 0;
    return status;
}

int
leat_rows_processor(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                    const struct leat_lease_processor *processor,
                    const struct leat_stream_names *names, struct leat_buf *ret_registered,
                    struct leat_error *err)
{
    /* NULL is all streams: whoever says so, for all of them. Sorted, as leat_rows_forget_streams has it. Whoever is refused
       afterwards has changed nothing. */
    static const char sql[] =
        "INSERT INTO leat.processors AS p (application, processor, target_id, streams) SELECT $1, "
        "$2, $3, CASE WHEN $4::text[] IS NOT NULL THEN (SELECT coalesce(array_agg(DISTINCT u ORDER "
        "BY "
        "u), '{}') FROM unnest($4::text[]) u) END "
        "ON CONFLICT (application, processor) DO UPDATE SET streams = CASE WHEN p.streams IS NOT "
        "NULL "
        "AND excluded.streams IS NOT NULL THEN (SELECT coalesce(array_agg(DISTINCT u ORDER BY u), "
        "'{}') FROM unnest(p.streams || excluded.streams) u) END, "
        "target_id = CASE WHEN excluded.target_id LIKE '%#%' THEN excluded.target_id ELSE "
        "p.target_id END "
        "WHERE p.state <> 'retired' AND " SAME_TARGET(
            "p.target_id") " AND ((p.streams IS NOT NULL AND (excluded.streams IS NULL OR NOT "
                           "p.streams @> "
                           "excluded.streams)) OR (excluded.target_id LIKE '%#%' AND p.target_id "
                           "<> "
                           "excluded.target_id))";
    struct leat_pg_parameters parameters;
    struct leat_buf streams;
    bool is_there = false;
    int status;

    leat_buf_init(&streams, SIZE_MAX);
    leat_pg_array_begin(&streams, LEAT_PG_TEXT, names->count);
    for (size_t i = 0; i < names->count; i++)
        leat_pg_array_bytes(&streams, leat_slice_from(names->names[i]));
    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, processor->name);
    leat_pg_add_text(&parameters, processor->target_id);
    if (processor->stream_count > 0)
        leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &streams);
    else
        leat_pg_add_null(&parameters, LEAT_PG_TEXT_ARRAY);
    status = is_as_wanted(connection, &parameters, &is_there, err);
    if (status == 0 && !is_there)
        status = leat_rows_change(connection, context, sql, &parameters, NULL, err);
    if (status == 0)
        status = check(connection, &parameters, processor, ret_registered, err);
    leat_buf_release(&streams);
    return status;
}

int
leat_rows_runs(struct leat_pg_connection *connection, const struct leat_rows_context *context,
               int64_t incarnation, const char *runs, struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, context->worker_id);
    leat_pg_add_int8(&parameters, incarnation);
    leat_pg_add_text(&parameters, runs);
    return leat_rows_change(connection, context,
                            "UPDATE leat.workers SET runs = $4::jsonb WHERE application = $1 AND "
                            "worker_id = $2 AND incarnation = $3 AND runs IS DISTINCT FROM "
                            "$4::jsonb",
                            &parameters, NULL, err);
}

/* ---- what is registered ------------------------------------------------------------------------- */

void
leat_processor_rows_init(struct leat_processor_rows *rows)
{
    *rows = (struct leat_processor_rows){0};
    leat_arena_init(&rows->arena);
}

void
leat_processor_rows_release(struct leat_processor_rows *rows)
{
    leat_arena_release(&rows->arena);
}

/* Names, one a line. */
static void
split_names(struct leat_arena *arena, struct leat_slice text, struct leat_processor_row *row)
{
    struct leat_slice *names;
    size_t count = text.size > 0, begin = 0;

    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == '\n';
    names = leat_arena_alloc_zero(arena, count + 1, sizeof *names);
    for (size_t i = 0; i <= text.size && count > 0; i++) {
        if (i < text.size && text.data[i] != '\n')
            continue;
        names[row->stream_count++] = leat_slice_make(text.data + begin, i - begin);
        begin = i + 1;
    }
    row->streams = names;
}

static enum leat_processor_state
state_from(const char *text)
{
    return strcmp(text, "paused") == 0    ? LEAT_PROCESSOR_PAUSED
           : strcmp(text, "retired") == 0 ? LEAT_PROCESSOR_RETIRED
                                          : LEAT_PROCESSOR_ACTIVE;
}

int
leat_rows_processors(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     struct leat_processor_rows *rows, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    status =
        leat_pg_execute(connection,
                        "SELECT processor, state, array_to_string(streams, E'\\n'), "
                        "target_id FROM leat.processors WHERE application = $1 ORDER BY processor",
                        &parameters, &result, err);
    if (status != 0)
        return status;
    leat_arena_reset(&rows->arena);
    rows->count = (size_t)PQntuples(result);
    rows->rows = leat_arena_alloc_zero(&rows->arena, rows->count + 1, sizeof *rows->rows);
    for (size_t i = 0; i < rows->count; i++) {
        struct leat_processor_row *row = &rows->rows[i];

        row->name = (const char *)leat_rows_text(&rows->arena, result, (int)i, 0).data;
        row->state = state_from(PQgetvalue(result, (int)i, 1));
        row->target_id = (const char *)leat_rows_text(&rows->arena, result, (int)i, 3).data;
        row->is_of_all = PQgetisnull(result, (int)i, 2) != 0;
        if (!row->is_of_all)
            split_names(&rows->arena, leat_rows_text(&rows->arena, result, (int)i, 2), row);
    }
    PQclear(result);
    return 0;
}

/* ---- who lacks what ------------------------------------------------------------------------------ */

/* Leases come ordered by stream. Returns how many streams there are; their places go into the map, + 1. */
static size_t
number_streams(struct leat_lease_rows *leases, struct leat_map *places)
{
    size_t count = 0;

    for (size_t i = 0; i < leases->count; i++) {
        struct leat_lease *lease = &leases->leases[i];

        if (i == 0 || !leat_slice_equals(lease->key.stream_id, leases->leases[i - 1].key.stream_id))
            leat_map_put(places, lease->key.stream_id, (void *)(uintptr_t)++count);
        lease->stream = count - 1;
    }
    return count;
}

static int
give_to_workers(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                struct leat_map *kinds, struct leat_worker_rows *workers, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    status = leat_pg_execute(connection,
                             "SELECT incarnation, min(incarnation) OVER (PARTITION BY runs) FROM "
                             "leat.workers WHERE application = $1 AND state <> 'dead' AND runs IS "
                             "NOT NULL ORDER BY incarnation",
                             &parameters, &result, err);
    if (status != 0)
        return status;
    /* Both are ordered by incarnation; one that came in between is taken to run all until the next plan. */
    for (size_t w = 0, row = 0; w < workers->count; w++) {
        struct leat_worker *worker = &workers->rows[w].worker;

        while (row < (size_t)PQntuples(result) &&
               leat_pg_int8(PQgetvalue(result, (int)row, 0)) < worker->incarnation)
            row++;
        if (row < (size_t)PQntuples(result) &&
            leat_pg_int8(PQgetvalue(result, (int)row, 0)) == worker->incarnation)
            worker->lacks =
                leat_map_get(kinds, leat_slice_make(PQgetvalue(result, (int)row, 1), 8));
    }
    PQclear(result);
    return 0;
}

/* One row for each kind of worker and stream: what the kind's workers lack there. */
static void
add_lacks(const PGresult *result, size_t stream_count, const struct leat_map *places,
          struct leat_map *kinds, struct leat_arena *arena)
{
    for (int row = 0; row < PQntuples(result); row++) {
        struct leat_slice kind = leat_slice_make(PQgetvalue(result, row, 0), 8);
        struct leat_slice stream_id =
            leat_slice_make(PQgetvalue(result, row, 1), (size_t)PQgetlength(result, row, 1));
        size_t place = (size_t)(uintptr_t)leat_map_get(places, stream_id);
        int64_t lacking = leat_pg_int8(PQgetvalue(result, row, 2));
        unsigned char *lacks = leat_map_get(kinds, kind);

        if (place == 0)
            continue; /* a stream without leases */
        if (lacks == NULL) {
            lacks = leat_arena_alloc_zero(arena, stream_count, 1);
            leat_map_put(kinds, kind, lacks);
        }
        lacks[place - 1] = lacking == leat_pg_int8(PQgetvalue(result, row, 3)) ? LEAT_LACKS_ALL
                           : lacking < LEAT_LACKS_ALL - 1 ? (unsigned char)lacking
                                                          : LEAT_LACKS_ALL - 1;
    }
}

int
leat_rows_lacking(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                  struct leat_lease_rows *leases, struct leat_worker_rows *workers,
                  struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    struct leat_map places, kinds;
    PGresult *result;
    size_t stream_count;
    int status;

    leat_rows_begin(&parameters, context);
    status = leat_pg_execute(connection,
                             "SELECT kind, stream_id, count(*), min(of_active) FROM leat.lacking "
                             "WHERE application = $1 GROUP BY kind, stream_id",
                             &parameters, &result, err);
    if (status != 0)
        return status;
    leat_map_init(&places);
    leat_map_init(&kinds);
    stream_count = number_streams(leases, &places);
    add_lacks(result, stream_count, &places, &kinds, &workers->arena);
    if (kinds.count > 0)
        status = give_to_workers(connection, context, &kinds, workers, err);
    PQclear(result);
    leat_map_release(&places, NULL);
    leat_map_release(&kinds, NULL);
    return status;
}

/* ---- what is not needed any more ------------------------------------------------------------------ */

int
leat_rows_forget_streams(struct leat_pg_connection *connection,
                         const struct leat_rows_context *context, struct leat_error *err)
{
    /* A worker of an older build does not say what it runs: then nothing is taken away. One that nobody runs stays as it is. */
    static const char sql[] =
        "WITH kinds AS MATERIALIZED (SELECT DISTINCT runs -> 'processors' AS processors FROM "
        "leat.workers WHERE application = $1 AND state <> 'dead'), "
        "given AS (SELECT e.key AS processor, bool_or(e.value = 'null') AS is_all, "
        "array_agg(DISTINCT s.name ORDER BY s.name) FILTER (WHERE s.name IS NOT NULL) AS streams "
        "FROM kinds CROSS JOIN LATERAL jsonb_each(kinds.processors) e LEFT JOIN LATERAL "
        "jsonb_object_keys(CASE WHEN jsonb_typeof(e.value) = 'object' THEN e.value ELSE '{}' END) "
        "AS s (name) ON true GROUP BY e.key)"
        ", wanted AS (SELECT processor, CASE WHEN is_all THEN NULL ELSE coalesce(streams, '{}') "
        "END AS streams FROM given WHERE NOT EXISTS (SELECT FROM kinds WHERE processors IS NULL)), "
        "free AS MATERIALIZED (SELECT o.processor FROM leat.processors o JOIN wanted USING "
        "(processor) WHERE o.application = $1 AND o.streams IS DISTINCT FROM wanted.streams ORDER "
        "BY o.processor FOR UPDATE OF o SKIP LOCKED) "
        "UPDATE leat.processors p SET streams = wanted.streams FROM wanted JOIN free USING "
        "(processor) WHERE p.application = $1 AND p.processor = wanted.processor AND p.streams IS "
        "DISTINCT FROM wanted.streams";
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    return leat_rows_change(connection, context, sql, &parameters, NULL, err);
}

/* Nobody who needs the shard has yet to end it. One who needs nothing of it needs no end either, but somebody must have ended it. */
#define IS_UNNEEDED                                                                                \
    "l.application = $1 AND l.state = 'active' AND l.ended_by <> '{}' AND NOT EXISTS (SELECT "     \
    "FROM "                                                                                        \
    "leat.processors p WHERE " LEAT_IS_OF_STREAM                                                   \
    " AND p.processor <> ALL (l.ended_by) AND NOT " LEAT_HAS_PASSED ")"

/* Of the streams whose rows are free: for the others it is done when they are. */
static int
lock_streams(struct leat_pg_connection *connection, const struct leat_rows_context *context,
             struct leat_buf *streams, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    status = leat_pg_execute(connection,
                             "SELECT stream_id FROM leat.streams WHERE application = $1 ORDER BY "
                             "stream_id FOR SHARE SKIP LOCKED",
                             &parameters, &result, err);
    if (status != 0)
        return status;
    leat_pg_array_begin(streams, LEAT_PG_TEXT, (size_t)PQntuples(result));
    for (int row = 0; row < PQntuples(result); row++)
        leat_pg_array_bytes(streams, leat_slice_make(PQgetvalue(result, row, 0),
                                                     (size_t)PQgetlength(result, row, 0)));
    PQclear(result);
    return 0;
}

static int
end_unneeded(struct leat_pg_connection *connection, const struct leat_rows_context *context,
             struct leat_error *err)
{
    static const char sql[] = LEAT_TOLD(
        "UPDATE leat.leases l SET state = 'ended', lease_owner = NULL, next_owner = "
        "NULL, handoff_at = NULL, lease_counter = l.lease_counter + 1 FROM (SELECT o.stream_id, "
        "o.shard FROM leat.leases o WHERE o.application = $1 AND o.state = 'active' AND o.ended_by "
        "<> '{}' AND o.stream_id = ANY ($2::text[]) ORDER BY 1, 2 FOR UPDATE SKIP LOCKED) k WHERE "
        "l.stream_id = k.stream_id AND l.shard = k.shard AND " IS_UNNEEDED,
        "'ended'");
    struct leat_pg_parameters parameters;
    struct leat_buf streams;
    size_t rows = 0;
    int status = leat_pg_script(connection, "BEGIN", err);

    leat_buf_init(&streams, SIZE_MAX);
    if (status == 0)
        status = lock_streams(connection, context, &streams, err);
    if (status == 0) {
        leat_rows_begin(&parameters, context);
        leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &streams);
        status = leat_rows_run(connection, sql, &parameters, &rows, err);
    }
    leat_buf_release(&streams);
    return leat_rows_finish(connection, context, status, rows > 0, err);
}

int
leat_rows_end_unneeded(struct leat_pg_connection *connection,
                       const struct leat_rows_context *context, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    size_t rows = 0;
    int status;

    /* Asked first without a lock, which would be written for each stream at each pass. */
    leat_rows_begin(&parameters, context);
    status = leat_rows_run(connection, "SELECT 1 FROM leat.leases l WHERE " IS_UNNEEDED " LIMIT 1",
                           &parameters, &rows, err);
    return status != 0 || rows == 0 ? status : end_unneeded(connection, context, err);
}
