/*
 * A table that looks right and refuses every row: a right that was not granted, a rule, a column that the server computes, a view, a
 * transaction that may not write. The server is asked, not its documentation: pg_relation_is_updatable and has_*_privilege judge
 * for this very role.
 */
#include "access.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "postgres/array.h"

struct checking {
    const char *name;
    leat_mismatch_fn report;
    void *context;
};

static void tell(const struct checking *checking, const char *format, ...) LEAT_PRINTF(2, 3);

static void
tell(const struct checking *checking, const char *format, ...)
{
    char text[LEAT_ERROR_TEXT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    checking->report(checking->context, text);
}

/* One row of booleans, and what each means when it is true. */
static const char table_sql[] =
    "SELECT NOT pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE'), "
    "NOT pg_catalog.has_table_privilege(c.oid, 'SELECT'), "
    "NOT pg_catalog.has_table_privilege(c.oid, 'INSERT') AND NOT "
    "pg_catalog.has_any_column_privilege(c.oid, 'INSERT'), "
    "NOT pg_catalog.has_table_privilege(c.oid, 'UPDATE') AND NOT "
    "pg_catalog.has_any_column_privilege(c.oid, 'UPDATE'), "
    "NOT pg_catalog.has_table_privilege(c.oid, 'DELETE'), "
    "c.relkind::text NOT IN ('r', 'p'), "
    "c.relkind::text IN ('r', 'p') AND pg_catalog.pg_relation_is_updatable(c.oid, true) & 8 = 0, "
    "EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid AND w.ev_type::text IN "
    "('2', '3') AND w.ev_enabled::text <> 'D'), "
    "c.relpersistence::text = 'u', c.relpersistence::text = 't', "
    "pg_catalog.current_setting('transaction_read_only')::bool "
    "FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)";

static const struct {
    const char *before, *after; /* the table's name */
    bool is_for_keys;           /* a table without a key only gets INSERTs */
} faults[] = {
    {"the schema of table ",
     " cannot be used: GRANT USAGE ON SCHEMA … (`leat db grants -c FILE` prints all that is "
     "needed)",
     false},
    {"the right to SELECT from table ", " is missing: `leat db grants -c FILE` prints the GRANT",
     true},
    {"the right to INSERT into table ", " is missing: `leat db grants -c FILE` prints the GRANT",
     false},
    {"the right to UPDATE table ", " is missing: `leat db grants -c FILE` prints the GRANT", true},
    {"the right to DELETE from table ",
     " is missing, which rows need that the processor deletes: `leat db grants -c FILE` prints "
     "the GRANT",
     true},
    {"", " is no table but a view or something foreign: rows go into tables", false},
    {"table ", " takes no rows", false},
    {"table ",
     " has a rule for INSERT or UPDATE, which merges (ON CONFLICT) cannot be used with: use a "
     "trigger instead",
     true},
    {"table ",
     " is UNLOGGED: a crash of the server empties it while progress stays: ALTER TABLE … SET "
     "LOGGED",
     false},
    {"table ", " is temporary: it is gone with the session that made it", false},
    {"table ",
     " cannot be written: transactions of this role or database are read-only "
     "(default_transaction_read_only)",
     false},
};

static bool
has_key(const struct leat_table *table)
{
    for (const struct leat_column *column = table->columns; column->name != NULL; column++) {
        if (column->rule == LEAT_KEY)
            return true;
    }
    return false;
}

static int
check_table(const struct checking *checking, struct leat_pg_connection *connection,
            const struct leat_table *table, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    bool is_keyed = has_key(table);
    PGresult *result;
    int status;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, checking->name);
    status = leat_pg_execute(connection, table_sql, &parameters, &result, err);
    if (status != 0)
        return status;
    LEAT_ASSERT(PQnfields(result) == (int)LEAT_COUNT_OF(faults));
    for (int i = 0; PQntuples(result) == 1 && i < PQnfields(result); i++) {
        if (PQgetvalue(result, 0, i)[0] != 0 && (is_keyed || !faults[i].is_for_keys))
            tell(checking, "%s%s%s", faults[i].before, checking->name, faults[i].after);
    }
    PQclear(result);
    return 0;
}

/* ---- columns that the server writes -------------------------------------------------------------- */

static const char columns_sql[] =
    "SELECT a.attname::text, a.attgenerated::text <> '', a.attidentity::text = 'a' FROM "
    "pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND "
    "NOT a.attisdropped AND (a.attgenerated::text <> '' OR a.attidentity::text = 'a')";

static bool
writes(const struct leat_table *table, const char *name)
{
    for (const struct leat_column *column = table->columns; column->name != NULL; column++) {
        if (strcmp(column->name, name) == 0)
            return true;
    }
    return false;
}

static int
check_columns(const struct checking *checking, struct leat_pg_connection *connection,
              const struct leat_table *table, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, checking->name);
    status = leat_pg_execute(connection, columns_sql, &parameters, &result, err);
    if (status != 0)
        return status;
    for (int row = 0; row < PQntuples(result); row++) {
        const char *name = PQgetvalue(result, row, 0);

        if (!writes(table, name))
            continue;
        if (PQgetvalue(result, row, 1)[0] != 0)
            tell(checking,
                 "table %s, column \"%s\" is generated: the server computes it and refuses every "
                 "row that writes it: ALTER TABLE %s ALTER COLUMN \"%s\" DROP EXPRESSION",
                 checking->name, name, checking->name, name);
        else
            tell(checking,
                 "table %s, column \"%s\" is GENERATED ALWAYS AS IDENTITY, which refuses every "
                 "row that writes it: ALTER TABLE %s ALTER COLUMN \"%s\" SET GENERATED BY DEFAULT",
                 checking->name, name, checking->name, name);
    }
    PQclear(result);
    return 0;
}

/* ---- the key's index ------------------------------------------------------------------------------ */

/* Deferrable ones on exactly the key, where there is no other that is immediate. */
static const char deferrable_sql[] =
    "SELECT pg_catalog.count(*) FILTER (WHERE NOT i.indimmediate) > 0 AND pg_catalog.count(*) "
    "FILTER (WHERE i.indimmediate) = 0 FROM pg_catalog.pg_index i WHERE i.indrelid = "
    "pg_catalog.to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND "
    "i.indexprs IS NULL AND (SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attname::text) "
    "FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY "
    "(i.indkey[0:i.indnkeyatts - 1])) = (SELECT pg_catalog.array_agg(k ORDER BY k) FROM "
    "pg_catalog.unnest($2::text[]) k)";

static int
check_key(const struct checking *checking, struct leat_pg_connection *connection,
          const struct leat_table *table, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    struct leat_buf keys;
    PGresult *result;
    size_t count = 0;
    int status;

    for (const struct leat_column *column = table->columns; column->name != NULL; column++)
        count += column->rule == LEAT_KEY;
    if (count == 0)
        return 0;
    leat_buf_init(&keys, SIZE_MAX);
    leat_pg_array_begin(&keys, LEAT_PG_TEXT, count);
    for (const struct leat_column *column = table->columns; column->name != NULL; column++) {
        if (column->rule == LEAT_KEY)
            leat_pg_array_bytes(&keys, leat_slice_from(column->name));
    }
    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, checking->name);
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &keys);
    status = leat_pg_execute(connection, deferrable_sql, &parameters, &result, err);
    if (status == 0 && PQgetvalue(result, 0, 0)[0] != 0)
        tell(checking,
             "table %s: the unique constraint on its key is DEFERRABLE, which merges (ON CONFLICT) "
             "cannot be used with: make it anew without DEFERRABLE",
             checking->name);
    if (status == 0)
        PQclear(result);
    leat_buf_release(&keys);
    return status;
}

int
leat_postgres_check_access(struct leat_pg_connection *connection, const char *name,
                           const struct leat_table *table, leat_mismatch_fn report, void *context,
                           struct leat_error *err)
{
    struct checking checking = {name, report, context};
    int status = check_table(&checking, connection, table, err);

    if (status == 0)
        status = check_columns(&checking, connection, table, err);
    return status == 0 ? check_key(&checking, connection, table, err) : status;
}
