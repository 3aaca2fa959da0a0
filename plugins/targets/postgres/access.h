/* Whether a table can be written at all, and by this role: what no comparison of columns tells. */
#ifndef LEAT_TARGETS_POSTGRES_ACCESS_H
#define LEAT_TARGETS_POSTGRES_ACCESS_H

#include <leat/target.h>

#include "postgres/connection.h"

/* name: quoted, with its schema; the table is there. One report for each thing that keeps rows from being written. */
int leat_postgres_check_access(struct leat_pg_connection *connection, const char *name,
                               const struct leat_table *table, leat_mismatch_fn report,
                               void *context, struct leat_error *err);

#endif
