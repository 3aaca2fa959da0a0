/*
 * Statements about streams: see rows_streams.h.
 *
 * Stories it survives. (1) A hundred workers start together: each asks for the claim, one gets it, and what it stored is fresh for
 * the others. (2) The claimer dies or hangs: its claim is another's at once, or after two minutes; two who look do the same twice, and
 * the second changes nothing. (3) A stream is marked as gone while another worker makes leases of it: both lock the stream's row,
 * so either they end here, or he finds that it is gone.
 */
#include "lease/rows_streams.h"

#include <stdlib.h>

#include "base/memory.h"
#include "lease/rows_inside.h"
#include "postgres/array.h"
#include "postgres/sqlstate.h"

#define CLAIM_LIFE "interval '2 min'"
#define IS_FREE(by, at)                                                                            \
    "(" by " IS NULL OR " by                                                                       \
    " = $2 OR " LEAT_IS_PAST(at, CLAIM_LIFE) " OR NOT EXISTS (SELECT FROM leat.workers w WHERE "   \
                                             "w.application = $1 AND w.incarnation = " by          \
                                             " AND w.state <> 'dead'))"

/* What does not fit was written by nobody of us, and is not cut. */
static int
copy_text(const PGresult *result, int row, int column, char *out, size_t room,
          struct leat_error *err)
{
    const char *text = PQgetvalue(result, row, column);

    if (strlen(text) >= room)
        return leat_error_set(err, LEAT_E_FORMAT,
                              "leat.streams has a %s of %zu bytes (\"%.40s…\"): at most %zu are "
                              "allowed; delete that row",
                              PQfname(result, column), strlen(text), text, room - 1);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int
copy_facts(const PGresult *result, int row, struct leat_source_facts *facts, struct leat_error *err)
{
    int status = copy_text(result, row, 1, facts->stream_id, sizeof facts->stream_id, err);

    if (status == 0)
        status = copy_text(result, row, 2, facts->name, sizeof facts->name, err);
    if (status == 0)
        status = copy_text(result, row, 3, facts->arn, sizeof facts->arn, err);
    return status;
}

static enum leat_stream_state
state_of(const char *text)
{
    return text[0] == 'a'   ? LEAT_STREAM_ACTIVE
           : text[0] == 'g' ? LEAT_STREAM_GONE
                            : LEAT_STREAM_STOPPED;
}

int
leat_rows_streams(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                  struct leat_stream_rows *ret_rows, struct leat_error *err)
{
    static const char sql[] =
        "SELECT a.assignment_version, s.stream_id, s.name, s.arn, s.retention_ms, "
        "coalesce((extract(epoch FROM s.created_at) * 1000000)::int8, 0), s.state "
        "FROM leat.applications a LEFT JOIN leat.streams s USING (application) "
        "WHERE a.application = $1 ORDER BY s.stream_id";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status, count;

    leat_rows_begin(&parameters, context);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    if (status != 0)
        return status;
    count = PQntuples(result);
    *ret_rows =
        (struct leat_stream_rows){.rows = LEAT_NEW_ARRAY(struct leat_stream_row, count + 1)};
    for (int i = 0; i < count && status == 0; i++) {
        struct leat_stream_row *row = &ret_rows->rows[ret_rows->count];

        ret_rows->version = leat_pg_int8(PQgetvalue(result, i, 0));
        if (PQgetisnull(result, i, 1))
            continue;
        status = copy_facts(result, i, &row->facts, err);
        row->facts.retention_ms = leat_pg_int8(PQgetvalue(result, i, 4));
        row->facts.created_us = leat_pg_int8(PQgetvalue(result, i, 5));
        row->state = state_of(PQgetvalue(result, i, 6));
        ret_rows->count++;
    }
    PQclear(result);
    if (status != 0) {
        free(ret_rows->rows);
        *ret_rows = (struct leat_stream_rows){0};
    }
    return status;
}

/* ---- claims ---------------------------------------------------------------------------------- */

/* $1 application, $2 incarnation, $3 age in µs, $4 names, $5 those that are forced. The buffers live until it was sent. */
static void
add_claim(struct leat_pg_parameters *parameters, const struct leat_rows_context *context,
          const struct leat_claim *claim, struct leat_buf arrays[2])
{
    size_t forced = 0;

    for (size_t i = 0; claim->is_forced != NULL && i < claim->count; i++)
        forced += claim->is_forced[i];
    leat_buf_init(&arrays[0], SIZE_MAX);
    leat_buf_init(&arrays[1], SIZE_MAX);
    leat_pg_array_begin(&arrays[0], LEAT_PG_TEXT, claim->count);
    leat_pg_array_begin(&arrays[1], LEAT_PG_TEXT, forced);
    for (size_t i = 0; i < claim->count; i++) {
        leat_pg_array_bytes(&arrays[0], leat_slice_from(claim->names[i]));
        if (claim->is_forced != NULL && claim->is_forced[i])
            leat_pg_array_bytes(&arrays[1], leat_slice_from(claim->names[i]));
    }
    leat_rows_begin(parameters, context);
    leat_pg_add_int8(parameters, claim->incarnation);
    leat_pg_add_int8(parameters, claim->age_us);
    leat_pg_add_array(parameters, LEAT_PG_TEXT_ARRAY, &arrays[0]);
    leat_pg_add_array(parameters, LEAT_PG_TEXT_ARRAY, &arrays[1]);
}

static int
run_claim(struct leat_pg_connection *connection, const struct leat_rows_context *context,
          const char *sql, const struct leat_claim *claim, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    struct leat_buf arrays[2];
    PGresult *result;
    int status;

    memset(claim->is_ours, 0, claim->count * sizeof *claim->is_ours);
    add_claim(&parameters, context, claim, arrays);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    leat_buf_release(&arrays[0]);
    leat_buf_release(&arrays[1]);
    if (status != 0)
        return status;
    for (int row = 0; row < PQntuples(result); row++) {
        for (size_t i = 0; i < claim->count; i++)
            claim->is_ours[i] = claim->is_ours[i] ||
                                strcmp(claim->names[i], PQgetvalue(result, row, 0)) == 0;
    }
    PQclear(result);
    return 0;
}

int
leat_rows_claim_looks(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, const struct leat_claim *claim,
                      struct leat_error *err)
{
    static const char sql[] =
        "INSERT INTO leat.stream_specs AS s (application, spec, look_by, look_at) "
        "SELECT $1, u.spec, $2, clock_timestamp() FROM unnest($4::text[]) AS u (spec) ORDER BY "
        "u.spec COLLATE \"C\" ON CONFLICT (application, spec) DO UPDATE SET look_by = "
        "excluded.look_by, look_at = clock_timestamp() "
        "WHERE (s.looked_at IS NULL OR " LEAT_IS_PAST(
            "s.looked_at", "$3 * interval '1 us'") " OR "
                                                   "s.spec = ANY ($5::text[])) AND " IS_FREE(
                                                       "s.look_by",
                                                       "s.look_at") " RETURNING s.spec";

    return run_claim(connection, context, sql, claim, err);
}

int
leat_rows_claim_syncs(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, const struct leat_claim *claim,
                      struct leat_error *err)
{
    /* Who is at it holds the row: he is not waited for. */
    static const char sql[] =
        "WITH due AS MATERIALIZED (SELECT s.stream_id FROM leat.streams s WHERE s.application = $1 "
        "AND s.stream_id = ANY ($4::text[]) AND s.state = 'active' AND (s.synced_at IS NULL "
        "OR " LEAT_IS_PAST(
            "s.synced_at",
            "$3 * interval '1 us'") " OR s.stream_id = ANY "
                                    "($5::text[])) AND " IS_FREE(
                                        "s.sync_by",
                                        "s.sync_at") " ORDER BY s.stream_id FOR UPDATE SKIP "
                                                     "LOCKED) "
                                                     "UPDATE leat.streams s SET sync_by = $2, "
                                                     "sync_at "
                                                     "= clock_timestamp() FROM due "
                                                     "WHERE s.application = $1 AND s.stream_id = "
                                                     "due.stream_id RETURNING s.stream_id";

    return run_claim(connection, context, sql, claim, err);
}

int
leat_rows_synced(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 const char *stream_id, int64_t incarnation, struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, stream_id);
    leat_pg_add_int8(&parameters, incarnation);
    return leat_rows_run(connection,
                         "UPDATE leat.streams SET synced_at = clock_timestamp(), sync_by = CASE "
                         "WHEN sync_by = $3 THEN NULL ELSE sync_by END WHERE application = $1 AND "
                         "stream_id = $2",
                         &parameters, NULL, err);
}

int
leat_rows_unclaim(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                  int64_t incarnation, struct leat_error *err)
{
    static const char sql[] =
        "WITH looks AS (UPDATE leat.stream_specs SET look_by = NULL WHERE application = $1 AND "
        "look_by = $2) UPDATE leat.streams s SET sync_by = NULL FROM (SELECT o.stream_id FROM "
        "leat.streams o WHERE o.application = $1 AND o.sync_by = $2 ORDER BY o.stream_id FOR "
        "UPDATE "
        "SKIP LOCKED) k WHERE s.application = $1 AND s.stream_id = k.stream_id";
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_int8(&parameters, incarnation);
    return leat_rows_run(connection, sql, &parameters, NULL, err);
}

/* Never, and a time that is yet to come, are as long ago as can be. */
#define KNOWN_AT(at) "CASE WHEN " at " <= clock_timestamp() THEN " at " ELSE 'epoch' END"

int
leat_rows_due(struct leat_pg_connection *connection, const struct leat_rows_context *context,
              const struct leat_claim *specs, int64_t *ret_wait_us, struct leat_error *err)
{
    static const char sql[] =
        "SELECT coalesce(greatest(0, $3 + (extract(epoch FROM min(d.at) - clock_timestamp()) * "
        "1000000)::int8), $3) FROM (SELECT " KNOWN_AT(
            "s.looked_at") " AS at FROM "
                           "leat.stream_specs s WHERE s.application = $1 AND s.spec = ANY "
                           "($4::text[]) UNION ALL "
                           "SELECT " KNOWN_AT(
                               "s.synced_at") " FROM leat.streams s WHERE s.application = $1 AND "
                                              "s.state = 'active' AND s.stream_id = ANY "
                                              "($4::text[]) AND $2::int8 IS NOT NULL AND "
                                              "$5::text[] IS NOT NULL) d";
    struct leat_pg_parameters parameters;
    struct leat_buf arrays[2];
    PGresult *result;
    int status;

    add_claim(&parameters, context, specs, arrays);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    leat_buf_release(&arrays[0]);
    leat_buf_release(&arrays[1]);
    if (status != 0)
        return status;
    *ret_wait_us = leat_pg_int8(PQgetvalue(result, 0, 0));
    PQclear(result);
    return 0;
}

int
leat_rows_has_looked(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const char *spec, int64_t age_us, bool *ret_has, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    size_t rows = 0;
    int status;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, spec);
    leat_pg_add_int8(&parameters, age_us);
    status = leat_rows_run(connection,
                           "SELECT 1 FROM leat.stream_specs WHERE application = $1 AND spec = $2 "
                           "AND looked_at >= look_at AND looked_at <= clock_timestamp() AND "
                           "look_at > clock_timestamp() - $3 * interval '1 us'",
                           &parameters, &rows, err);
    *ret_has = rows > 0;
    return status;
}

/* ---- what was found -------------------------------------------------------------------------- */

static int
store_change(struct leat_pg_connection *connection, const struct leat_rows_context *context,
             const struct leat_stream_row *row, struct leat_error *err)
{
    static const char *const states[] = {"active", "gone", "stopped"};
    static const char sql[] =
        "INSERT INTO leat.streams AS s (application, stream_id, name, arn, retention_ms, "
        "created_at, state, gone_at) VALUES ($1, $2, $3, $4, $5, to_timestamp($6 / 1000000.0), "
        "$7, CASE WHEN $7 = 'gone' THEN clock_timestamp() END) "
        "ON CONFLICT (application, stream_id) DO UPDATE SET retention_ms = excluded.retention_ms, "
        "created_at = excluded.created_at, state = excluded.state, gone_at = excluded.gone_at, "
        "synced_at = CASE WHEN s.state = excluded.state THEN s.synced_at END";
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_text(&parameters, row->facts.stream_id);
    leat_pg_add_text(&parameters, row->facts.name);
    leat_pg_add_text(&parameters, row->facts.arn);
    leat_pg_add_int8(&parameters, row->facts.retention_ms);
    leat_pg_add_int8(&parameters, row->facts.created_us);
    leat_pg_add_text(&parameters, states[row->state]);
    return leat_rows_run(connection, sql, &parameters, NULL, err);
}

static int
end_gone(struct leat_pg_connection *connection, const struct leat_rows_context *context,
         size_t *ret_ended, struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    return leat_rows_run(
        connection,
        LEAT_TOLD(
            "UPDATE leat.leases l SET state = 'ended', lease_owner = NULL, next_owner = NULL, "
            "handoff_at = NULL, lease_counter = l.lease_counter + 1 FROM (SELECT o.stream_id, "
            "o.shard FROM leat.leases o JOIN leat.streams s USING (application, stream_id) WHERE "
            "o.application = $1 AND s.state = 'gone' AND o.state = 'active' AND NOT EXISTS (SELECT "
            "FROM "
            "leat.workers w WHERE w.application = o.application AND w.incarnation = o.lease_owner "
            "AND w.state <> 'dead') ORDER BY 1, 2 FOR UPDATE OF o SKIP LOCKED) k WHERE "
            "l.application = $1 AND l.stream_id = k.stream_id AND "
            "l.shard = k.shard AND l.state = 'active' AND NOT EXISTS (SELECT FROM "
            "leat.workers w WHERE w.application = l.application AND w.incarnation = l.lease_owner "
            "AND w.state <> 'dead')",
            "'stream gone'"),
        &parameters, ret_ended, err);
}

static int
store_done(struct leat_pg_connection *connection, const struct leat_rows_context *context,
           const struct leat_claim *done, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    struct leat_buf arrays[2];
    int status;

    add_claim(&parameters, context, done, arrays);
    status = leat_rows_run(connection,
                           "UPDATE leat.stream_specs SET looked_at = clock_timestamp(), look_by = "
                           "NULL WHERE application = $1 AND look_by = $2 AND spec = ANY "
                           "($4::text[]) AND $3 >= 0 AND $5::text[] IS NOT NULL",
                           &parameters, NULL, err);
    leat_buf_release(&arrays[0]);
    leat_buf_release(&arrays[1]);
    return status;
}

/* One whose row somebody's transaction holds is left to the next look: it alone, and its spec stays due. */
static int
store_change_alone(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                   struct leat_stream_change *change, struct leat_error *err)
{
    struct leat_error why = {0};
    int status = leat_pg_script(connection, "SAVEPOINT change", err);

    if (status != 0)
        return status;
    status = store_change(connection, context, &change->row, &why);
    if (status == 0)
        return leat_pg_script(connection, "RELEASE SAVEPOINT change", err);
    if (strcmp(why.sqlstate, LEAT_SQLSTATE_LOCKED) != 0 || leat_pg_is_broken(connection)) {
        if (err != NULL)
            *err = why;
        return status;
    }
    change->is_left = true;
    return leat_pg_script(connection, "ROLLBACK TO SAVEPOINT change", err);
}

int
leat_rows_looked(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 struct leat_stream_change *changes, size_t count, const struct leat_claim *done,
                 struct leat_error *err)
{
    size_t ended = 0, left = 0;
    int status = leat_pg_script(connection, "BEGIN", err);

    for (size_t i = 0; i < count && status == 0; i++) {
        status = store_change_alone(connection, context, &changes[i], err);
        left += changes[i].is_left;
    }
    if (status == 0 && count > left)
        status = end_gone(connection, context, &ended, err);
    if (status == 0 && left == 0)
        status = store_done(connection, context, done, err);
    return leat_rows_finish(connection, context, status, count > left, err);
}

int
leat_rows_end_gone(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                   struct leat_error *err)
{
    size_t ended = 0;
    int status = leat_pg_script(connection, "BEGIN", err);

    if (status == 0)
        status = end_gone(connection, context, &ended, err);
    return leat_rows_finish(connection, context, status, ended > 0, err);
}

int
leat_rows_end_gone_lease(struct leat_pg_connection *connection,
                         const struct leat_rows_context *context, struct leat_lease_key key,
                         int64_t incarnation, size_t *ret_ended, struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_slice(&parameters, key.stream_id);
    leat_pg_add_slice(&parameters, key.shard);
    leat_pg_add_int8(&parameters, incarnation);
    return leat_rows_change(
        connection, context,
        LEAT_TOLD(
            "UPDATE leat.leases l SET state = 'ended', lease_owner = NULL, next_owner = NULL, "
            "handoff_at = NULL, lease_counter = l.lease_counter + 1 FROM (SELECT FROM leat.leases "
            "o "
            "WHERE o.application = $1 AND o.stream_id = $2 AND o.shard = $3 FOR UPDATE SKIP "
            "LOCKED) "
            "free WHERE l.application = $1 AND "
            "l.stream_id = $2 AND l.shard = $3 AND l.lease_owner = $4 AND l.state = 'active' AND "
            "EXISTS (SELECT FROM leat.streams s WHERE s.application = l.application AND "
            "s.stream_id = l.stream_id AND s.state = 'gone')",
            "'stream gone'"),
        &parameters, ret_ended, err);
}
