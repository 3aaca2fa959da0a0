/* Shared by rows.c and rows_lease.c. */
#ifndef LEAT_LEASE_ROWS_INSIDE_H
#define LEAT_LEASE_ROWS_INSIDE_H

#include "lease/rows.h"

/* $1 is the application. */
void leat_rows_begin(struct leat_pg_parameters *parameters,
                     const struct leat_rows_context *context);
int leat_rows_run(struct leat_pg_connection *connection, const char *sql,
                  const struct leat_pg_parameters *parameters, size_t *ret_rows,
                  struct leat_error *err);
int leat_rows_moved(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                    struct leat_error *err);
/* more than five: a statement, what goes in and what comes out. */
int leat_rows_change(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     const char *sql, const struct leat_pg_parameters *parameters, size_t *ret_rows,
                     struct leat_error *err);
struct leat_slice leat_rows_text(struct leat_arena *arena, const PGresult *result, int row,
                                 int column);

/* 0: commits, and moves the version if something changed; else rolls back. Hands status on. */
int leat_rows_finish(struct leat_pg_connection *connection, const struct leat_rows_context *context,
                     int status, bool has_changed, struct leat_error *err);

/* A stored time is so old, or later than now: then the database's clock was put back (or forward, and back), and what waits for it
   would wait for as long as that was. Such a time says nothing, so what it gates is due. */
#define LEAT_IS_PAST(at, age) "(" at " < clock_timestamp() - " age " OR " at " > clock_timestamp())"

/* Of a processor p that is asked about a lease l: has it to read that stream, does all of the shard lie before its start? */
#define LEAT_IS_OF_STREAM                                                                          \
    "p.application = l.application AND p.state <> 'retired' AND (p.streams IS NULL OR EXISTS "     \
    "(SELECT FROM leat.streams s WHERE s.application = l.application AND s.stream_id = "           \
    "l.stream_id AND s.name = ANY (p.streams)))"
#define LEAT_HAS_PASSED                                                                            \
    "EXISTS (SELECT FROM leat.start_shards b WHERE b.application = l.application AND "             \
    "b.processor = p.processor AND b.stream_id = l.stream_id AND b.shard = l.shard AND "           \
    "b.is_passed)"

/*
 * History: an UPDATE of leat.leases l tells its moves in leat.lease_moves, in the same statement. As a CTE "moved" it returns
 * LEAT_MOVED_ROW; LEAT_TELL writes those rows of it that `which` names. why: an SQL expression over from_worker and to_worker.
 * LEAT_BEFORE reads by the statement's snapshot: the row as it was.
 */
#define LEAT_BEFORE(what)                                                                          \
    "(SELECT " what " FROM leat.leases o WHERE o.application = l.application AND o.stream_id = "   \
    "l.stream_id AND o.shard = l.shard)"
#define LEAT_WORKER_OF(row)                                                                        \
    "CASE WHEN " row ".lease_owner IS NOT NULL THEN coalesce(" row ".last_worker_id, '#' || " row  \
    ".lease_owner) END"
#define LEAT_MOVED_ROW                                                                             \
    "l.application, l.stream_id, l.shard, l.state, l.lease_counter, " LEAT_WORKER_OF(              \
        "l") " AS to_worker, " LEAT_BEFORE(LEAT_WORKER_OF("o")) " AS from_worker, " LEAT_BEFORE("o.lease_counter") " AS counter_before"
#define LEAT_TELL(why, which)                                                                      \
    "told AS (INSERT INTO leat.lease_moves (application, stream_id, shard, from_worker, "          \
    "to_worker, lease_counter, why) SELECT application, stream_id, shard, from_worker, "           \
    "to_worker, lease_counter, " why " FROM moved WHERE " which " ORDER BY stream_id, shard) "
/* A whole statement: a row for each move. */
#define LEAT_TOLD(update, why)                                                                     \
    "WITH moved AS (" update " RETURNING " LEAT_MOVED_ROW "), " LEAT_TELL(why, "true") "SELECT 1 " \
                                                                                       "FROM "     \
                                                                                       "moved"

#endif
