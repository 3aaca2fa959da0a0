/* What is in pg_catalog against what the processor declares: tables, columns, types, the key's unique index. */
#include "describe.h"

#include "access.h"

#include <stdlib.h>

#include "postgres/array.h"

/* A domain is what it is made of, down to the last; each of them may refuse nulls, or have a default. */
static const char columns_sql[] =
    "WITH RECURSIVE layer AS (SELECT a.attnum, a.attname, a.atttypid AS type, a.attnotnull AS "
    "is_not_null, a.atthasdef OR a.attidentity <> '' AS is_given, format_type(a.atttypid, NULL) AS "
    "name FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT "
    "a.attisdropped UNION ALL SELECT l.attnum, l.attname, t.typbasetype, l.is_not_null OR "
    "t.typnotnull, l.is_given OR t.typdefault IS NOT NULL, l.name FROM layer l JOIN pg_type t ON "
    "t.oid = l.type WHERE t.typtype = 'd') "
    "SELECT l.attname, format_type(l.type, NULL), l.is_not_null AND NOT l.is_given, CASE WHEN "
    "l.name = format_type(l.type, NULL) THEN l.name ELSE format('%s (a domain over %s)', l.name, "
    "format_type(l.type, NULL)) END FROM layer l JOIN pg_type t ON t.oid = l.type "
    "WHERE t.typtype <> 'd' ORDER BY l.attnum";

/* Is there a unique index on exactly these columns, without a condition or expression? */
static const char key_sql[] = "SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = "
                              "to_regclass($1) AND i.indisunique AND i.indisvalid "
                              "AND i.indpred IS NULL AND i.indexprs IS NULL AND (SELECT "
                              "array_agg(a.attname::text ORDER BY a.attname::text) "
                              "FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = "
                              "ANY (i.indkey[0:i.indnkeyatts - 1])) = "
                              "(SELECT array_agg(k ORDER BY k) FROM unnest($2::text[]) k))";

struct comparing {
    struct leat_pg_connection *connection;
    leat_mismatch_fn report;
    void *context;
    const char *name; /* quoted, with its schema */
};

static void tell(const struct comparing *comparing, const char *format, ...) LEAT_PRINTF(2, 3);

static void
tell(const struct comparing *comparing, const char *format, ...)
{
    char text[LEAT_ERROR_TEXT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    comparing->report(comparing->context, text);
}

static int
find_row(const PGresult *result, const char *column)
{
    for (int row = 0; row < PQntuples(result); row++) {
        if (strcmp(PQgetvalue(result, row, 0), column) == 0)
            return row;
    }
    return -1;
}

static void
compare_columns(const struct comparing *comparing, const struct leat_table *table,
                const PGresult *result)
{
    for (const struct leat_column *column = table->columns; column->name != NULL; column++) {
        int row = find_row(result, column->name);

        if (row < 0)
            tell(comparing, "table %s has no column \"%s\": ALTER TABLE %s ADD COLUMN \"%s\" %s",
                 comparing->name, column->name, comparing->name, column->name,
                 leat_pg_type_name(column->type));
        else if (!leat_pg_type_takes(column->type, PQgetvalue(result, row, 1)))
            tell(comparing, LEAT_PG_TYPE_DIFFERS, comparing->name, column->name,
                 PQgetvalue(result, row, 3), leat_pg_type_name(column->type));
    }
    for (int row = 0; row < PQntuples(result); row++) {
        const struct leat_column *column = table->columns;

        while (column->name != NULL && strcmp(column->name, PQgetvalue(result, row, 0)) != 0)
            column++;
        if (column->name == NULL && PQgetvalue(result, row, 2)[0] != 0)
            tell(comparing,
                 "table %s, column \"%s\" is NOT NULL, has no default and is not written: give it "
                 "a default",
                 comparing->name, PQgetvalue(result, row, 0));
    }
}

static int
compare_key(const struct comparing *comparing, const struct leat_table *table,
            struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    struct leat_buf keys;
    LEAT_AUTO_BUF words = LEAT_BUF_INIT;
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
        if (column->rule != LEAT_KEY)
            continue;
        leat_pg_array_bytes(&keys, leat_slice_from(column->name));
        leat_buf_printf(&words, "%s\"%s\"", words.size > 0 ? ", " : "", column->name);
    }
    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, comparing->name);
    leat_pg_add_array(&parameters, LEAT_PG_TEXT_ARRAY, &keys);
    status = leat_pg_execute(comparing->connection, key_sql, &parameters, &result, err);
    if (status == 0 && PQgetvalue(result, 0, 0)[0] == 0)
        tell(comparing,
             "table %s has no unique index on its key: ALTER TABLE %s ADD PRIMARY KEY (%s)",
             comparing->name, comparing->name, leat_buf_text(&words));
    if (status == 0)
        PQclear(result);
    leat_buf_release(&keys);
    return status;
}

static int
compare_table(struct comparing *comparing, const struct leat_table *table, struct leat_error *err)
{
    struct leat_pg_parameters parameters;
    PGresult *result;
    int status;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, comparing->name);
    status = leat_pg_execute(comparing->connection, columns_sql, &parameters, &result, err);
    if (status != 0)
        return status;
    if (PQntuples(result) == 0) {
        tell(comparing, "table %s is missing: `leat db ddl` prints how to create it",
             comparing->name);
        PQclear(result);
        return 0;
    }
    compare_columns(comparing, table, result);
    PQclear(result);
    status = leat_postgres_check_access(comparing->connection, comparing->name, table,
                                        comparing->report, comparing->context, err);
    return status == 0 ? compare_key(comparing, table, err) : status;
}

int
leat_postgres_describe(struct leat_pg_connection *connection, const struct leat_pg_names *names,
                       const struct leat_table *tables, leat_mismatch_fn report, void *context,
                       struct leat_error *err)
{
    for (; tables->name != NULL; tables++) {
        LEAT_AUTO_BUF name = LEAT_BUF_INIT;
        struct comparing comparing = {connection, report, context, NULL};
        int status;

        leat_pg_table_name(names, tables->name, &name);
        comparing.name = leat_buf_text(&name);
        status = compare_table(&comparing, tables, err);
        if (status != 0)
            return status;
    }
    return 0;
}
