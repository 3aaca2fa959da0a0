/*
 * The merge buffer: rows by key in a hash table, one arena for their bytes. Pure but for memory.
 *
 * Invariants: each key stands once per table; a row's operation is the closed composition of all that was applied to it
 * (protocol §5). LEAT_FIRST and LEAT_LAST are decided before the column they are ordered by is itself merged.
 */
#include "pipeline/merge.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"
#include "pipeline/merge_cell.h"
#include "pipeline/merge_rows.h"

struct leat_merge_schema *
leat_merge_schema_new(const struct leat_table *tables)
{
    struct leat_merge_schema *schema = LEAT_NEW(struct leat_merge_schema);

    if (tables == NULL)
        return schema;
    while (tables[schema->table_count].name != NULL)
        schema->table_count++;
    schema->tables = LEAT_NEW_ARRAY(struct leat_merge_table, schema->table_count);
    for (size_t t = 0; t < schema->table_count; t++) {
        struct leat_merge_table *table = &schema->tables[t];
        const struct leat_column *columns = tables[t].columns;

        table->table = &tables[t];
        table->width = leat_table_width(&tables[t]);
        table->columns = LEAT_NEW_ARRAY(struct leat_merge_column, table->width);
        table->is_commutative = true;
        for (size_t c = 0; c < table->width; c++) {
            table->columns[c] = (struct leat_merge_column){columns[c].type, columns[c].rule, -1};
            table->key_count += columns[c].rule == LEAT_KEY;
            table->is_commutative = table->is_commutative && columns[c].rule != LEAT_SET;
            for (size_t o = 0; columns[c].order_by != NULL && o < table->width; o++) {
                if (strcmp(columns[o].name, columns[c].order_by) == 0)
                    table->columns[c].order_by = (int)o;
            }
        }
    }
    return schema;
}

void
leat_merge_schema_free(struct leat_merge_schema *schema)
{
    if (schema == NULL)
        return;
    for (size_t t = 0; t < schema->table_count; t++)
        free(schema->tables[t].columns);
    free(schema->tables);
    free(schema);
}

static int
check_value(const struct leat_merge_table *table, size_t column, const struct leat_value *value,
            struct leat_error *err)
{
    const struct leat_column *declared = &table->table->columns[column];
    struct leat_decimal decimal;

    if (value->type == LEAT_NULL || value->type == LEAT_ABSENT) {
        if (declared->rule == LEAT_KEY)
            return leat_error_set(err, LEAT_E_INVALID,
                                  "key column \"%s\" of table \"%s\" has no value", declared->name,
                                  table->table->name);
        return 0;
    }
    if (declared->rule == LEAT_COUNT && value->type <= LEAT_ABSENT)
        return 0;
    if (value->type != (uint32_t)declared->type)
        return leat_error_set(err, LEAT_E_INVALID,
                              "column \"%s\" of table \"%s\" takes type %d, not %u", declared->name,
                              table->table->name, (int)declared->type, value->type);
    if (value->type == LEAT_DECIMAL &&
        leat_decimal_parse(leat_value_slice(value), &decimal) == LEAT_DECIMAL_MALFORMED)
        return leat_error_set(err, LEAT_E_INVALID,
                              "column \"%s\" of table \"%s\" was given a decimal that is none",
                              declared->name, table->table->name);
    return 0;
}

int
leat_merge_check(const struct leat_merge_schema *schema, size_t table_index,
                 enum leat_operation operation, const struct leat_value *values, size_t count,
                 struct leat_error *err)
{
    const struct leat_merge_table *table;
    size_t wanted, given = 0;

    if (table_index >= schema->table_count)
        return leat_error_set(err, LEAT_E_INVALID, "there is no table number %zu", table_index);
    table = &schema->tables[table_index];
    wanted = operation == LEAT_OP_DELETE ? table->key_count : table->width;
    if (operation != LEAT_OP_MERGE && table->key_count == 0)
        return leat_error_set(err, LEAT_E_INVALID, "table \"%s\" has no key: it only appends",
                              table->table->name);
    if (count != wanted)
        return leat_error_set(err, LEAT_E_INVALID, "table \"%s\" takes %zu values, not %zu",
                              table->table->name, wanted, count);
    for (size_t c = 0; c < table->width; c++) {
        int status;

        if (operation == LEAT_OP_DELETE && table->columns[c].rule != LEAT_KEY)
            continue;
        status = check_value(table, c, &values[given++], err);
        if (status != 0)
            return status;
    }
    return 0;
}

struct leat_merge *
leat_merge_new(const struct leat_merge_schema *schema)
{
    struct leat_merge *merge = LEAT_NEW(struct leat_merge);

    merge->schema = schema;
    merge->tables = LEAT_NEW_ARRAY(struct leat_merge_rows, schema->table_count);
    leat_arena_init(&merge->arena);
    leat_buf_init(&merge->key, SIZE_MAX);
    return merge;
}

void
leat_merge_free(struct leat_merge *merge)
{
    if (merge == NULL)
        return;
    for (size_t t = 0; t < merge->schema->table_count; t++) {
        free(merge->tables[t].rows);
        free(merge->tables[t].places);
    }
    free(merge->tables);
    leat_arena_release(&merge->arena);
    leat_buf_release(&merge->key);
    free(merge);
}

void
leat_merge_clear(struct leat_merge *merge)
{
    for (size_t t = 0; t < merge->schema->table_count; t++) {
        struct leat_merge_rows *rows = &merge->tables[t];

        rows->count = 0;
        if (rows->place_count > 0)
            memset(rows->places, 0, rows->place_count * sizeof *rows->places);
    }
    merge->row_count = 0;
    leat_arena_reset(&merge->arena);
}

/* Places hold index + 1 of a row; 0: free. At most half full. */
static void
grow_places(struct leat_merge_rows *rows)
{
    size_t place_count = rows->place_count == 0 ? 64 : rows->place_count * 2;

    free(rows->places);
    rows->places = leat_alloc_zero(place_count, sizeof *rows->places);
    rows->place_count = place_count;
    for (size_t i = 0; i < rows->count; i++) {
        size_t place = rows->rows[i].hash & (place_count - 1);

        while (rows->places[place] != 0)
            place = (place + 1) & (place_count - 1);
        rows->places[place] = (uint32_t)i + 1;
    }
}

static struct leat_merge_row *
find_row(struct leat_merge_rows *rows, struct leat_slice key, uint64_t hash)
{
    if (rows->place_count == 0)
        return NULL;
    for (size_t place = hash & (rows->place_count - 1); rows->places[place] != 0;
         place = (place + 1) & (rows->place_count - 1)) {
        struct leat_merge_row *row = &rows->rows[rows->places[place] - 1];

        if (row->hash == hash && leat_slice_equals(row->key, key))
            return row;
    }
    return NULL;
}

static struct leat_merge_row *
add_row(struct leat_merge *merge, size_t table, struct leat_slice key, uint64_t hash)
{
    struct leat_merge_rows *rows = &merge->tables[table];
    struct leat_merge_row *row;
    size_t place;

    LEAT_GROW(rows->rows, rows->count, rows->capacity);
    if ((rows->count + 1) * 2 > rows->place_count)
        grow_places(rows);
    row = &rows->rows[rows->count];
    *row = (struct leat_merge_row){.key = leat_arena_copy(&merge->arena, key), .hash = hash};
    row->cells = leat_arena_alloc_zero(&merge->arena, merge->schema->tables[table].width,
                                       sizeof(struct leat_cell));
    place = hash & (rows->place_count - 1);
    while (rows->places[place] != 0)
        place = (place + 1) & (rows->place_count - 1);
    rows->places[place] = (uint32_t)++rows->count;
    merge->row_count++;
    return row;
}

/* Is `from` the value to keep? Equal order: the greater value. A missing order never wins. */
static bool
wins(enum leat_rule rule, const struct leat_cell *into, const struct leat_cell *into_order,
     const struct leat_cell *from, const struct leat_cell *from_order)
{
    int order;

    if (from->type == LEAT_ABSENT || leat_cell_is_nothing(from_order))
        return false;
    if (leat_cell_is_nothing(into_order))
        return true;
    order = leat_cell_compare(from_order, into_order);
    if (order == 0)
        return leat_cell_compare(from, into) > 0;
    return rule == LEAT_FIRST ? order < 0 : order > 0;
}

static void
merge_ordered(const struct leat_merge_table *table, struct leat_cell *into,
              const struct leat_cell *from, struct leat_arena *arena)
{
    for (size_t c = 0; c < table->width; c++) {
        const struct leat_merge_column *column = &table->columns[c];

        if (column->rule != LEAT_FIRST && column->rule != LEAT_LAST)
            continue;
        if (!wins(column->rule, &into[c], &into[column->order_by], &from[c],
                  &from[column->order_by]))
            continue;
        into[c] = from[c];
        leat_cell_own(&into[c], arena);
    }
}

static void
merge_cell(enum leat_rule rule, struct leat_cell *into, const struct leat_cell *from,
           struct leat_arena *arena)
{
    bool is_taken = false;

    switch (rule) {
    case LEAT_SET:
        is_taken = from->type != LEAT_ABSENT;
        break;
    case LEAT_SUM:
    case LEAT_COUNT:
        if (!leat_cell_is_nothing(from) && !leat_cell_is_nothing(into))
            leat_cell_add(into, from, arena);
        else
            is_taken = !leat_cell_is_nothing(from);
        break;
    case LEAT_MIN:
        is_taken = !leat_cell_is_nothing(from) &&
                   (leat_cell_is_nothing(into) || leat_cell_compare(from, into) < 0);
        break;
    case LEAT_MAX:
        is_taken = !leat_cell_is_nothing(from) && leat_cell_compare(from, into) > 0;
        break;
    case LEAT_KEY:
    case LEAT_FIRST:
    case LEAT_LAST:
        break;
    }
    if (is_taken) {
        *into = *from;
        leat_cell_own(into, arena);
    }
}

static void
replace_cells(const struct leat_merge_table *table, struct leat_cell *into,
              const struct leat_cell *from, struct leat_arena *arena)
{
    for (size_t c = 0; c < table->width; c++) {
        into[c] = from[c];
        leat_cell_own(&into[c], arena);
    }
}

/* y after x (protocol §5). */
static void
compose(const struct leat_merge_table *table, struct leat_merge_row *row,
        enum leat_operation operation, const struct leat_cell *cells, struct leat_arena *arena)
{
    if (operation != LEAT_OP_MERGE || row->operation == LEAT_OP_DELETE) {
        replace_cells(table, row->cells, cells, arena);
        row->operation = operation == LEAT_OP_MERGE ? LEAT_OP_REPLACE : operation;
        return;
    }
    merge_ordered(table, row->cells, cells, arena);
    for (size_t c = 0; c < table->width; c++)
        merge_cell(table->columns[c].rule, &row->cells[c], &cells[c], arena);
}

void
leat_merge_add(struct leat_merge *merge, size_t table_index, enum leat_operation operation,
               const struct leat_cell *cells)
{
    const struct leat_merge_table *table = &merge->schema->tables[table_index];
    struct leat_merge_row *row = NULL;
    uint64_t hash;

    leat_buf_clear(&merge->key);
    for (size_t c = 0; c < table->width; c++) {
        if (table->columns[c].rule == LEAT_KEY)
            leat_cell_key(&cells[c], &merge->key);
    }
    /* Without a key each row is its own: ordered as it came. */
    if (table->key_count == 0)
        leat_buf_add_be64(&merge->key, merge->tables[table_index].count);
    hash = leat_hash(leat_buf_slice(&merge->key));
    if (table->key_count > 0)
        row = find_row(&merge->tables[table_index], leat_buf_slice(&merge->key), hash);
    if (row != NULL) {
        compose(table, row, operation, cells, &merge->arena);
        return;
    }
    row = add_row(merge, table_index, leat_buf_slice(&merge->key), hash);
    row->operation = operation;
    replace_cells(table, row->cells, cells, &merge->arena);
}

/* A value without an order never wins, not even the first (protocol §5): it is no value. */
static void
drop_unordered(const struct leat_merge_table *table, struct leat_cell *cells)
{
    for (size_t c = 0; c < table->width; c++) {
        const struct leat_merge_column *column = &table->columns[c];

        if ((column->rule == LEAT_FIRST || column->rule == LEAT_LAST) && column->order_by >= 0 &&
            cells[c].type != LEAT_ABSENT && leat_cell_is_nothing(&cells[column->order_by]))
            cells[c] = (struct leat_cell){.type = LEAT_NULL};
    }
}

void
leat_merge_apply(struct leat_merge *merge, size_t table_index, enum leat_operation operation,
                 const struct leat_value *values)
{
    const struct leat_merge_table *table = &merge->schema->tables[table_index];
    struct leat_cell cells[LEAT_MERGE_COLUMNS];
    size_t given = 0;

    LEAT_ASSERT(table->width <= LEAT_MERGE_COLUMNS);
    for (size_t c = 0; c < table->width; c++) {
        if (operation == LEAT_OP_DELETE && table->columns[c].rule != LEAT_KEY)
            cells[c] = (struct leat_cell){.type = LEAT_ABSENT};
        else
            cells[c] = leat_cell_from(&values[given++], table->columns[c].rule);
    }
    drop_unordered(table, cells);
    leat_merge_add(merge, table_index, operation, cells);
}

size_t
leat_merge_rows(const struct leat_merge *merge)
{
    return merge->row_count;
}

size_t
leat_merge_bytes(const struct leat_merge *merge)
{
    size_t bytes = merge->arena.held_bytes;

    for (size_t t = 0; t < merge->schema->table_count; t++)
        bytes += merge->tables[t].capacity * sizeof(struct leat_merge_row) +
                 merge->tables[t].place_count * sizeof(uint32_t);
    return bytes;
}
