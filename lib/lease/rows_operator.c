/*
 * See rows_operator.h.
 *
 * Stories it survives. (1) A pass moves a lease between an operator's look and his word: counter and owner are compared, the row
 * stays as it is and is counted as moved by the world. (2) The wished-for worker dies first: it must be alive in the statement, and
 * any pass cancels or redirects the handoff later. (3) A consumer ends its shard while the operator moves its progress back: the
 * end that was committed before is told to the lease database after; so the command sends leat_rows_rewound a second time.
 */
#include "lease/rows_operator.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "lease/rows_inside.h"
#include "postgres/array.h"

void
leat_operator_leases_init(struct leat_operator_leases *leases)
{
    *leases = (struct leat_operator_leases){0};
    leat_arena_init(&leases->arena);
}

void
leat_operator_leases_release(struct leat_operator_leases *leases)
{
    leat_arena_release(&leases->arena);
}

/* ---- the plan -------------------------------------------------------------------------------- */

static bool
can_take(const struct leat_operator_worker *worker, const struct leat_operator_lease *lease)
{
    if (worker->incarnation == lease->lease_owner ||
        (worker->limit > 0 && worker->held >= worker->limit))
        return false;
    for (size_t i = 0; i < worker->lack_count; i++) {
        if (strcmp(worker->lacks[i], lease->stream_id) == 0)
            return false;
    }
    return true;
}

void
leat_operator_plan(struct leat_operator_leases *leases)
{
    for (size_t i = 0; i < leases->count; i++) {
        struct leat_operator_lease *lease = &leases->leases[i];
        struct leat_operator_worker *best = NULL;

        lease->next_owner = 0;
        for (size_t w = 0; w < leases->worker_count && !lease->is_under_way; w++) {
            struct leat_operator_worker *worker = &leases->workers[w];

            if (can_take(worker, lease) && (best == NULL || worker->held < best->held))
                best = worker;
        }
        if (best == NULL)
            continue;
        best->held++;
        lease->next_owner = best->incarnation;
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

static const char *
text(struct leat_operator_leases *leases, const PGresult *result, int row, int column)
{
    return (const char *)leat_rows_text(&leases->arena, result, row, column).data;
}

static int
read_owned(struct leat_pg_connection *connection, const struct leat_rows_context *context,
           const struct leat_operator_filter *filter, struct leat_operator_leases *leases,
           struct leat_error *err)
{
    static const char sql[] =
        "SELECT l.stream_id, coalesce(s.name, l.stream_id), l.shard, coalesce(o.worker_id, '#' || "
        "l.lease_owner), l.lease_counter, l.lease_owner, l.next_owner IS NOT NULL "
        "FROM leat.leases l LEFT JOIN leat.streams s ON s.application = l.application AND "
        "s.stream_id = l.stream_id LEFT JOIN leat.workers o ON o.application = l.application AND "
        "o.incarnation = l.lease_owner WHERE l.application = $1 AND l.state = 'active' AND "
        "l.lease_owner IS NOT NULL AND ($2::text IS NULL OR o.worker_id = $2) AND ($3::text IS "
        "NULL OR s.name = $3 OR l.stream_id = $3) AND ($4::text IS NULL OR l.shard = $4) "
        "ORDER BY l.stream_id, l.shard";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, filter->worker_id);
    leat_pg_add_text(&parameters, filter->stream);
    leat_pg_add_text(&parameters, filter->shard);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    if (status != 0)
        return status;
    leases->count = (size_t)PQntuples(result);
    leases->leases =
        leat_arena_alloc_zero(&leases->arena, leases->count + 1, sizeof *leases->leases);
    for (int i = 0; i < PQntuples(result); i++)
        leases->leases[i] = (struct leat_operator_lease){
            .stream_id = text(leases, result, i, 0),
            .stream = text(leases, result, i, 1),
            .shard = text(leases, result, i, 2),
            .owner_id = text(leases, result, i, 3),
            .lease_counter = leat_pg_int8(PQgetvalue(result, i, 4)),
            .lease_owner = leat_pg_int8(PQgetvalue(result, i, 5)),
            .is_under_way = PQgetvalue(result, i, 6)[0] != 0,
        };
    PQclear(result);
    return 0;
}

/* A row for each stream that a worker lacks, at least one for each worker. */
static int
read_takers(struct leat_pg_connection *connection, const struct leat_rows_context *context,
            struct leat_operator_leases *leases, struct leat_error *err)
{
    static const char sql[] =
        "SELECT w.worker_id, w.incarnation, (SELECT count(*) FROM leat.leases l WHERE "
        "l.application = w.application AND l.state = 'active' AND coalesce(l.next_owner, "
        "l.lease_owner) = w.incarnation), w.max_leases::int8, s.stream_id FROM leat.workers w "
        "LEFT JOIN leat.streams s ON s.application = w.application AND NOT (w.runs -> 'streams') ? "
        "s.name WHERE w.application = $1 AND w.state = 'alive' AND w.expires_at > "
        "clock_timestamp() "
        "ORDER BY w.worker_id";
    struct leat_pg_parameters parameters;
    struct leat_operator_worker *worker = NULL;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    if (status != 0)
        return status;
    leases->workers = leat_arena_alloc_zero(&leases->arena, (size_t)PQntuples(result) + 1,
                                            sizeof *leases->workers);
    for (int i = 0; i < PQntuples(result); i++) {
        int64_t incarnation = leat_pg_int8(PQgetvalue(result, i, 1));

        if (worker == NULL || worker->incarnation != incarnation) {
            worker = &leases->workers[leases->worker_count++];
            *worker = (struct leat_operator_worker){
                .worker_id = text(leases, result, i, 0),
                .incarnation = incarnation,
                .held = (uint64_t)leat_pg_int8(PQgetvalue(result, i, 2)),
                .limit = (uint64_t)leat_pg_int8(PQgetvalue(result, i, 3)),
                .lacks = leat_arena_alloc_zero(&leases->arena, (size_t)PQntuples(result),
                                               sizeof *worker->lacks),
            };
        }
        if (!PQgetisnull(result, i, 4))
            worker->lacks[worker->lack_count++] = text(leases, result, i, 4);
    }
    PQclear(result);
    return 0;
}

int
leat_rows_operator_leases(struct leat_pg_connection *connection,
                          const struct leat_rows_context *context,
                          const struct leat_operator_filter *filter,
                          struct leat_operator_leases *leases, struct leat_error *err)
{
    int status = read_owned(connection, context, filter, leases, err);

    if (status == 0)
        status = read_takers(connection, context, leases, err);
    if (status == 0)
        leat_operator_plan(leases);
    return status;
}

/* ---- release --------------------------------------------------------------------------------- */

#define MOVES                                                                                      \
    "FROM unnest($2::text[], $3::text[], $4::int8[], $5::int8[], $6::int8[]) AS m (stream_id, "    \
    "shard, counter, seen, new) WHERE l.application = $1 AND l.stream_id = m.stream_id AND "       \
    "l.shard = m.shard AND l.state = 'active' AND l.lease_counter = m.counter AND l.lease_owner "  \
    "= m.seen"

static const char wish_sql[] =
    "UPDATE leat.leases l SET next_owner = m.new, handoff_at = clock_timestamp() " MOVES
    " AND l.next_owner IS NULL AND EXISTS (SELECT FROM leat.workers w WHERE w.application = "
    "l.application AND w.incarnation = m.new AND w.state = 'alive')";
/* The wish stays: the next pass prefers it to the last owner. */
static const char fence_sql[] = LEAT_TOLD(
    "UPDATE leat.leases l SET lease_owner = NULL, next_owner = nullif(m.new, 0), handoff_at = "
    "NULL, lease_counter = l.lease_counter + 1 " MOVES,
    "'operator'");

int
leat_rows_operator_release(struct leat_pg_connection *connection,
                           const struct leat_rows_context *context,
                           const struct leat_operator_leases *leases, bool is_fence,
                           size_t *ret_moved, struct leat_error *err)
{
    static const enum leat_pg_oid types[] = {LEAT_PG_TEXT, LEAT_PG_TEXT, LEAT_PG_INT8, LEAT_PG_INT8,
                                             LEAT_PG_INT8};
    struct leat_buf columns[LEAT_COUNT_OF(types)];
    struct leat_pg_parameters parameters;
    size_t count = 0;
    int status;

    for (size_t i = 0; i < leases->count; i++)
        count += is_fence || leases->leases[i].next_owner != 0;
    for (size_t c = 0; c < LEAT_COUNT_OF(types); c++) {
        leat_buf_init(&columns[c], SIZE_MAX);
        leat_pg_array_begin(&columns[c], types[c], count);
    }
    for (size_t i = 0; i < leases->count; i++) {
        const struct leat_operator_lease *lease = &leases->leases[i];

        if (!is_fence && lease->next_owner == 0)
            continue;
        leat_pg_array_bytes(&columns[0], leat_slice_from(lease->stream_id));
        leat_pg_array_bytes(&columns[1], leat_slice_from(lease->shard));
        leat_pg_array_int8(&columns[2], lease->lease_counter);
        leat_pg_array_int8(&columns[3], lease->lease_owner);
        leat_pg_array_int8(&columns[4], lease->next_owner);
    }
    leat_rows_begin(&parameters, context);
    for (size_t c = 0; c < LEAT_COUNT_OF(types); c++)
        leat_pg_add_array(&parameters, leat_pg_array_of(types[c]), &columns[c]);
    status = leat_rows_change(connection, context, is_fence ? fence_sql : wish_sql, &parameters,
                              ret_moved, err);
    for (size_t c = 0; c < LEAT_COUNT_OF(types); c++)
        leat_buf_release(&columns[c]);
    return status;
}

/* ---- workers and processors ------------------------------------------------------------------ */

int
leat_rows_drain(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                const char *worker_id, bool is_undo, size_t *ret_moved, struct leat_error *err)
{
    /* A worker that is leaving by itself has no drained_at, and nobody calls it back. */
    static const char drain_sql[] =
        "UPDATE leat.workers SET state = 'leaving', drained_at = clock_timestamp() WHERE "
        "application = $1 AND worker_id = $2 AND state = 'alive' RETURNING 1";
    static const char undo_sql[] =
        "UPDATE leat.workers SET state = CASE state WHEN 'leaving' THEN 'alive' ELSE state END, "
        "drained_at = NULL WHERE application = $1 AND worker_id = $2 AND drained_at IS NOT NULL "
        "RETURNING 1";
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, worker_id);
    return leat_rows_change(connection, context, is_undo ? undo_sql : drain_sql, &parameters,
                            ret_moved, err);
}

int
leat_rows_set_processor(struct leat_pg_connection *connection,
                        const struct leat_rows_context *context, const char *processor,
                        const char *seen, const char *state, size_t *ret_moved,
                        struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, processor);
    leat_pg_add_text(&parameters, seen);
    leat_pg_add_text(&parameters, state);
    return leat_rows_change(connection, context,
                            "UPDATE leat.processors SET state = $4 WHERE application = $1 AND "
                            "processor = $2 AND state = $3 RETURNING 1",
                            &parameters, ret_moved, err);
}

int
leat_rows_set_target(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const char *processor, const char *const from_to[2], size_t *ret_moved,
                     struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, processor);
    leat_pg_add_text(&parameters, from_to[0]);
    leat_pg_add_text(&parameters, from_to[1]);
    return leat_rows_change(connection, context,
                            "UPDATE leat.processors SET target_id = $4 WHERE application = $1 AND "
                            "processor = $2 AND target_id = $3 RETURNING 1",
                            &parameters, ret_moved, err);
}

/* ---- progress was moved ---------------------------------------------------------------------- */

#define SHARDS                                                                                     \
    "l.application = $1 AND l.stream_id = $2 AND l.shard = ANY ($4::text[]) AND $3 IS NOT NULL"

/* Others stay in ended_by: they only look and go. */
static const char reopen_sql[] = LEAT_TOLD(
    "UPDATE leat.leases l SET state = 'active', ended_by = array_remove(l.ended_by, $3), "
    "lease_owner = NULL, next_owner = NULL, handoff_at = NULL, lease_counter = l.lease_counter + 1 "
    "WHERE " SHARDS " AND l.state = 'ended'",
    "'re-opened'");
static const char not_ended_sql[] =
    "UPDATE leat.leases l SET ended_by = array_remove(l.ended_by, $3), lease_counter = "
    "l.lease_counter + 1 WHERE " SHARDS " AND l.state = 'active' AND $3 = ANY (l.ended_by)";
static const char raise_sql[] = LEAT_TOLD(
    "UPDATE leat.leases l SET lease_counter = l.lease_counter + 1 WHERE l.application = $1 AND "
    "l.stream_id = $2 AND $3 IS NOT NULL AND l.state = 'active' AND l.lease_owner IS NOT NULL AND "
    "l.shard IN (WITH RECURSIVE edges AS MATERIALIZED (SELECT c.shard, q.parent FROM leat.leases c,"
    " unnest(c.parents) AS q (parent) WHERE c.application = $1 AND c.stream_id = $2), "
    "below (shard) AS (SELECT unnest($4::text[]) COLLATE \"C\" UNION SELECT e.shard FROM edges e "
    "JOIN below b ON "
    "b.shard = e.parent) SELECT shard FROM below)",
    "'operator'");

int
leat_rows_rewound(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                  struct leat_rewound *rewound, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    struct leat_buf shards;
    size_t not_ended = 0;
    int status = leat_pg_script(connection, "BEGIN", err);

    rewound->reopened = rewound->raised = 0;
    leat_buf_init(&shards, SIZE_MAX);
    leat_pg_array_begin(&shards, LEAT_PG_TEXT, rewound->shard_count);
    for (size_t i = 0; i < rewound->shard_count; i++)
        leat_pg_array_bytes(&shards, leat_slice_from(rewound->shards[i]));
    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, rewound->stream_id);
    leat_pg_add_text(&parameters, rewound->processor);
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &shards);
    if (status == 0)
        status = leat_rows_run(connection, reopen_sql, &parameters, &rewound->reopened, err);
    if (status == 0)
        status = leat_rows_run(connection, not_ended_sql, &parameters, &not_ended, err);
    if (status == 0 && rewound->is_first)
        status = leat_rows_run(connection, raise_sql, &parameters, &rewound->raised, err);
    leat_buf_release(&shards);
    return leat_rows_finish(connection, context, status,
                            rewound->reopened + not_ended + rewound->raised > 0, err);
}
