/*
 * Rows as statements. Numeric and jsonb values travel as text arrays and are cast in the SELECT: exact, and no binary
 * numeric of our own. Rows come sorted by key and are inserted in that order: two committers lock in one order.
 */
#include "postgres/upsert.h"

#include "base/memory.h"
#include "postgres/array.h"

#define STATEMENT_BYTES ((size_t)1 << 20)

static const struct {
    const char *name, *array, *cast;
    enum leat_pg_oid element;
} types[] = {
    [LEAT_NULL] = {"text", "text[]", "", LEAT_PG_TEXT},
    [LEAT_BOOL] = {"boolean", "bool[]", "", LEAT_PG_BOOL},
    [LEAT_INT64] = {"bigint", "int8[]", "", LEAT_PG_INT8},
    [LEAT_FLOAT64] = {"double precision", "float8[]", "", LEAT_PG_FLOAT8},
    [LEAT_DECIMAL] = {"numeric", "text[]", "::numeric", LEAT_PG_TEXT},
    [LEAT_TEXT] = {"text", "text[]", "", LEAT_PG_TEXT},
    [LEAT_BYTES] = {"bytea", "bytea[]", "", LEAT_PG_BYTEA},
    [LEAT_TIMESTAMP] = {"timestamptz", "timestamptz[]", "", LEAT_PG_TIMESTAMPTZ},
    [LEAT_JSON] = {"jsonb", "text[]", "::jsonb", LEAT_PG_TEXT},
};

const char *
leat_pg_type_name(enum leat_type type)
{
    return (size_t)type < LEAT_COUNT_OF(types) ? types[type].name : "text";
}

bool
leat_pg_type_takes(enum leat_type type, const char *actual)
{
    static const char *const more[][6] = {
        [LEAT_INT64] = {"numeric", NULL},
        [LEAT_TEXT] = {"character varying", "character", "uuid", "citext", NULL},
        [LEAT_TIMESTAMP] = {NULL},
        [LEAT_JSON] = {"json", NULL},
    };
    const char *wanted = leat_pg_type_name(type);

    if (type == LEAT_TIMESTAMP)
        return strcmp(actual, "timestamp with time zone") == 0;
    if (strcmp(actual, wanted) == 0)
        return true;
    for (size_t i = 0; type < sizeof more / sizeof more[0] && more[type][i] != NULL; i++) {
        if (strcmp(actual, more[type][i]) == 0)
            return true;
    }
    /* An extension's: it is in whatever schema it was created in. */
    if (type == LEAT_TEXT && strrchr(actual, '.') != NULL)
        return strcmp(strrchr(actual, '.'), ".citext") == 0;
    return false;
}

void
leat_pg_quote(struct leat_slice identifier, struct leat_buf *out)
{
    leat_buf_add_byte(out, '"');
    for (size_t i = 0; i < identifier.size; i++) {
        if (identifier.data[i] == '"')
            leat_buf_add_byte(out, '"');
        leat_buf_add_byte(out, identifier.data[i]);
    }
    leat_buf_add_byte(out, '"');
}

void
leat_pg_table_name(const struct leat_pg_names *names, const char *table, struct leat_buf *out)
{
    struct leat_slice name = leat_slice_from(table);

    for (size_t i = 0; names != NULL && i + 1 < 2 * names->pair_count; i += 2) {
        if (leat_slice_is(names->pairs[i], table))
            name = names->pairs[i + 1];
    }
    leat_pg_quote(names != NULL ? names->schema : leat_slice_from("public"), out);
    leat_buf_add_byte(out, '.');
    leat_pg_quote(name, out);
}

static void
add_column(const struct leat_column *column, struct leat_buf *out)
{
    leat_pg_quote(leat_slice_from(column->name), out);
}

static bool
is_present(const struct leat_flush_rows *rows, size_t column, bool keys_only)
{
    if (keys_only)
        return rows->table->columns[column].rule == LEAT_KEY;
    return rows->values[column].type != LEAT_ABSENT;
}

bool
leat_pg_rows_are_bare(const struct leat_flush_rows *rows)
{
    for (size_t c = 0; c < rows->width; c++) {
        if (is_present(rows, c, rows->operation == LEAT_OP_DELETE))
            return false;
    }
    return true;
}

/* unnest($1::…[], …) AS r (c1, c2 …): columns are numbered as in the table. */
static void
add_unnest(const struct leat_flush_rows *rows, bool keys_only, struct leat_buf *out)
{
    const char *separator = "";
    int parameter = 0;

    leat_buf_add_text(out, "unnest(");
    for (size_t c = 0; c < rows->width; c++) {
        if (!is_present(rows, c, keys_only))
            continue;
        leat_buf_printf(out, "%s$%d::%s", separator, ++parameter,
                        types[rows->table->columns[c].type].array);
        separator = ", ";
    }
    leat_buf_add_text(out, ") AS r (");
    separator = "";
    for (size_t c = 0; c < rows->width; c++) {
        if (!is_present(rows, c, keys_only))
            continue;
        leat_buf_printf(out, "%sc%zu", separator, c);
        separator = ", ";
    }
    leat_buf_add_byte(out, ')');
}

/* ---- casts ------------------------------------------------------------------------------------- */

static const struct leat_pg_column_facts *
known_column(const struct leat_pg_table_facts *facts, size_t column)
{
    return facts != NULL && facts->columns[column].type != NULL ? &facts->columns[column] : NULL;
}

static bool
is_text_in_all_but_name(const char *builtin)
{
    return strcmp(builtin, "text") == 0 || strcmp(builtin, "varchar") == 0 ||
           strcmp(builtin, "bpchar") == 0;
}

/* What the declared type does not become by itself when it is assigned; lengths are the assignment's to check. */
static void
add_cast(const struct leat_pg_table_facts *facts, const struct leat_table *table, size_t c,
         bool is_compared, struct leat_buf *out)
{
    const struct leat_pg_column_facts *known = known_column(facts, c);
    enum leat_type declared = table->columns[c].type;

    if (known != NULL && declared == LEAT_JSON && strcmp(known->builtin, "json") == 0)
        leat_buf_add_text(out, "::json");
    else if (known != NULL && declared == LEAT_TEXT &&
             (is_compared || !is_text_in_all_but_name(known->builtin)))
        leat_buf_printf(out, "::%s", known->type);
    else
        leat_buf_add_text(out, types[declared].cast);
}

/* ---- deletions --------------------------------------------------------------------------------- */

static void
add_delete(const struct leat_pg_names *names, const struct leat_pg_table_facts *facts,
           const struct leat_flush_rows *rows, struct leat_buf *out)
{
    const char *separator = "";

    leat_buf_add_text(out, "DELETE FROM ");
    leat_pg_table_name(names, rows->table->name, out);
    leat_buf_add_text(out, " t USING ");
    add_unnest(rows, true, out);
    leat_buf_add_text(out, " WHERE ");
    for (size_t c = 0; c < rows->width; c++) {
        const struct leat_column *column = &rows->table->columns[c];
        const struct leat_pg_column_facts *known = known_column(facts, c);

        if (column->rule != LEAT_KEY)
            continue;
        leat_buf_printf(out, "%st.", separator);
        add_column(column, out);
        leat_buf_printf(out, " %s r.c%zu", known != NULL ? known->equals : "=", c);
        add_cast(facts, rows->table, c, true, out);
        separator = " AND ";
    }
}

/* ---- rules ------------------------------------------------------------------------------------- */

/* A column's value as it is compared: texts by their bytes, as in memory, whatever the column's collation says. */
static void
add_compared(const char *of, const struct leat_column *column, struct leat_buf *out)
{
    leat_buf_printf(out, "%s.", of);
    add_column(column, out);
    if (column->type == LEAT_TEXT)
        leat_buf_add_text(out, "::text COLLATE \"C\"");
}

static void
add_comparison(const struct leat_column *column, const char *operator, struct leat_buf * out)
{
    add_compared("excluded", column, out);
    leat_buf_printf(out, " %s ", operator);
    add_compared("t", column, out);
}

static const struct leat_column *
order_of(const struct leat_table *table, const struct leat_column *column)
{
    const struct leat_column *order = table->columns;

    while (strcmp(order->name, column->order_by) != 0)
        order++;
    return order;
}

/*
 * The winner by order_by; equal order: the greater value; a missing order never (docs/protocol.md §5). Value and order are
 * looked at together: a row that has an order, and no value at it, is a row whose value at that order is null.
 */
static void
add_ordered(const struct leat_table *table, const struct leat_column *column, struct leat_buf *out)
{
    const struct leat_column *order = order_of(table, column);
    LEAT_AUTO_BUF value = LEAT_BUF_INIT;
    LEAT_AUTO_BUF by = LEAT_BUF_INIT;
    const char *v, *o;

    add_column(column, &value);
    add_column(order, &by);
    v = leat_buf_text(&value);
    o = leat_buf_text(&by);
    leat_buf_printf(out, "CASE WHEN excluded.%s IS NULL THEN t.%s WHEN t.%s IS NULL OR ", o, v, o);
    add_comparison(order, column->rule == LEAT_FIRST ? "<" : ">", out);
    leat_buf_printf(out, " THEN excluded.%s WHEN ", v);
    add_comparison(order, "=", out);
    leat_buf_printf(out, " AND (t.%s IS NULL OR ", v);
    add_comparison(column, ">", out);
    leat_buf_printf(out, ") THEN excluded.%s ELSE t.%s END", v, v);
}

static void
add_extreme(const struct leat_column *column, const char *operator, struct leat_buf * out)
{
    LEAT_AUTO_BUF quoted = LEAT_BUF_INIT;
    const char *c;

    add_column(column, &quoted);
    c = leat_buf_text(&quoted);
    leat_buf_printf(out, "CASE WHEN t.%s IS NULL OR ", c);
    add_comparison(column, operator, out);
    leat_buf_printf(out, " THEN excluded.%s ELSE t.%s END", c, c);
}

static void
add_rule(const struct leat_table *table, const struct leat_column *column, struct leat_buf *out)
{
    LEAT_AUTO_BUF quoted = LEAT_BUF_INIT;
    const char *c;

    add_column(column, &quoted);
    c = leat_buf_text(&quoted);
    switch (column->rule) {
    case LEAT_SUM:
    case LEAT_COUNT:
        leat_buf_printf(out, "coalesce(t.%s + excluded.%s, t.%s, excluded.%s)", c, c, c, c);
        break;
    case LEAT_MIN:
        add_extreme(column, "<", out);
        break;
    case LEAT_MAX:
        add_extreme(column, ">", out);
        break;
    case LEAT_FIRST:
    case LEAT_LAST:
        add_ordered(table, column, out);
        break;
    case LEAT_SET:
    case LEAT_KEY:
        leat_buf_printf(out, "excluded.%s", c);
        break;
    }
}

/* ---- inserts ----------------------------------------------------------------------------------- */

static void
begin_update(bool *has_one, const char *name, struct leat_buf *out)
{
    leat_buf_add_text(out, *has_one ? ", " : " DO UPDATE SET ");
    leat_pg_quote(leat_slice_from(name), out);
    leat_buf_add_text(out, " = ");
    *has_one = true;
}

/* Each present column that is no key, with its rule; then whether there was one. */
static bool
add_merging(const struct leat_flush_rows *rows, struct leat_buf *out)
{
    bool has_one = false;

    for (size_t c = 0; c < rows->width; c++) {
        const struct leat_column *column = &rows->table->columns[c];

        if (column->rule == LEAT_KEY || !is_present(rows, c, false))
            continue;
        begin_update(&has_one, column->name, out);
        add_rule(rows->table, column, out);
    }
    return has_one;
}

static void
add_excluded(bool *has_one, const char *name, struct leat_buf *out)
{
    begin_update(has_one, name, out);
    leat_buf_add_text(out, "excluded.");
    leat_pg_quote(leat_slice_from(name), out);
}

/*
 * The row as if the old one had been deleted: what is not given has in `excluded` what an insert gives it, the column's default.
 * Keys, too: equal ones may be spelt otherwise (1.5 and 1.50). Generated columns and identities stay what they are.
 */
static bool
add_replacing(const struct leat_pg_table_facts *facts, const struct leat_flush_rows *rows,
              struct leat_buf *out)
{
    bool has_one = false;

    for (size_t c = 0; c < rows->width; c++)
        add_excluded(&has_one, rows->table->columns[c].name, out);
    for (size_t i = 0; facts != NULL && i < facts->other_count; i++)
        add_excluded(&has_one, facts->others[i], out);
    return has_one;
}

static void
add_conflict(const struct leat_pg_table_facts *facts, const struct leat_flush_rows *rows,
             struct leat_buf *out)
{
    const char *separator = " ON CONFLICT (";
    bool has_key = false;

    for (size_t c = 0; c < rows->width; c++) {
        if (rows->table->columns[c].rule != LEAT_KEY)
            continue;
        leat_buf_add_text(out, separator);
        add_column(&rows->table->columns[c], out);
        separator = ", ";
        has_key = true;
    }
    if (!has_key)
        return;
    leat_buf_add_byte(out, ')');
    if (!(rows->operation == LEAT_OP_MERGE ? add_merging(rows, out)
                                           : add_replacing(facts, rows, out)))
        leat_buf_add_text(out, " DO NOTHING");
}

static void
add_insert(const struct leat_pg_names *names, const struct leat_pg_table_facts *facts,
           const struct leat_flush_rows *rows, struct leat_buf *out)
{
    const char *separator = "";

    leat_buf_add_text(out, "INSERT INTO ");
    leat_pg_table_name(names, rows->table->name, out);
    if (leat_pg_rows_are_bare(rows)) {
        leat_buf_add_text(out, " DEFAULT VALUES");
        return;
    }
    leat_buf_add_text(out, " AS t (");
    for (size_t c = 0; c < rows->width; c++) {
        if (!is_present(rows, c, false))
            continue;
        leat_buf_add_text(out, separator);
        add_column(&rows->table->columns[c], out);
        separator = ", ";
    }
    leat_buf_add_text(out, ") SELECT ");
    separator = "";
    for (size_t c = 0; c < rows->width; c++) {
        if (!is_present(rows, c, false))
            continue;
        leat_buf_printf(out, "%sr.c%zu", separator, c);
        add_cast(facts, rows->table, c, false, out);
        separator = ", ";
    }
    leat_buf_add_text(out, " FROM ");
    add_unnest(rows, false, out);
    add_conflict(facts, rows, out);
}

void
leat_pg_rows_sql(const struct leat_pg_names *names, const struct leat_pg_table_facts *facts,
                 const struct leat_flush_rows *rows, struct leat_buf *out)
{
    if (rows->operation == LEAT_OP_DELETE)
        add_delete(names, facts, rows, out);
    else
        add_insert(names, facts, rows, out);
}

/* ---- values ------------------------------------------------------------------------------------ */

static int
add_value(struct leat_buf *array, const struct leat_column *column, const struct leat_value *value,
          struct leat_error *err)
{
    if (value->type == LEAT_NULL || value->type == LEAT_ABSENT) {
        leat_pg_array_null(array);
        return 0;
    }
    if (value->type != (uint32_t)column->type) {
        leat_error_set(err, LEAT_E_INVALID, "the sum in column \"%s\" is out of its type's range",
                       column->name);
        snprintf(err->sqlstate, sizeof err->sqlstate, "22003");
        return LEAT_E_INVALID;
    }
    switch (column->type) {
    case LEAT_BOOL:
        leat_pg_array_bool(array, value->as.integer != 0);
        break;
    case LEAT_INT64:
        leat_pg_array_int8(array, value->as.integer);
        break;
    case LEAT_TIMESTAMP:
        leat_pg_array_timestamp(array, value->as.integer);
        break;
    case LEAT_FLOAT64:
        leat_pg_array_float8(array, value->as.real);
        break;
    default:
        leat_pg_array_bytes(array, leat_value_slice(value));
    }
    return 0;
}

int
leat_pg_bind_rows(const struct leat_flush_rows *rows, size_t first, size_t count, bool keys_only,
                  struct leat_buf *arrays, struct leat_pg_parameters *parameters,
                  struct leat_error *err)
{
    leat_pg_parameters_init(parameters);
    for (size_t c = 0; c < rows->width; c++) {
        const struct leat_column *column = &rows->table->columns[c];
        enum leat_pg_oid element = types[column->type].element;

        if (!is_present(rows, c, keys_only))
            continue;
        leat_pg_array_begin(&arrays[c], element, count);
        for (size_t i = first; i < first + count; i++) {
            int status = add_value(&arrays[c], column, &rows->values[i * rows->width + c], err);

            if (status != 0)
                return status;
        }
        leat_pg_add_array(parameters, leat_pg_array_of(element), &arrays[c]);
    }
    return 0;
}

void
leat_pg_create_sql(const struct leat_pg_names *names, const struct leat_table *table,
                   struct leat_buf *out)
{
    static const char *const rules[] = {"", "key", "sum", "min", "max", "count", "first", "last"};
    const char *separator = "    PRIMARY KEY (";

    leat_buf_add_text(out, "CREATE TABLE ");
    leat_pg_table_name(names, table->name, out);
    leat_buf_add_text(out, " (\n");
    for (const struct leat_column *column = table->columns; column->name != NULL; column++) {
        leat_buf_add_text(out, "    ");
        add_column(column, out);
        leat_buf_printf(out, " %s%s%s%s%s\n", leat_pg_type_name(column->type),
                        column->rule == LEAT_KEY || column->flags & LEAT_NOT_NULL ? " NOT NULL"
                                                                                  : "",
                        column[1].name != NULL || table->columns[0].rule == LEAT_KEY ? "," : "",
                        column->rule != LEAT_SET ? " -- " : "", rules[column->rule]);
    }
    for (const struct leat_column *column = table->columns; column->name != NULL; column++) {
        if (column->rule != LEAT_KEY)
            continue;
        leat_buf_add_text(out, separator);
        add_column(column, out);
        separator = ", ";
    }
    leat_buf_add_text(out, table->columns[0].rule == LEAT_KEY ? ")\n);\n" : ");\n");
}

size_t
leat_pg_rows_for_statement(const struct leat_flush_rows *rows, size_t first, size_t limit)
{
    const struct leat_value *value = &rows->values[first * rows->width];
    size_t most = rows->count - first, bytes = 0;

    if (most > limit)
        most = limit;
    for (size_t row = 0; row < most; row++) {
        for (size_t c = 0; c < rows->width; c++, value++) {
            if (value->type == LEAT_TEXT || value->type == LEAT_BYTES || value->type == LEAT_JSON)
                bytes += value->as.bytes.size;
        }
        if (bytes > STATEMENT_BYTES)
            return row > 0 ? row : 1;
    }
    return most;
}
