/*
 * What a pass reads: leases without what only their owners need, who runs which build since when, what the shards cost, and
 * how it was shared out the last time. All of it may be old when the moves are made: their conditions see to that.
 */
#include "lease/loads.h"
#include "lease/rows_inside.h"
#include "postgres/array.h"

/* Loads of workers that ended lately still say what their leases cost. */
#define STILL_KNOWN "interval '1 minute'"

int
leat_rows_leases_to_plan(struct leat_pg_connection *connection,
                         const struct leat_rows_context *context, struct leat_lease_rows *rows,
                         struct leat_error *err)
{
    static const char sql[] =
        "SELECT stream_id, shard, coalesce(lease_owner, 0), coalesce(next_owner, 0), "
        "lease_counter, coalesce(last_worker_id, '') FROM leat.leases "
        "WHERE application = $1 AND state = 'active' ORDER BY stream_id, shard";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    if (status != 0)
        return status;
    leat_arena_reset(&rows->arena);
    rows->count = (size_t)PQntuples(result);
    rows->leases = leat_arena_alloc_zero(&rows->arena, rows->count + 1, sizeof *rows->leases);
    for (size_t i = 0; i < rows->count; i++) {
        struct leat_lease *lease = &rows->leases[i];
        int row = (int)i;

        lease->key.stream_id = leat_rows_text(&rows->arena, result, row, 0);
        lease->key.shard = leat_rows_text(&rows->arena, result, row, 1);
        lease->lease_owner = leat_pg_int8(PQgetvalue(result, row, 2));
        lease->next_owner = leat_pg_int8(PQgetvalue(result, row, 3));
        lease->lease_counter = leat_pg_int8(PQgetvalue(result, row, 4));
        lease->last_worker_id = leat_rows_text(&rows->arena, result, row, 5);
    }
    PQclear(result);
    return 0;
}

/* They are read by incarnation. */
static struct leat_worker *
find_worker(struct leat_worker_rows *workers, int64_t incarnation)
{
    size_t low = 0, high = workers->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (workers->rows[middle].worker.incarnation < incarnation)
            low = middle + 1;
        else
            high = middle;
    }
    return low < workers->count && workers->rows[low].worker.incarnation == incarnation
               ? &workers->rows[low].worker
               : NULL;
}

int
leat_rows_loads(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                struct leat_worker_rows *workers, struct leat_lease_rows *leases,
                struct leat_error *err)
{
    static const char sql[] =
        "SELECT incarnation, build, CASE WHEN started_at > clock_timestamp() THEN "
        "9223372036854775807 ELSE (extract(epoch FROM clock_timestamp() - started_at) * "
        "1000000)::int8 END, coalesce(loads, '') FROM leat.workers WHERE application = $1 AND "
        "(state <> 'dead' OR NOT " LEAT_IS_PAST("died_at", STILL_KNOWN) ")";
    struct leat_pg_parameters parameters;
    struct leat_worker_loads *loads;
    size_t count;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    if (status != 0)
        return status;
    count = (size_t)PQntuples(result);
    loads = leat_arena_alloc_zero(&workers->arena, count + 1, sizeof *loads);
    for (size_t i = 0; i < count; i++) {
        int row = (int)i;
        int64_t incarnation = leat_pg_int8(PQgetvalue(result, row, 0));
        struct leat_worker *worker = find_worker(workers, incarnation);

        loads[i].incarnation = incarnation;
        loads[i].bytes =
            leat_slice_make(PQgetvalue(result, row, 3), (size_t)PQgetlength(result, row, 3));
        if (worker == NULL)
            continue;
        worker->build = leat_rows_text(&workers->arena, result, row, 1);
        worker->age_us = leat_pg_int8(PQgetvalue(result, row, 2));
    }
    leat_loads_apply(loads, count, leases->leases, leases->count);
    PQclear(result);
    return 0;
}

int
leat_rows_balance(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                  struct leat_balance *ret_balance, struct leat_error *err)
{
    static const char sql[] =
        "SELECT balanced_members, balanced_leases, rebalances::int8, CASE WHEN rebalanced_at <= "
        "clock_timestamp() THEN (extract(epoch FROM clock_timestamp() - rebalanced_at) * "
        "1000000)::int8 ELSE 9223372036854775807 END "
        "FROM leat.applications WHERE application = $1";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    if (status != 0)
        return status;
    *ret_balance = (struct leat_balance){0};
    if (PQntuples(result) == 1)
        *ret_balance = (struct leat_balance){
            .members = leat_pg_int8(PQgetvalue(result, 0, 0)),
            .leases = leat_pg_int8(PQgetvalue(result, 0, 1)),
            .repeats = (uint32_t)leat_pg_int8(PQgetvalue(result, 0, 2)),
            .age_us = leat_pg_int8(PQgetvalue(result, 0, 3)),
        };
    PQclear(result);
    return 0;
}

int
leat_rows_keep_balance(struct leat_pg_connection *connection,
                       const struct leat_rows_context *context,
                       const struct leat_assign_output *plan, struct leat_error *err)
{
    static const char sql[] =
        "UPDATE leat.applications SET balanced_members = $2, balanced_leases = $3, rebalances = "
        "$4, rebalanced_at = CASE WHEN $5 = 1 THEN clock_timestamp() ELSE rebalanced_at END "
        "WHERE application = $1 AND ($5 = 1 OR (balanced_members, balanced_leases, rebalances) IS "
        "DISTINCT FROM ($2, $3, $4))";
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_int8(&parameters, plan->balance.members);
    leat_pg_add_int8(&parameters, plan->balance.leases);
    leat_pg_add_int8(&parameters, plan->balance.repeats);
    leat_pg_add_int8(&parameters, plan->is_for_load);
    return leat_rows_run(connection, sql, &parameters, NULL, err);
}
