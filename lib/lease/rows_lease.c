/*
 * Statements of leases (docs/protocol.md §2). A plan's moves require the counter, the owner and the wish that the plan was made
 * on, so one made on an old reading changes nothing; what an owner does requires that it is the owner.
 *
 * A row that somebody's transaction holds (an operator's, in a psql that was left open) is stepped over where there are others,
 * and refused at once where it is the only one: it is moved when he is done, and nothing waits for it but itself.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "lease/rows_inside.h"
#include "postgres/array.h"

#define KEY "l.application = $1 AND l.stream_id = $2 AND l.shard = $3"
#define IS_ALIVE(who)                                                                              \
    "EXISTS (SELECT FROM leat.workers w WHERE w.application = l.application AND w.incarnation "    \
    "= " who " AND w.state = 'alive')"
#define IS_NOT_DEAD(who)                                                                           \
    "EXISTS (SELECT FROM leat.workers w WHERE w.application = l.application AND w.incarnation "    \
    "= " who " AND w.state <> 'dead')"

void
leat_lease_rows_init(struct leat_lease_rows *rows)
{
    *rows = (struct leat_lease_rows){0};
    leat_arena_init(&rows->arena);
}

void
leat_lease_rows_release(struct leat_lease_rows *rows)
{
    leat_arena_release(&rows->arena);
}

static int64_t
number_or_zero(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? 0 : leat_pg_int8(PQgetvalue(result, row, column));
}

static struct leat_lease
lease_from(struct leat_arena *arena, const PGresult *result, int row)
{
    struct leat_lease lease = {
        .key = {leat_rows_text(arena, result, row, 0), leat_rows_text(arena, result, row, 1)},
        .state = PQgetvalue(result, row, 2)[0] != 0 ? LEAT_LEASE_ENDED : LEAT_LEASE_ACTIVE,
        .lease_owner = number_or_zero(result, row, 3),
        .next_owner = number_or_zero(result, row, 4),
        .lease_counter = number_or_zero(result, row, 5),
        .last_worker_id = leat_rows_text(arena, result, row, 6),
        .starting_hash_key = leat_rows_text(arena, result, row, 7),
        .ending_hash_key = leat_rows_text(arena, result, row, 8),
        .has_children = PQgetvalue(result, row, 11)[0] != 0,
        .has_ended_for_some = PQgetvalue(result, row, 12)[0] != 0,
    };

    for (int p = 0; p < LEAT_SHARD_PARENTS; p++) {
        if (!PQgetisnull(result, row, 9 + p))
            lease.parents[lease.parent_count++] = leat_rows_text(arena, result, row, 9 + p);
    }
    return lease;
}

int
leat_rows_leases(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 int64_t owner, struct leat_lease_rows *rows, struct leat_error *err)
{
    /* Parents whose lease is there: one that never had a lease is not waited for. */
    static const char sql[] =
        "SELECT l.stream_id, l.shard, l.state = 'ended', l.lease_owner, l.next_owner, "
        "l.lease_counter, "
        "coalesce(l.last_worker_id, ''), l.starting_hash_key, l.ending_hash_key, "
        "(SELECT p.shard FROM leat.leases p WHERE p.application = l.application AND p.stream_id = "
        "l.stream_id "
        " AND p.shard = l.parents[1]), "
        "(SELECT p.shard FROM leat.leases p WHERE p.application = l.application AND p.stream_id = "
        "l.stream_id "
        " AND p.shard = l.parents[2]), l.children <> '{}', "
        "l.state = 'ended' OR l.ended_by <> '{}' "
        "FROM leat.leases l WHERE l.application = $1 AND ($2 = 0 OR (l.lease_owner = $2 AND "
        "l.state = 'active')) "
        "ORDER BY l.stream_id, l.shard";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    leat_pg_add_int8(&parameters, owner);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    if (status != 0)
        return status;
    leat_arena_reset(&rows->arena);
    rows->count = (size_t)PQntuples(result);
    rows->leases = leat_arena_alloc_zero(&rows->arena, rows->count + 1, sizeof *rows->leases);
    for (size_t i = 0; i < rows->count; i++)
        rows->leases[i] = lease_from(&rows->arena, result, (int)i);
    PQclear(result);
    return 0;
}

int
leat_rows_claim_pass(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     int64_t incarnation, bool *ret_is_ours, int64_t *ret_version,
                     struct leat_error *err)
{
    static const char sql[] =
        "UPDATE leat.applications a SET pass_by = $2, pass_at = clock_timestamp() WHERE "
        "application = $1 "
        "AND (pass_by IS NULL OR pass_by = $2 OR " LEAT_IS_PAST(
            "pass_at", "interval '1.5 s'") " "
                                           "OR NOT EXISTS (SELECT 1 FROM leat.workers w WHERE "
                                           "w.application = a.application AND "
                                           "w.incarnation = a.pass_by "
                                           "AND w.state = 'alive')) RETURNING assignment_version";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    leat_pg_add_int8(&parameters, incarnation);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    if (status != 0)
        return status;
    *ret_is_ours = PQntuples(result) == 1;
    if (*ret_is_ours)
        *ret_version = leat_pg_int8(PQgetvalue(result, 0, 0));
    PQclear(result);
    return 0;
}

/* Moves of one kind as arrays: streams, shards, counters, owners seen, new owners, new ids as $2 … $7. */
struct bound_moves {
    struct leat_buf columns[6];
    struct leat_pg_parameters parameters;
    size_t count;
};

static void
bind_moves(struct bound_moves *bound, const struct leat_rows_context *context,
           const struct leat_lease_rows *leases, const struct leat_worker_rows *workers,
           const struct leat_move *moves, size_t count, enum leat_move_kind kind)
{
    static const enum leat_pg_oid types[6] = {LEAT_PG_TEXT, LEAT_PG_TEXT, LEAT_PG_INT8,
                                              LEAT_PG_INT8, LEAT_PG_INT8, LEAT_PG_TEXT};

    bound->count = 0;
    for (size_t i = 0; i < count; i++)
        bound->count += moves[i].kind == kind;
    for (size_t c = 0; c < LEAT_COUNT_OF(types); c++) {
        leat_buf_init(&bound->columns[c], SIZE_MAX);
        leat_pg_array_begin(&bound->columns[c], types[c], bound->count);
    }
    for (size_t i = 0; i < count; i++) {
        const struct leat_lease *lease = &leases->leases[moves[i].lease];
        const struct leat_worker *to = kind != LEAT_MOVE_CANCEL ? &workers->rows[moves[i].to].worker
                                                                : NULL;

        if (moves[i].kind != kind)
            continue;
        leat_pg_array_bytes(&bound->columns[0], lease->key.stream_id);
        leat_pg_array_bytes(&bound->columns[1], lease->key.shard);
        leat_pg_array_int8(&bound->columns[2], lease->lease_counter);
        leat_pg_array_int8(&bound->columns[3], lease->lease_owner);
        leat_pg_array_int8(&bound->columns[4], to != NULL ? to->incarnation : lease->next_owner);
        leat_pg_array_bytes(&bound->columns[5], to != NULL ? to->worker_id : leat_slice_from(""));
    }
    leat_rows_begin(&bound->parameters, context);
    for (size_t c = 0; c < LEAT_COUNT_OF(types); c++)
        leat_pg_add_array(&bound->parameters, leat_pg_array_of(types[c]), &bound->columns[c]);
}

static void
release_moves(struct bound_moves *bound)
{
    for (size_t c = 0; c < LEAT_COUNT_OF(bound->columns); c++)
        leat_buf_release(&bound->columns[c]);
}

#define MOVES                                                                                      \
    "(SELECT u.* FROM unnest($2::text[], $3::text[], $4::int8[], $5::int8[], $6::int8[], "         \
    "$7::text[]) AS u (stream_id, shard, counter, seen, new, new_id) JOIN leat.leases o ON "       \
    "o.application = $1 AND o.stream_id = u.stream_id AND o.shard = u.shard ORDER BY "             \
    "o.stream_id, o.shard FOR UPDATE OF o SKIP LOCKED) AS m"
#define MOVES_KEY                                                                                  \
    "l.application = $1 AND l.stream_id = m.stream_id AND l.shard = m.shard AND l.state = "        \
    "'active' "                                                                                    \
    "AND l.lease_counter = m.counter AND coalesce(l.lease_owner, 0) = m.seen"

static const char *const move_sql[] = {
    [LEAT_MOVE_ASSIGN] =
        LEAT_TOLD("UPDATE leat.leases l SET lease_owner = m.new, next_owner = NULL, "
                  "handoff_at = NULL, last_worker_id = m.new_id, "
                  "lease_counter = l.lease_counter + 1 FROM " MOVES " WHERE " MOVES_KEY
                  " AND NOT " IS_NOT_DEAD("l.lease_owner") " AND " IS_ALIVE("m.new"),
                  "CASE WHEN from_worker IS NULL THEN 'assigned' ELSE 'dead owner' END"),
    [LEAT_MOVE_HANDOFF] =
        "UPDATE leat.leases l SET next_owner = m.new, handoff_at = clock_timestamp() FROM " MOVES
        " WHERE " MOVES_KEY " AND l.next_owner IS NULL AND " IS_ALIVE("m.new"),
    [LEAT_MOVE_CANCEL] = "UPDATE leat.leases l SET next_owner = NULL, handoff_at = NULL FROM " MOVES
                         " WHERE " MOVES_KEY " AND l.next_owner = m.new AND m.new_id = m.new_id",
};

int
leat_rows_move(struct leat_pg_connection *connection, const struct leat_rows_context *context,
               const struct leat_lease_rows *leases, const struct leat_worker_rows *workers,
               const struct leat_assign_output *plan, size_t *ret_moved, struct leat_error *err)
{
    static const enum leat_move_kind kinds[] = {LEAT_MOVE_CANCEL, LEAT_MOVE_ASSIGN,
                                                LEAT_MOVE_HANDOFF};
    size_t moved = 0;
    int status = leat_pg_script(connection, "BEGIN", err);

    for (size_t k = 0; k < LEAT_COUNT_OF(kinds) && status == 0; k++) {
        struct bound_moves bound;
        size_t rows = 0;

        bind_moves(&bound, context, leases, workers, plan->moves, plan->move_count, kinds[k]);
        if (bound.count > 0)
            status = leat_rows_run(connection, move_sql[kinds[k]], &bound.parameters, &rows, err);
        moved += rows;
        release_moves(&bound);
    }
    if (status == 0 && moved == plan->move_count)
        status = leat_rows_keep_balance(connection, context, plan, err);
    status = leat_rows_finish(connection, context, status, moved > 0, err);
    if (status == 0)
        *ret_moved = moved;
    return status;
}

#define IS_LATE(row)                                                                               \
    row ".next_owner IS NOT NULL AND " LEAT_IS_PAST(row ".handoff_at", "$2 * interval '1 us'")

int
leat_rows_force(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                int64_t force_after_us, size_t *ret_moved, struct leat_error *err)
{
    static const char sql[] = LEAT_TOLD(
        "UPDATE leat.leases l SET lease_owner = l.next_owner, next_owner = NULL, handoff_at = "
        "NULL, "
        "lease_counter = l.lease_counter + 1, last_worker_id = (SELECT w.worker_id FROM "
        "leat.workers w "
        "WHERE w.application = l.application AND w.incarnation = l.next_owner) "
        "FROM (SELECT o.stream_id, o.shard FROM leat.leases o WHERE o.application = $1 "
        "AND " IS_LATE("o") " ORDER BY 1, 2 FOR UPDATE SKIP LOCKED) k "
                            "WHERE l.application = $1 AND l.stream_id = k.stream_id AND l.shard = "
                            "k.shard AND " IS_LATE("l") " AND " IS_ALIVE("l.next_owner"),
        "'forced'");
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_int8(&parameters, force_after_us);
    return leat_rows_change(connection, context, sql, &parameters, ret_moved, err);
}

static void
begin_key(struct leat_pg_parameters *parameters, const struct leat_rows_context *context,
          struct leat_lease_key key)
{
    leat_rows_begin(parameters, context);
    leat_pg_add_slice(parameters, key.stream_id);
    leat_pg_add_slice(parameters, key.shard);
}

/* Moved are those of them that are free; what is told are those that are not, and still ours. */
static const char let_go_sql[] =
    "WITH k AS MATERIALIZED (SELECT * FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u "
    "(stream_id, shard, place)), free AS MATERIALIZED (SELECT o.stream_id, o.shard FROM "
    "leat.leases "
    "o JOIN k USING (stream_id, shard) WHERE o.application = $1 AND o.lease_owner = $4 ORDER BY "
    "1, 2 FOR UPDATE OF o SKIP LOCKED), "
    "moved AS (UPDATE leat.leases l SET lease_owner = CASE WHEN " IS_ALIVE(
        "l.next_owner") " THEN l.next_owner END, last_worker_id = coalesce((SELECT w.worker_id "
                        "FROM leat.workers w WHERE w.application = l.application AND "
                        "w.incarnation = l.next_owner AND w.state = 'alive'), l.last_worker_id), "
                        "next_owner = NULL, handoff_at = NULL, lease_counter = l.lease_counter + 1 "
                        "FROM free WHERE l.application = $1 AND l.stream_id = free.stream_id AND "
                        "l.shard = free.shard AND l.lease_owner = $4 RETURNING " LEAT_MOVED_ROW
                        "), " LEAT_TELL("CASE WHEN to_worker IS NULL THEN 'released' ELSE 'handed "
                                        "over' END",
                                        "true") ", busy AS (SELECT k.place - 1 AS place FROM "
                                                "leat.leases o JOIN k USING (stream_id, shard) "
                                                "WHERE o.application = $1 AND o.lease_owner = $4 "
                                                "AND NOT EXISTS (SELECT FROM free WHERE "
                                                "free.stream_id = k.stream_id AND free.shard = "
                                                "k.shard)) "
                                                "SELECT (SELECT count(*) FROM moved), place FROM "
                                                "busy RIGHT JOIN (SELECT 1) one ON true";

static int
let_go(struct leat_pg_connection *connection, const struct leat_pg_parameters *parameters,
       bool *ret_is_busy, bool *ret_has_moved, struct leat_error *err)
{
    PGresult *result;
    int status = leat_pg_execute(connection, let_go_sql, parameters, &result, err);

    if (status != 0)
        return status;
    *ret_has_moved = leat_pg_int8(PQgetvalue(result, 0, 0)) > 0;
    for (int row = 0; row < PQntuples(result); row++) {
        if (!PQgetisnull(result, row, 1))
            ret_is_busy[leat_pg_int8(PQgetvalue(result, row, 1))] = true;
    }
    PQclear(result);
    return 0;
}

int
leat_rows_let_go(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                 const struct leat_letting_go *leases, bool *ret_is_busy, struct leat_error *err)
{
    struct leat_buf columns[2];
    struct leat_pg_parameters parameters;
    bool has_moved = false;
    int status = leat_pg_script(connection, "BEGIN", err);

    leat_rows_begin(&parameters, context);
    for (size_t c = 0; c < LEAT_COUNT_OF(columns); c++) {
        leat_buf_init(&columns[c], SIZE_MAX);
        leat_pg_array_begin(&columns[c], LEAT_PG_TEXT, leases->count);
        for (size_t i = 0; i < leases->count; i++)
            leat_pg_array_bytes(&columns[c],
                                c == 0 ? leases->keys[i].stream_id : leases->keys[i].shard);
        leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &columns[c]);
    }
    leat_pg_add_int8(&parameters, leases->incarnation);
    memset(ret_is_busy, 0, leases->count * sizeof *ret_is_busy);
    if (status == 0)
        status = let_go(connection, &parameters, ret_is_busy, &has_moved, err);
    for (size_t c = 0; c < LEAT_COUNT_OF(columns); c++)
        leat_buf_release(&columns[c]);
    return leat_rows_finish(connection, context, status, has_moved, err);
}

int
leat_rows_set_leaving(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, int64_t incarnation,
                      struct leat_error *err)
{
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_int8(&parameters, incarnation);
    return leat_rows_run(connection,
                         "UPDATE leat.workers SET state = 'leaving', drained_at = NULL WHERE "
                         "application = $1 AND incarnation = $2 AND state <> 'dead'",
                         &parameters, NULL, err);
}

int
leat_rows_release_all(struct leat_pg_connection *connection,
                      const struct leat_rows_context *context, int64_t incarnation,
                      struct leat_error *err)
{
    static const char sql[] =
        "WITH gone AS (UPDATE leat.workers SET state = 'dead', died_at = clock_timestamp() "
        " WHERE application = $1 AND incarnation = $2 RETURNING 1), "
        "moved AS (UPDATE leat.leases l SET lease_owner = NULL, next_owner = NULL, handoff_at = "
        "NULL, lease_counter = l.lease_counter + 1 FROM (SELECT o.stream_id, o.shard FROM "
        "leat.leases o WHERE o.application = $1 AND o.lease_owner = $2 ORDER BY 1, 2 FOR UPDATE "
        "SKIP LOCKED) k WHERE l.application = $1 AND l.stream_id = k.stream_id AND l.shard = "
        "k.shard AND l.lease_owner = $2 RETURNING " LEAT_MOVED_ROW
        "), " LEAT_TELL("'released'", "true") ", "
                                              "pass AS (UPDATE leat.applications SET pass_by = "
                                              "NULL WHERE application = $1 AND pass_by = "
                                              "$2 RETURNING 1) "
                                              "SELECT 1 FROM gone";
    struct leat_pg_parameters parameters;

    leat_rows_begin(&parameters, context);
    leat_pg_add_int8(&parameters, incarnation);
    return leat_rows_change(connection, context, sql, &parameters, NULL, err);
}

int
leat_rows_raise(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                struct leat_lease_key key, int64_t incarnation, int64_t progress_counter,
                int64_t *ret_counter, struct leat_error *err)
{
    static const char sql[] =
        "WITH held AS MATERIALIZED (SELECT FROM leat.leases l WHERE " KEY
        " FOR UPDATE NOWAIT), moved AS (UPDATE leat.leases l SET lease_counter = greatest($5 + 1, "
        "l.lease_counter) FROM held WHERE " KEY " AND l.lease_owner = $4 RETURNING " LEAT_MOVED_ROW
        "), " LEAT_TELL("'raised'", "lease_counter > counter_before") "SELECT lease_counter "
                                                                      "FROM moved";
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    begin_key(&parameters, context, key);
    leat_pg_add_int8(&parameters, incarnation);
    leat_pg_add_int8(&parameters, progress_counter);
    status = leat_pg_execute(connection, sql, &parameters, &result, err);
    if (status != 0)
        return status;
    *ret_counter = PQntuples(result) == 1 ? leat_pg_int8(PQgetvalue(result, 0, 0)) : 0;
    PQclear(result);
    return 0;
}

#define MOVES_KEPT "50000"
#define MOVES_STEP 2000

int
leat_rows_trim_moves(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     bool *ret_more, struct leat_error *err)
{
    static const char sql[] =
        "DELETE FROM leat.lease_moves WHERE application = $1 AND move IN (SELECT move FROM "
        "leat.lease_moves WHERE application = $1 AND (moved_at < clock_timestamp() - interval '7 "
        "days' OR move <= (SELECT move FROM leat.lease_moves WHERE application = $1 ORDER BY move "
        "DESC OFFSET " MOVES_KEPT " LIMIT 1)) ORDER BY move LIMIT $2)";
    struct leat_pg_parameters parameters;
    size_t deleted = 0;
    int status;

    leat_rows_begin(&parameters, context);
    leat_pg_add_int8(&parameters, MOVES_STEP);
    status = leat_rows_run(connection, sql, &parameters, &deleted, err);
    if (status == 0)
        *ret_more = deleted == MOVES_STEP;
    return status;
}

int
leat_rows_count(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                uint64_t *ret_all, uint64_t *ret_ended, uint64_t *ret_unowned,
                struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_rows_begin(&parameters, context);
    status = leat_pg_execute(connection,
                             "SELECT count(*), count(*) FILTER (WHERE state = 'ended'), "
                             "count(*) FILTER (WHERE state = 'active' AND lease_owner IS NULL) "
                             "FROM leat.leases WHERE application = $1",
                             &parameters, &result, err);
    if (status != 0)
        return status;
    *ret_all = (uint64_t)leat_pg_int8(PQgetvalue(result, 0, 0));
    *ret_ended = (uint64_t)leat_pg_int8(PQgetvalue(result, 0, 1));
    *ret_unowned = (uint64_t)leat_pg_int8(PQgetvalue(result, 0, 2));
    PQclear(result);
    return 0;
}
