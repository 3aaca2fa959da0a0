/* Compares a processor's tables with what is in the database; one line for each difference, with what to do. */
#ifndef LEAT_TARGETS_POSTGRES_DESCRIBE_H
#define LEAT_TARGETS_POSTGRES_DESCRIBE_H

#include <leat/target.h>

#include "postgres/connection.h"
#include "postgres/upsert.h"

int leat_postgres_describe(struct leat_pg_connection *connection, const struct leat_pg_names *names,
                           const struct leat_table *tables, leat_mismatch_fn report, void *context,
                           struct leat_error *err);

#endif
