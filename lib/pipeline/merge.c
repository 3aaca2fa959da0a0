/*
 * The merge buffer: rows by key in a hash table, one arena for their bytes. Pure but for memory.
 *
 * Invariants: the table finds the last row of each key's chain, and only that one merges with what comes. A row's depth is
 * greater than that of the one before it in the chain, and rows are written by depth. Where keys that differ here may be one
 * in the target, rows are written in the order in which they came: each stretch of them has a depth of its own, and is of one
 * operation, one shape and different keys; in it merges only what gives the same in any order.
 */
#include "pipeline/merge.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/memory.h"
#include "pipeline/merge_cell.h"
#include "pipeline/merge_compose.h"
#include "pipeline/merge_form.h"
#include "pipeline/merge_rows.h"

struct leat_merge_schema *
leat_merge_schema_new(const struct leat_table *tables)
{
    struct leat_merge_schema *schema = LEAT_NEW(struct leat_merge_schema);

    leat_mutex_init(&schema->lock);
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

static void
forms_free(struct leat_merge_forms *forms, size_t table_count)
{
    for (size_t t = 0; t < table_count; t++)
        free(forms->tables[t].columns);
    free(forms->tables);
    free(forms);
}

void
leat_merge_schema_free(struct leat_merge_schema *schema)
{
    struct leat_merge_forms *forms;

    if (schema == NULL)
        return;
    while ((forms = schema->forms) != NULL) {
        schema->forms = forms->older;
        forms_free(forms, schema->table_count);
    }
    for (size_t t = 0; t < schema->table_count; t++)
        free(schema->tables[t].columns);
    free(schema->tables);
    leat_mutex_release(&schema->lock);
    free(schema);
}

/* ---- forms ------------------------------------------------------------------------------------- */

static struct leat_merge_forms *
forms_new(const struct leat_merge_schema *schema)
{
    struct leat_merge_forms *forms = LEAT_NEW(struct leat_merge_forms);

    forms->tables = LEAT_NEW_ARRAY(struct leat_table_forms, schema->table_count);
    for (size_t t = 0; t < schema->table_count; t++) {
        forms->tables[t].size = sizeof forms->tables[t];
        forms->tables[t].columns = LEAT_NEW_ARRAY(struct leat_form, schema->tables[t].width);
    }
    return forms;
}

static bool
forms_equal(const struct leat_merge_schema *schema, const struct leat_merge_forms *a,
            const struct leat_merge_forms *b)
{
    for (size_t t = 0; t < schema->table_count; t++) {
        if (a->tables[t].is_known != b->tables[t].is_known ||
            a->tables[t].may_equal != b->tables[t].may_equal ||
            memcmp(a->tables[t].columns, b->tables[t].columns,
                   schema->tables[t].width * sizeof(struct leat_form)) != 0)
            return false;
    }
    return true;
}

/* Buffers hold them without a count: all live as long as the schema, and they change when a table is altered. */
void
leat_merge_schema_tell(struct leat_merge_schema *schema,
                       void (*ask)(void *committer, size_t table,
                                   struct leat_table_forms *ret_forms),
                       void *committer)
{
    struct leat_merge_forms *forms = forms_new(schema);

    for (size_t t = 0; t < schema->table_count; t++)
        ask(committer, t, &forms->tables[t]);
    leat_mutex_lock(&schema->lock);
    /* What one committer found out by a refusal, the next may not know. */
    for (size_t t = 0; schema->forms != NULL && t < schema->table_count; t++)
        forms->tables[t].may_equal |= schema->forms->tables[t].may_equal;
    if (schema->forms == NULL || !forms_equal(schema, schema->forms, forms)) {
        forms->older = schema->forms;
        schema->forms = forms;
        forms = NULL;
    }
    leat_mutex_unlock(&schema->lock);
    if (forms != NULL)
        forms_free(forms, schema->table_count);
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

        rows->count = rows->stretch = 0;
        rows->stretch_depth = rows->most_depth = 0;
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

        if (rows->rows[i].is_followed)
            continue;
        while (rows->places[place] != 0)
            place = (place + 1) & (place_count - 1);
        rows->places[place] = (uint32_t)i + 1;
    }
}

/* The place of the last row of this key's chain; NULL: there is none. */
static uint32_t *
find_place(struct leat_merge_rows *rows, struct leat_slice key, uint64_t hash)
{
    if (rows->place_count == 0)
        return NULL;
    for (size_t place = hash & (rows->place_count - 1); rows->places[place] != 0;
         place = (place + 1) & (rows->place_count - 1)) {
        struct leat_merge_row *row = &rows->rows[rows->places[place] - 1];

        if (row->hash == hash && leat_slice_equals(row->key, key))
            return &rows->places[place];
    }
    return NULL;
}

/* A row behind all others; of a chain when the key has one. */
static struct leat_merge_row *
add_row(struct leat_merge *merge, size_t table, struct leat_slice key, uint64_t hash)
{
    struct leat_merge_rows *rows = &merge->tables[table];
    uint32_t *place = find_place(rows, key, hash);
    struct leat_merge_row *row, *before = NULL;

    LEAT_GROW(rows->rows, rows->count, rows->capacity);
    if (place != NULL) {
        before = &rows->rows[*place - 1];
        before->is_followed = true;
    } else if ((rows->count + 1) * 2 > rows->place_count) {
        grow_places(rows);
    }
    row = &rows->rows[rows->count];
    *row = (struct leat_merge_row){.key = before != NULL ? before->key
                                                         : leat_arena_copy(&merge->arena, key),
                                   .hash = hash,
                                   .depth = before != NULL ? before->depth + 1 : 0};
    row->cells = leat_arena_alloc_zero(&merge->arena, merge->schema->tables[table].width,
                                       sizeof(struct leat_cell));
    if (place == NULL) {
        size_t free_place = hash & (rows->place_count - 1);

        while (rows->places[free_place] != 0)
            free_place = (free_place + 1) & (rows->place_count - 1);
        place = &rows->places[free_place];
    }
    *place = (uint32_t)++rows->count;
    merge->row_count++;
    return row;
}

/* ---- keys that may be equal in the target ------------------------------------------------------ */

static bool
has_shape(const struct leat_merge_table *table, const struct leat_merge_row *row,
          enum leat_operation operation, const struct leat_cell *cells)
{
    if (row->operation != operation)
        return false;
    for (size_t c = 0; c < table->width; c++) {
        if ((row->cells[c].type == LEAT_ABSENT) != (cells[c].type == LEAT_ABSENT))
            return false;
    }
    return true;
}

/* Does the operation go on with the last stretch? last: the last row of its key's chain; NULL: none. */
static bool
goes_on(const struct leat_merge_table *table, const struct leat_merge_rows *rows, bool is_free,
        const struct leat_merge_row *last, enum leat_operation operation,
        const struct leat_cell *cells)
{
    const struct leat_merge_row *first = &rows->rows[rows->stretch];

    return rows->stretch < rows->count && first->is_free == is_free &&
           has_shape(table, first, operation, cells) && (is_free || last == NULL || last < first);
}

/* The row of its key that the operation may merge with, which is in the last stretch; NULL: a row of its own, maybe of a new one. */
static struct leat_merge_row *
find_in_stretch(const struct leat_merge_table *table, struct leat_merge_rows *rows, bool is_free,
                struct leat_merge_row *last, enum leat_operation operation,
                const struct leat_cell *cells)
{
    if (!goes_on(table, rows, is_free, last, operation, cells)) {
        rows->stretch_depth = rows->count == 0 ? 0 : rows->most_depth + 1;
        rows->stretch = rows->count;
    }
    return last != NULL && is_free && last >= &rows->rows[rows->stretch] ? last : NULL;
}

/* ---- apply ------------------------------------------------------------------------------------- */

static void
make_key(struct leat_merge *merge, size_t table_index, const struct leat_cell *cells)
{
    const struct leat_merge_table *table = &merge->schema->tables[table_index];

    leat_buf_clear(&merge->key);
    for (size_t c = 0; c < table->width; c++) {
        if (table->columns[c].rule == LEAT_KEY)
            leat_cell_key(&cells[c], &merge->key);
    }
    /* Without a key each row is its own: ordered as it came. */
    if (table->key_count == 0)
        leat_buf_add_be64(&merge->key, merge->tables[table_index].count);
}

static const struct leat_table_forms *
forms_of(struct leat_merge *merge, size_t table)
{
    static struct leat_form none[LEAT_MERGE_COLUMNS];
    static const struct leat_table_forms unknown = {.columns = none};

    if (merge->row_count == 0)
        merge->forms = merge->schema->forms;
    return merge->forms != NULL ? &merge->forms->tables[table] : &unknown;
}

void
leat_merge_add(struct leat_merge *merge, size_t table_index, enum leat_operation operation,
               struct leat_cell *cells)
{
    const struct leat_merge_table *table = &merge->schema->tables[table_index];
    const struct leat_table_forms *forms = forms_of(merge, table_index);
    struct leat_merge_rows *rows = &merge->tables[table_index];
    bool may_equal = forms->may_equal && table->key_count > 0, is_free = false, is_alone;
    enum leat_composition composition = LEAT_STAYS_TWO;
    struct leat_merge_row *row;
    uint32_t *place;
    uint64_t hash;

    for (size_t c = 0; c < table->width; c++)
        leat_form_apply(&forms->columns[c], table->columns[c].rule, &cells[c], &merge->arena);
    is_alone = !leat_merge_is_taken(table, forms->columns, operation, cells);
    make_key(merge, table_index, cells);
    hash = leat_hash(leat_buf_slice(&merge->key));
    place = table->key_count > 0 ? find_place(rows, leat_buf_slice(&merge->key), hash) : NULL;
    row = place != NULL ? &rows->rows[*place - 1] : NULL;
    if (may_equal) {
        is_free = !is_alone && leat_merge_is_free(table, forms->columns, operation, cells);
        row = find_in_stretch(table, rows, is_free, row, operation, cells);
    }
    if (row != NULL && !is_alone)
        composition =
            leat_merge_compose(table, forms->columns, row, operation, cells, &merge->arena);
    if (composition == LEAT_COMPOSED)
        return;
    row = add_row(merge, table_index, leat_buf_slice(&merge->key), hash);
    if (may_equal && row->depth < rows->stretch_depth)
        row->depth = rows->stretch_depth;
    if (row->depth > rows->most_depth)
        rows->most_depth = row->depth;
    row->operation = operation;
    row->is_alone = is_alone || composition == LEAT_STAYS_ALONE;
    row->is_free = is_free;
    row->is_in_order = may_equal;
    for (size_t c = 0; c < table->width; c++) {
        row->cells[c] = cells[c];
        leat_cell_own(&row->cells[c], &merge->arena);
    }
}

bool
leat_merge_is_current(const struct leat_merge *merge,
                      void (*ask)(void *committer, size_t table,
                                  struct leat_table_forms *ret_forms),
                      void *committer)
{
    static const struct leat_form none[LEAT_MERGE_COLUMNS];
    bool is_current = true;

    for (size_t t = 0; is_current && t < merge->schema->table_count; t++) {
        struct leat_form columns[LEAT_MERGE_COLUMNS] = {0};
        struct leat_table_forms now = {.size = sizeof now, .columns = columns};
        const struct leat_table_forms *then = merge->forms != NULL ? &merge->forms->tables[t]
                                                                   : NULL;

        if (merge->tables[t].count == 0)
            continue;
        ask(committer, t, &now);
        is_current = memcmp(columns, then != NULL ? then->columns : none,
                            merge->schema->tables[t].width * sizeof *columns) == 0 &&
                     (!now.may_equal || (then != NULL && then->may_equal));
    }
    return is_current;
}

/* A value without an order is none (docs/protocol.md §5). A replace writes its row as it is. */
static void
drop_unordered(const struct leat_merge_table *table, struct leat_cell *cells)
{
    for (size_t c = 0; c < table->width; c++) {
        const struct leat_merge_column *column = &table->columns[c];

        if ((column->rule == LEAT_FIRST || column->rule == LEAT_LAST) && column->order_by >= 0 &&
            leat_cell_is_nothing(&cells[column->order_by]))
            cells[c] = (struct leat_cell){.type = LEAT_ABSENT};
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
    if (operation == LEAT_OP_MERGE)
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
