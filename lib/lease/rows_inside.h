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

#endif
