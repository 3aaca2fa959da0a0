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

/* Of a processor p that is asked about a lease l: has it to read that stream, does all of the shard lie before its start? */
#define LEAT_IS_OF_STREAM                                                                          \
    "p.application = l.application AND p.state <> 'retired' AND (p.streams IS NULL OR EXISTS "     \
    "(SELECT FROM leat.streams s WHERE s.application = l.application AND s.stream_id = "           \
    "l.stream_id AND s.name = ANY (p.streams)))"
#define LEAT_HAS_PASSED                                                                            \
    "EXISTS (SELECT FROM leat.start_shards b WHERE b.application = l.application AND "             \
    "b.processor = p.processor AND b.stream_id = l.stream_id AND b.shard = l.shard AND "           \
    "b.is_passed)"

#endif
