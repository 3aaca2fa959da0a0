/*
 * Statements of workers, processors and streams. Every change of who may run what moves assignment_version, last in its
 * transaction, and with it at most one NOTIFY.
 */
#include "lease/rows.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/point.h"
#include "lease/rows_inside.h"
#include "postgres/array.h"

void
leat_rows_begin(struct leat_pg_parameters *parameters, const struct leat_rows_context *context)
{
    leat_pg_parameters_init(parameters);
    leat_pg_add_text(parameters, context->application);
}

int
leat_rows_run(struct leat_pg_connection *connection, const char *sql,
              const struct leat_pg_parameters *parameters, size_t *ret_rows, struct leat_error *err)
{
    PGresult *result;
    int status = leat_pg_execute(connection, sql, parameters, &result, err);

    if (status != 0)
        return status;
    if (ret_rows != NULL)
        *ret_rows = PQntuples(result) > 0 ? (size_t)PQntuples(result)
                                          : (size_t)strtoul(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return 0;
}

/* Moves the version and tells whoever listens; part of the transaction that changed something. */
int
leat_rows_moved(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    int status;

    leat_rows_begin(&parameters, context);
    status = leat_rows_run(connection,
                           "UPDATE leat.applications SET assignment_version = assignment_version + "
                           "1 WHERE application = $1",
                           &parameters, NULL, err);
    if (status == 0 && context->notify != NULL &&
        leat_notify_may(context->notify, leat_clock_monotonic_us()))
        status = leat_rows_run(connection, "SELECT pg_notify('leat', $1)", &parameters, NULL, err);
    return status;
}

int
leat_rows_notify_owed(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    if (context->notify == NULL ||
        !leat_notify_may_owed(context->notify, leat_clock_monotonic_us()))
        return 0;
    leat_rows_begin(&parameters, context);
    return leat_rows_run(connection, "SELECT pg_notify('leat', $1)", &parameters, NULL, err);
}

int
leat_rows_finish(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 int status, bool has_changed, struct leat_error *err)
{
    if (status == 0 && has_changed)
        status = leat_rows_moved(connection, context, err);
    if (has_changed)
        LEAT_POINT("lease.finish");
    if (status == 0)
        status = leat_pg_script(connection, "COMMIT", err);
    if (status != 0 && !leat_pg_is_broken(connection))
        leat_pg_script(connection, "ROLLBACK", NULL);
    return status;
}

/* A change and its version in one transaction; nothing changed: nothing moves. */
int
leat_rows_change(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 const char *sql, const struct leat_pg_parameters *parameters, size_t *ret_rows,
                 struct leat_error *err)
{
    size_t rows = 0;
    int status = leat_pg_script(connection, "BEGIN", err);

    if (status == 0)
        status = leat_rows_run(connection, sql, parameters, &rows, err);
    status = leat_rows_finish(connection, context, status, rows > 0, err);
    if (status == 0 && ret_rows != NULL)
        *ret_rows = rows;
    return status;
}

/* ---- workers --------------------------------------------------------------------------------- */

static int
say_in_use(struct leat_pg_connection *connection, const struct leat_rows_context *context,
           int64_t *ret_heartbeat_us, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, context->worker_id);
    if (leat_pg_execute(connection,
                        "SELECT host, pid::text, to_char(started_at AT TIME ZONE 'UTC', "
                        "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), "
                        "(extract(epoch FROM heartbeat_at) * 1000000)::int8 FROM leat.workers "
                        "WHERE application = $1 AND worker_id = $2",
                        &parameters, &result, err) != 0)
        return err->code;
    if (PQntuples(result) == 1)
        *ret_heartbeat_us = leat_pg_int8(PQgetvalue(result, 0, 3));
    if (PQntuples(result) == 1)
        leat_error_set(err, LEAT_E_CONFLICT,
                       "worker id \"%s\" is in use: it runs on host %s as process %s since %s; "
                       "give each worker an id of its own",
                       context->worker_id, PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1),
                       PQgetvalue(result, 0, 2));
    else
        leat_error_set(err, LEAT_E_CONFLICT, "worker id \"%s\" was in use", context->worker_id);
    PQclear(result);
    return LEAT_E_CONFLICT;
}

int
leat_rows_register(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                   struct leat_registration *registration, struct leat_error *err)
{
    static const char sql[] =
        "INSERT INTO leat.workers AS workers (application, worker_id, incarnation, state, "
        "heartbeat_at, expires_at, session_key, "
        "host, pid, build, weight, max_leases, runs) "
        "VALUES ($1, $2, $3, 'alive', clock_timestamp(), clock_timestamp() + $4 * interval '1 us', "
        "nullif($5, 0), "
        "$6, $7, $8, $9::float8, $10, $11::jsonb) "
        "ON CONFLICT (application, worker_id) DO UPDATE SET incarnation = excluded.incarnation, "
        "state = CASE WHEN $12 = 1 AND workers.drained_at IS NOT NULL THEN 'leaving' ELSE 'alive' "
        "END, "
        "drained_at = CASE WHEN $12 = 1 THEN workers.drained_at END, "
        "heartbeat_at = excluded.heartbeat_at, expires_at = excluded.expires_at, session_key = "
        "excluded.session_key, "
        "host = excluded.host, pid = excluded.pid, build = excluded.build, weight = "
        "excluded.weight, "
        "max_leases = excluded.max_leases, runs = excluded.runs, stuck = NULL, started_at = "
        "clock_timestamp(), died_at = NULL "
        "WHERE workers.state = 'dead' OR workers.expires_at < clock_timestamp() OR (extract(epoch "
        "FROM workers.heartbeat_at) * 1000000)::int8 = $13 "
        "OR pg_try_advisory_xact_lock_shared(workers.session_key) RETURNING 1";
    struct leat_pg_parameters parameters;
    char weight[32];
    size_t rows = 0;
    int status;

    snprintf(weight, sizeof weight, "%.9g", registration->weight);
    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, context->worker_id);
    leat_pg_add_int8(&parameters, registration->incarnation);
    leat_pg_add_int8(&parameters, context->expiry_us);
    leat_pg_add_int8(&parameters, registration->session_key);
    leat_pg_add_text(&parameters, registration->host);
    leat_pg_add_int8(&parameters, registration->pid);
    leat_pg_add_text(&parameters, registration->build);
    leat_pg_add_text(&parameters, weight);
    leat_pg_add_int8(&parameters, registration->max_leases);
    leat_pg_add_text(&parameters, registration->runs);
    leat_pg_add_int8(&parameters, registration->is_return);
    leat_pg_add_int8(&parameters, registration->heartbeat_us);
    status = leat_rows_change(connection, context, sql, &parameters, &rows, err);
    if (status != 0)
        return status;
    return rows == 1 ? 0 : say_in_use(connection, context, &registration->heartbeat_us, err);
}

int
leat_rows_heartbeat(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                    int64_t incarnation, int64_t session_key, const struct leat_buf *loads,
                    struct leat_heartbeat_answer *ret_answer, struct leat_error *err)
{
    static const char sql[] =
        "UPDATE leat.workers w SET heartbeat_at = clock_timestamp(), "
        "expires_at = clock_timestamp() + $4 * interval '1 us', session_key = CASE WHEN $5 = -1 "
        "THEN w.session_key ELSE nullif($5, 0) END, "
        "loads = CASE WHEN $6::bytea IS NULL THEN w.loads ELSE nullif($6, '') END "
        "WHERE application = $1 AND worker_id = $2 AND incarnation = $3 AND state <> 'dead' "
        "RETURNING (SELECT assignment_version FROM leat.applications a WHERE a.application = "
        "w.application), drained_at IS NOT NULL, (SELECT (extract(epoch FROM report_wanted_at) * "
        "1000000)::int8 FROM leat.applications a WHERE a.application = w.application)";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, context->worker_id);
    leat_pg_add_int8(&parameters, incarnation);
    leat_pg_add_int8(&parameters, context->expiry_us);
    leat_pg_add_int8(&parameters, session_key);
    if (loads != NULL)
        leat_pg_add_array(&parameters, LEAT_PG_BYTEA, loads);
    else
        leat_pg_add_null(&parameters, LEAT_PG_BYTEA);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    if (status != 0)
        return status;
    ret_answer->is_dead = PQntuples(result) == 0;
    if (!ret_answer->is_dead) {
        if (!PQgetisnull(result, 0, 0))
            ret_answer->version = leat_pg_int8(PQgetvalue(result, 0, 0));
        ret_answer->is_drained = PQgetvalue(result, 0, 1)[0] != 0;
        ret_answer->report_wanted_us =
            PQgetisnull(result, 0, 2) ? 0 : leat_pg_int8(PQgetvalue(result, 0, 2));
    }
    PQclear(result);
    return 0;
}

int
leat_rows_report(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 int64_t incarnation, struct leat_slice report, struct leat_error *err)
{
    static const char sql[] =
        "INSERT INTO leat.reports (application, worker_id, incarnation, reported_at, report) "
        "SELECT application, worker_id, incarnation, clock_timestamp(), $4::json FROM leat.workers "
        "WHERE application = $1 AND worker_id = $2 AND incarnation = $3 ON CONFLICT (application, "
        "worker_id) DO UPDATE SET incarnation = excluded.incarnation, reported_at = "
        "excluded.reported_at, report = excluded.report";
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, context->worker_id);
    leat_pg_add_int8(&parameters, incarnation);
    leat_pg_add_slice(&parameters, report);
    return leat_rows_run(connection, sql, &parameters, NULL, err);
}

void
leat_worker_rows_init(struct leat_worker_rows *rows)
{
    *rows = (struct leat_worker_rows){0};
    leat_arena_init(&rows->arena);
}

void
leat_worker_rows_release(struct leat_worker_rows *rows)
{
    leat_arena_release(&rows->arena);
}

struct leat_slice
leat_rows_text(struct leat_arena *arena, const PGresult *result, int row, int column)
{
    return leat_arena_copy(arena, leat_slice_make(PQgetvalue(result, row, column),
                                                  (size_t)PQgetlength(result, row, column)));
}

static struct leat_worker_row
worker_from(struct leat_arena *arena, const PGresult *result, int row)
{
    bool is_leaving = PQgetvalue(result, row, 6)[0] != 0;

    return (struct leat_worker_row){
        .worker = {.worker_id = leat_rows_text(arena, result, row, 0),
                   .incarnation = leat_pg_int8(PQgetvalue(result, row, 1)),
                   .state = is_leaving ? LEAT_WORKER_LEAVING : LEAT_WORKER_ALIVE,
                   .weight = (double)leat_pg_int8(PQgetvalue(result, row, 7)) / 1000,
                   .max_leases = (uint32_t)leat_pg_int8(PQgetvalue(result, row, 5))},
        .heartbeat_us = leat_pg_int8(PQgetvalue(result, row, 2)),
        .session_key = leat_pg_int8(PQgetvalue(result, row, 3)),
        .is_expired = PQgetvalue(result, row, 4)[0] != 0,
        .lease_us = leat_pg_int8(PQgetvalue(result, row, 8)),
    };
}

#define COLUMNS 9
#define LIVING(more)                                                                               \
    "SELECT worker_id, incarnation, (extract(epoch FROM heartbeat_at) * 1000000)::int8, "          \
    "coalesce(session_key, 0), expires_at < clock_timestamp(), max_leases::int8, state = "         \
    "'leaving', (weight * 1000)::int8, CASE WHEN isfinite(expires_at) THEN (extract(epoch FROM "   \
    "expires_at - heartbeat_at) * 1000000)::int8 ELSE 0 END " more                                 \
    " FROM leat.workers WHERE application = $1 AND state <> 'dead'"

static int
read_workers(struct leat_pg_connection *connection, const char *sql,
             const struct leat_pg_parameters *parameters, struct leat_worker_rows *rows,
             struct leat_error *err)
{
    PGresult *result;
    int status = leat_pg_execute(connection, sql, parameters, &result, err);

    if (status != 0)
        return status;
    leat_arena_reset(&rows->arena);
    rows->count = (size_t)PQntuples(result);
    rows->rows = leat_arena_alloc_zero(&rows->arena, rows->count + 1, sizeof *rows->rows);
    for (size_t i = 0; i < rows->count; i++)
        rows->rows[i] = worker_from(&rows->arena, result, (int)i);
    rows->version = PQnfields(result) > COLUMNS && rows->count > 0
                        ? leat_pg_int8(PQgetvalue(result, 0, COLUMNS))
                        : 0;
    PQclear(result);
    return 0;
}

int
leat_rows_workers(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                  struct leat_worker_rows *rows, struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    return read_workers(connection, LIVING("") " ORDER BY incarnation", &parameters, rows, err);
}

/* more than five: a statement, what goes in and what comes out. */
int
leat_rows_neighbours(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const struct leat_slice *ids, size_t count, struct leat_worker_rows *rows,
                     struct leat_error *err)
{
    static const char sql[] = LIVING(", (SELECT assignment_version FROM leat.applications WHERE "
                                     "application = $1)") " "
                                                          "AND worker_id = ANY ($2)";
    struct leat_pg_parameters parameters;
    struct leat_buf array;
    int status;

    leat_buf_init(&array, SIZE_MAX);
    leat_pg_array_begin(&array, LEAT_PG_TEXT, count);
    for (size_t i = 0; i < count; i++)
        leat_pg_array_bytes(&array, ids[i]);
    leat_rows_begin(&parameters, context);
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &array);
    status = read_workers(connection, sql, &parameters, rows, err);
    leat_buf_release(&array);
    return status;
}

int
leat_rows_judge(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                const struct leat_sighting *silent, bool *ret_died, struct leat_error *err)
{
    /* Every probe is shared: it must not look like an owner to the next prober. */
    static const char sql[] =
        "UPDATE leat.workers SET state = 'dead', died_at = clock_timestamp() "
        "WHERE application = $1 AND worker_id = $2 AND incarnation = $3 AND state <> 'dead' "
        "AND (extract(epoch FROM heartbeat_at) * 1000000)::int8 = $4 "
        "AND (expires_at < clock_timestamp() OR $5 = 1 OR "
        "pg_try_advisory_xact_lock_shared(session_key)) RETURNING 1";
    struct leat_pg_parameters parameters;
    size_t rows = 0;
    int status;

    leat_rows_begin(&parameters, context);
    leat_pg_add_slice(&parameters, silent->worker_id);
    leat_pg_add_int8(&parameters, silent->incarnation);
    leat_pg_add_int8(&parameters, silent->heartbeat_us);
    leat_pg_add_int8(&parameters, silent->has_expired_here);
    status = leat_rows_change(connection, context, sql, &parameters, &rows, err);
    if (status == 0)
        *ret_died = rows > 0;
    return status;
}

/* ---- application, processors, streams -------------------------------------------------------- */

int
leat_rows_application(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    return leat_rows_run(
        connection,
        "INSERT INTO leat.applications (application) VALUES ($1) ON CONFLICT DO NOTHING",
        &parameters, NULL, err);
}

int
leat_rows_stream(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 const struct leat_source_facts *facts, struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, facts->stream_id);
    leat_pg_add_text(&parameters, facts->name);
    leat_pg_add_text(&parameters, facts->arn);
    leat_pg_add_int8(&parameters, facts->retention_ms);
    return leat_rows_run(connection,
                         "INSERT INTO leat.streams (application, stream_id, name, arn, "
                         "retention_ms) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                         &parameters, NULL, err);
}
