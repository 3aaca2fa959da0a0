/* The rules that a processor's tables must keep, checked once when it is loaded or has made them. Pure. */
#include "base/memory.h"
#include "plugin/loader.h"

#define MAXIMUM_COLUMNS 256 /* pipeline/merge_rows.h */
#define MAXIMUM_NAME 63     /* Postgres' identifiers */

static int
bad(struct leat_error *err, const struct leat_table *table, const struct leat_column *column,
    const char *text)
{
    return leat_error_set(err, LEAT_E_INVALID, "table \"%.80s\", column \"%.80s\": %s", table->name,
                          column->name, text);
}

static bool
is_ordered(enum leat_type type)
{
    return type != LEAT_JSON && type != LEAT_NULL && type != LEAT_ABSENT;
}

static int
check_type(const struct leat_table *table, const struct leat_column *column, struct leat_error *err)
{
    if (column->type < LEAT_BOOL || column->type > LEAT_JSON)
        return bad(err, table, column, "it has no type that a column can have");
    switch (column->rule) {
    case LEAT_SET:
        return 0;
    case LEAT_KEY:
        if (column->type == LEAT_JSON || column->type == LEAT_FLOAT64)
            return bad(err, table, column, "a key cannot be json or float64");
        return 0;
    case LEAT_SUM:
        if (column->type == LEAT_FLOAT64 && !(column->flags & LEAT_INEXACT))
            return bad(err, table, column,
                       "a sum of floats depends on how the stream is cut: use LEAT_DECIMAL, or say "
                       "LEAT_INEXACT");
        if (column->type != LEAT_INT64 && column->type != LEAT_DECIMAL &&
            column->type != LEAT_FLOAT64)
            return bad(err, table, column, "only numbers can be summed");
        return 0;
    case LEAT_COUNT:
        return column->type == LEAT_INT64 ? 0 : bad(err, table, column, "a count is an int64");
    case LEAT_MIN:
    case LEAT_MAX:
    case LEAT_FIRST:
    case LEAT_LAST:
        /* Booleans have no least and greatest in Postgres' aggregates, but do in its functions. */
        return is_ordered(column->type) ? 0 : bad(err, table, column, "json has no order");
    }
    return bad(err, table, column, "it has a rule that this leat does not know");
}

static int
check_order(const struct leat_table *table, const struct leat_column *column,
            struct leat_error *err)
{
    enum leat_rule wanted = column->rule == LEAT_FIRST ? LEAT_MIN : LEAT_MAX;

    if (column->rule != LEAT_FIRST && column->rule != LEAT_LAST)
        return column->order_by == NULL
                   ? 0
                   : bad(err, table, column, "order_by belongs to first and last alone");
    if (column->order_by == NULL)
        return bad(err, table, column, "first and last need an order_by column");
    for (const struct leat_column *other = table->columns; other->name != NULL; other++) {
        if (strcmp(other->name, column->order_by) != 0)
            continue;
        return other->rule == wanted
                   ? 0
                   : bad(err, table, column,
                         "order_by of first must be a min column, of last a max column");
    }
    return bad(err, table, column, "its order_by names no column of this table");
}

static int
check_name(const struct leat_table *table, const struct leat_column *column, struct leat_error *err)
{
    size_t size = strlen(column->name);

    if (size == 0 || size > MAXIMUM_NAME)
        return bad(err, table, column, "a name has 1 to 63 bytes");
    for (const struct leat_column *other = table->columns; other != column; other++) {
        if (strcmp(other->name, column->name) == 0)
            return bad(err, table, column, "it is there twice");
    }
    return 0;
}

static int
check_table(const struct leat_table *table, struct leat_error *err)
{
    size_t width = 0;

    if (*table->name == '\0' || strlen(table->name) > MAXIMUM_NAME || table->columns == NULL ||
        table->columns[0].name == NULL)
        return leat_error_set(err, LEAT_E_INVALID,
                              "table \"%.80s\" needs a name of 1 to 63 bytes and columns",
                              table->name);
    for (const struct leat_column *column = table->columns; column->name != NULL;
         column++, width++) {
        int status = check_name(table, column, err);

        if (status == 0)
            status = check_type(table, column, err);
        if (status == 0)
            status = check_order(table, column, err);
        if (status != 0)
            return status;
    }
    if (width > MAXIMUM_COLUMNS)
        return leat_error_set(err, LEAT_E_LIMIT,
                              "table \"%s\" has %zu columns, at most %d are possible", table->name,
                              width, MAXIMUM_COLUMNS);
    return 0;
}

int
leat_plugin_check_tables(const struct leat_table *tables, struct leat_error *err)
{
    for (const struct leat_table *table = tables; table->name != NULL; table++) {
        int status = check_table(table, err);

        if (status != 0)
            return status;
        for (const struct leat_table *other = tables; other != table; other++) {
            if (strcmp(other->name, table->name) == 0)
                return leat_error_set(err, LEAT_E_INVALID, "table \"%s\" is there twice",
                                      table->name);
        }
    }
    return 0;
}
