/* Reads specs of tables and lines of rows. */
#include "support/lines.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/encoding.h"
#include "base/memory.h"

static const char *const types[] = {
    [LEAT_BOOL] = "bool",           [LEAT_INT64] = "int64", [LEAT_FLOAT64] = "float64",
    [LEAT_DECIMAL] = "decimal",     [LEAT_TEXT] = "text",   [LEAT_BYTES] = "bytes",
    [LEAT_TIMESTAMP] = "timestamp", [LEAT_JSON] = "json"};
static const char *const rules[] = {"set", "key", "sum", "min", "max", "count", "first", "last"};

/* ---- tables ------------------------------------------------------------------------------------ */

static const char *
text_of(struct leat_slice slice, struct leat_arena *arena)
{
    return leat_arena_printf(arena, "%.*s", (int)slice.size, (const char *)slice.data);
}

/* The text up to the delimiter, taken off it with the delimiter; all of it where there is none. */
static struct leat_slice
take_until(struct leat_slice *text, const char *delimiter)
{
    size_t size = strlen(delimiter);
    const unsigned char *found = text->size > 0 ? memmem(text->data, text->size, delimiter, size)
                                                : NULL;
    struct leat_slice taken = *text;

    if (found == NULL) {
        *text = leat_slice_make(text->data + text->size, 0);
        return taken;
    }
    taken.size = (size_t)(found - text->data);
    *text = leat_slice_make(found + size, text->size - taken.size - size);
    return taken;
}

static size_t
index_of(const char *const *names, size_t count, struct leat_slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i] != NULL && leat_slice_is(name, names[i]))
            return i;
    }
    fprintf(stderr, "\"%.*s\" is no type or rule\n", (int)name.size, (const char *)name.data);
    exit(1);
}

static struct leat_column
read_column(struct leat_slice text, struct leat_arena *arena)
{
    struct leat_column column = {.name = text_of(take_until(&text, ":"), arena)};
    struct leat_slice type = take_until(&text, ":"), rule = take_until(&text, "=");

    column.type = (enum leat_type)index_of(types, LEAT_COUNT_OF(types), type);
    if (rule.size > 0 && rule.data[rule.size - 1] == '!') {
        rule.size--;
        column.flags = LEAT_INEXACT;
    }
    column.rule = (enum leat_rule)index_of(rules, LEAT_COUNT_OF(rules), rule);
    if (text.size > 0)
        column.order_by = text_of(text, arena);
    return column;
}

const struct leat_table *
test_lines_tables(const char *spec, struct leat_arena *arena)
{
    struct leat_table *tables = leat_arena_alloc_zero(arena, strlen(spec) + 1, sizeof *tables);
    struct leat_slice rest = leat_slice_from(spec);

    for (size_t t = 0; rest.size > 0; t++) {
        struct leat_slice text = take_until(&rest, ";");
        struct leat_column *columns = leat_arena_alloc_zero(arena, text.size, sizeof *columns);

        tables[t].name = text_of(take_until(&text, "("), arena);
        text = take_until(&text, ")");
        for (size_t c = 0; text.size > 0; c++)
            columns[c] = read_column(take_until(&text, ","), arena);
        tables[t].columns = columns;
    }
    return tables;
}

/* ---- rows -------------------------------------------------------------------------------------- */

static struct leat_value
read_value(enum leat_type type, struct leat_slice text, struct leat_arena *arena, bool *ret_bad)
{
    const char *word = text_of(text, arena);
    LEAT_AUTO_BUF bytes = LEAT_BUF_INIT;

    if (leat_slice_is(text, "\\N"))
        return leat_null();
    if (leat_slice_is(text, "\\A"))
        return leat_absent();
    switch (type) {
    case LEAT_BOOL:
        return leat_bool(*word == 't');
    case LEAT_INT64:
    case LEAT_TIMESTAMP:
        return leat_value_of_integer(type, strtoll(word, NULL, 10));
    case LEAT_FLOAT64:
        return leat_float64(strtod(word, NULL));
    case LEAT_BYTES:
        *ret_bad |= !leat_hex_decode(&bytes, text);
        return leat_bytes(leat_arena_copy(arena, leat_buf_slice(&bytes)));
    default:
        return leat_value_of_bytes(type, text);
    }
}

bool
test_lines_row(const struct leat_table *tables, struct leat_slice *line, struct leat_arena *arena,
               struct test_lines_row *ret_row, bool *ret_bad)
{
    struct leat_slice text, operation;
    const struct leat_column *column;
    size_t table_count = 0;

    if (line->size == 0)
        return false;
    while (tables[table_count].name != NULL)
        table_count++;
    text = take_until(line, " ++ ");
    *ret_row = (struct test_lines_row){0};
    ret_row->table = strtoul(text_of(take_until(&text, "|"), arena), NULL, 10);
    operation = take_until(&text, "|");
    if (ret_row->table >= table_count || operation.size != 1 ||
        strchr("mrd", operation.data[0]) == NULL) {
        *ret_bad = true;
        return false;
    }
    ret_row->operation = operation.data[0] == 'm'   ? LEAT_OP_MERGE
                         : operation.data[0] == 'r' ? LEAT_OP_REPLACE
                                                    : LEAT_OP_DELETE;
    for (column = tables[ret_row->table].columns; column->name != NULL; column++) {
        if (ret_row->operation == LEAT_OP_DELETE && column->rule != LEAT_KEY)
            continue;
        ret_row->values[ret_row->count++] =
            read_value(column->type, take_until(&text, "|"), arena, ret_bad);
    }
    return !*ret_bad;
}

/* ---- the processor ----------------------------------------------------------------------------- */

static enum leat_verdict
process(void *instance, const struct leat_batch *batch, struct leat_out *out,
        struct leat_error *err)
{
    struct leat_arena arena;

    leat_arena_init(&arena);
    for (size_t i = 0; i < batch->count; i++) {
        const struct leat_record *record = batch->records[i];
        struct leat_slice line = record->data;
        struct test_lines_row row;
        bool is_bad = false;

        while (test_lines_row(instance, &line, &arena, &row, &is_bad)) {
            if (leat_emit_values(out, record, row.table, row.operation, row.values, row.count) != 0)
                is_bad = true;
        }
        if (is_bad)
            leat_fail(out, record, "not a line of rows");
    }
    leat_arena_release(&arena);
    return LEAT_DONE;
}

static const struct leat_table *the_tables;

static int
open_lines(const struct leat_host *host, const struct leat_options *options, void **ret_instance,
           struct leat_error *err)
{
    *ret_instance = (void *)the_tables;
    return 0;
}

static const struct leat_table *
describe_lines(void *instance)
{
    return instance;
}

const struct leat_processor *
test_lines_processor(const struct leat_table *tables)
{
    static const struct leat_processor processor = {.size = sizeof processor,
                                                    .abi_major = LEAT_ABI_MAJOR,
                                                    .name = "lines",
                                                    .version = "1",
                                                    .open = open_lines,
                                                    .describe = describe_lines,
                                                    .process = process};

    the_tables = tables;
    return &processor;
}
