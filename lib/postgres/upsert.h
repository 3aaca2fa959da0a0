/*
 * The statements that write rows, one per (table, operation, columns that are present), from binary arrays. Pure: SQL text
 * and parameters. Merges follow docs/protocol.md §5; keys stand once in a group.
 */
#ifndef LEAT_POSTGRES_UPSERT_H
#define LEAT_POSTGRES_UPSERT_H

#include <leat/target.h>

#include "postgres/connection.h"
#include "postgres/facts.h"

/* Where tables go: schema, and new names for some. */
struct leat_pg_names {
    struct leat_slice schema;
    const struct leat_slice *pairs; /* table and its name here, by turns */
    size_t pair_count;
};

/* "schema"."table", quoted. */
void leat_pg_table_name(const struct leat_pg_names *names, const char *table, struct leat_buf *out);
void leat_pg_quote(struct leat_slice identifier, struct leat_buf *out);
/* The type of a column in Postgres: bigint, numeric, timestamptz, … */
const char *leat_pg_type_name(enum leat_type type);
/* Does a column take values of the declared type without loss? actual: format_type(…, NULL) of what it is made of. */
bool leat_pg_type_takes(enum leat_type type, const char *actual);
/* A table's name, a column's, its type, leat_pg_type_name: one text for `validate` and for a worker. */
#define LEAT_PG_TYPE_DIFFERS "table %s, column \"%s\" is %s, the processor writes %s"

/*
 * The statement of a group, which takes the group's arrays in order of its columns. facts: of its table; NULL: not known.
 * A replace is one statement, as a merge is: two committers may write one key in the same moment.
 */
void leat_pg_rows_sql(const struct leat_pg_names *names, const struct leat_pg_table_facts *facts,
                      const struct leat_flush_rows *rows, struct leat_buf *out);
/* Has no row of the group a value? Then its statement writes one row, of defaults alone. */
bool leat_pg_rows_are_bare(const struct leat_flush_rows *rows);
/* Rows first … first + count of the group, as arrays: all present columns, or the key columns alone.
   `arrays` holds one buf per column of the table. more than five: a range of rows, and the three places it is bound to. */
int leat_pg_bind_rows(const struct leat_flush_rows *rows, size_t first, size_t count,
                      bool keys_only, struct leat_buf *arrays,
                      struct leat_pg_parameters *parameters, struct leat_error *err);
/* How many rows from `first` on go into one statement, of `limit` at most: its bytes lie twice in our memory until they are sent. */
size_t leat_pg_rows_for_statement(const struct leat_flush_rows *rows, size_t first, size_t limit);
/* CREATE TABLE with its rules as comments. */
void leat_pg_create_sql(const struct leat_pg_names *names, const struct leat_table *table,
                        struct leat_buf *out);

#endif
