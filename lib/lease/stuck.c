/*
 * What the watchdog of the pipeline asks of leases: which shards stand still, said in this worker's row; and a lease given away.
 *
 * Stories it survives. (1) A shard that stands still wherever it is: its lease is not thrown to and fro. How often it was given
 * away stands in its row, and each time doubles how long the next owner must keep it; long calm forgets it. (2) The one who is to
 * have it dies before it is handed over, or never takes it: it is a handoff like any other, finished or taken back by any pass
 * (docs/protocol.md §2). (3) This worker comes back as a new incarnation: what stands still is said again.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "lease/inside.h"
#include "lease/rows_inside.h"

/* ---- which shards stand still --------------------------------------------------------------------- */

void
leat_lease_say_stuck(struct leat_lease_manager *manager, const char *json)
{
    leat_mutex_lock(&manager->lock);
    free(manager->stuck);
    manager->stuck = json != NULL ? leat_strdup(json) : NULL;
    manager->is_stuck_said = false;
    leat_mutex_unlock(&manager->lock);
    leat_manager_wake(manager);
}

void
leat_manager_forget_said(struct leat_lease_manager *manager)
{
    leat_mutex_lock(&manager->lock);
    manager->is_stuck_said = manager->stuck == NULL;
    leat_mutex_unlock(&manager->lock);
}

static int
write_stuck(struct leat_lease_manager *manager, const char *json, struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, &manager->rows);
    leat_pg_add_text(&parameters, manager->worker_id);
    leat_pg_add_int8(&parameters, manager->incarnation);
    leat_pg_add_text(&parameters, json);
    return leat_rows_run(manager->connection,
                         "UPDATE leat.workers SET stuck = $4::jsonb WHERE application = $1 AND "
                         "worker_id = $2 AND incarnation = $3",
                         &parameters, NULL, err);
}

int
leat_manager_say_stuck(struct leat_lease_manager *manager, struct leat_error *err)
{
    char *json = NULL;
    bool is_said;
    int status;

    leat_mutex_lock(&manager->lock);
    is_said = manager->is_stuck_said;
    manager->is_stuck_said = true;
    if (!is_said && manager->stuck != NULL)
        json = leat_strdup(manager->stuck);
    leat_mutex_unlock(&manager->lock);
    if (is_said)
        return 0;
    status = write_stuck(manager, json, err);
    free(json);
    if (status != 0) {
        leat_mutex_lock(&manager->lock);
        manager->is_stuck_said = false;
        leat_mutex_unlock(&manager->lock);
    }
    return status;
}

/* ---- a lease is given away -------------------------------------------------------------------------- */

int
leat_rows_give_away(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                    struct leat_lease_key key, int64_t incarnation, int64_t keep_us,
                    struct leat_error *err)
{
    /* To another one with room, who lacks least of what the stream needs and holds least for its weight. It must be kept for
       keep × 2^times after it was given away the last time, and is a new case after four times that. */
    static const char sql[] =
        "WITH held AS MATERIALIZED (SELECT l.lease_owner, count(*) AS leases FROM leat.leases l "
        "WHERE l.application = $1 AND l.state = 'active' GROUP BY l.lease_owner), "
        "lacks AS MATERIALIZED (SELECT o.runs, count(*) AS lacking, bool_or(k.of_active = 1) OR "
        "count(*) = max(k.of_active) AS is_all FROM leat.lacking k JOIN leat.workers o ON "
        "o.application = k.application AND o.incarnation = k.kind WHERE k.application = $1 AND "
        "k.stream_id = $2 GROUP BY o.runs), "
        "heir AS (SELECT w.incarnation FROM leat.workers w LEFT JOIN held h ON h.lease_owner = "
        "w.incarnation LEFT JOIN lacks k ON k.runs = w.runs WHERE w.application = $1 AND w.state = "
        "'alive' AND w.incarnation <> $4 AND NOT coalesce(k.is_all, false) AND (w.max_leases = 0 "
        "OR coalesce(h.leases, 0) < w.max_leases) ORDER BY coalesce(k.lacking, 0), "
        "coalesce(h.leases, 0) / w.weight, w.incarnation LIMIT 1), "
        "free AS MATERIALIZED (SELECT FROM leat.leases o WHERE o.application = $1 AND o.stream_id "
        "= $2 "
        "AND o.shard = $3 FOR UPDATE NOWAIT) "
        "UPDATE leat.leases l SET next_owner = heir.incarnation, handoff_at = clock_timestamp(), "
        "given_up = CASE WHEN l.given_up_at > clock_timestamp() - 4 * (1 << l.given_up) * "
        "($5 * interval '1 us') THEN least(l.given_up + 1, 8) ELSE 1 END, "
        "given_up_at = clock_timestamp() FROM heir, free WHERE l.application = $1 AND l.stream_id "
        "= $2 "
        "AND l.shard = $3 AND l.state = 'active' AND l.lease_owner = $4 AND l.next_owner IS NULL "
        "AND (l.given_up_at IS NULL OR " LEAT_IS_PAST(
            "l.given_up_at", "(1 << l.given_up) * ($5 * interval '1 us')") ")";
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_slice(&parameters, key.stream_id);
    leat_pg_add_slice(&parameters, key.shard);
    leat_pg_add_int8(&parameters, incarnation);
    leat_pg_add_int8(&parameters, keep_us);
    return leat_rows_change(connection, context, sql, &parameters, NULL, err);
}
