/*
 * From merge buffers to the groups of a flush. Rows are written by their depth in their key's chain (merge.h). A table whose rules are commutative, and whose rows are all merges, is
 * merged across the shards; any other is written shard by shard, in key order, inside the one transaction. A shard's
 * replaces and deletions never meet another's merges of the same statement.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "pipeline/merge.h"
#include "pipeline/merge_form.h"
#include "pipeline/merge_rows.h"

struct groups {
    struct leat_flush_rows *items;
    size_t count, capacity;
    struct leat_arena *arena;
};

/* The depth, then the operation and which columns are absent decide which statement writes the row. */
static int
compare_shape(const struct leat_merge_row *a, const struct leat_merge_row *b, size_t width)
{
    if (a->depth != b->depth)
        return a->depth < b->depth ? -1 : 1;
    if (a->operation != b->operation)
        return (int)b->operation - (int)a->operation; /* deletions, replaces, merges */
    for (size_t c = 0; c < width; c++) {
        int order = (a->cells[c].type == LEAT_ABSENT) - (b->cells[c].type == LEAT_ABSENT);

        if (order != 0)
            return order;
    }
    return 0;
}

static int
compare_rows(const void *left, const void *right, void *width)
{
    const struct leat_merge_row *a = *(struct leat_merge_row *const *)left;
    const struct leat_merge_row *b = *(struct leat_merge_row *const *)right;
    int order = compare_shape(a, b, *(size_t *)width);

    if (order == 0 && a->is_in_order)
        return a < b ? -1 : a > b;
    return order != 0 ? order : leat_slice_compare(a->key, b->key);
}

static void
add_group(struct groups *groups, const struct leat_merge_table *table, size_t table_index,
          struct leat_merge_row *const *rows, size_t count)
{
    struct leat_value *values =
        leat_arena_alloc(groups->arena, count * table->width * sizeof *values);
    struct leat_flush_rows group = {
        .table = table->table,
        .table_index = table_index,
        .operation = rows[0]->operation,
        .count = count,
        .width = table->width,
        .values = values,
    };

    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < table->width; c++)
            values[i * table->width + c] = leat_cell_value(&rows[i]->cells[c], groups->arena);
    }
    if (groups->count >= groups->capacity) {
        size_t capacity = groups->capacity < 8 ? 8 : groups->capacity * 2;
        struct leat_flush_rows *grown = leat_arena_alloc(groups->arena, capacity * sizeof *grown);

        if (groups->count > 0)
            memcpy(grown, groups->items, groups->count * sizeof *grown);
        groups->items = grown;
        groups->capacity = capacity;
    }
    groups->items[groups->count++] = group;
}

static void
add_rows(struct groups *groups, const struct leat_merge *merge, size_t table_index)
{
    const struct leat_merge_table *table = &merge->schema->tables[table_index];
    const struct leat_merge_rows *rows = &merge->tables[table_index];
    struct leat_merge_row **sorted;
    size_t width = table->width, first = 0;

    if (rows->count == 0)
        return;
    sorted = leat_alloc(rows->count * sizeof *sorted);
    for (size_t i = 0; i < rows->count; i++)
        sorted[i] = &rows->rows[i];
    qsort_r(sorted, rows->count, sizeof *sorted, compare_rows, &width);
    for (size_t i = 1; i <= rows->count; i++) {
        if (i < rows->count && compare_shape(sorted[i], sorted[first], width) == 0)
            continue;
        add_group(groups, table, table_index, sorted + first, i - first);
        first = i;
    }
    free(sorted);
}

static bool
is_all_merges(struct leat_merge *const *merges, size_t merge_count, size_t table_index)
{
    for (size_t m = 0; m < merge_count; m++) {
        const struct leat_merge_rows *rows = &merges[m]->tables[table_index];

        for (size_t i = 0; i < rows->count; i++) {
            if (rows->rows[i].operation != LEAT_OP_MERGE)
                return false;
        }
    }
    return true;
}

/* One buffer that holds all shards' rows of a table; its bytes must outlive the flush: they are copied. */
static void
add_across(struct groups *groups, struct leat_merge *const *merges, size_t merge_count,
           size_t table_index)
{
    struct leat_merge *all = leat_merge_new(merges[0]->schema);
    size_t width = merges[0]->schema->tables[table_index].width;
    struct leat_cell cells[LEAT_MERGE_COLUMNS];
    size_t first_group = groups->count;

    for (size_t m = 0; m < merge_count; m++) {
        const struct leat_merge_rows *rows = &merges[m]->tables[table_index];

        for (size_t i = 0; i < rows->count; i++) {
            memcpy(cells, rows->rows[i].cells, width * sizeof *cells);
            leat_merge_add(all, table_index, LEAT_OP_MERGE, cells);
        }
    }
    add_rows(groups, all, table_index);
    for (size_t g = first_group; g < groups->count; g++) {
        struct leat_value *values = (struct leat_value *)groups->items[g].values;

        for (size_t i = 0; i < groups->items[g].count * groups->items[g].width; i++) {
            if (values[i].type == LEAT_TEXT || values[i].type == LEAT_BYTES ||
                values[i].type == LEAT_JSON || values[i].type == LEAT_DECIMAL)
                values[i].as.bytes.data =
                    leat_arena_copy(groups->arena, leat_value_slice(&values[i])).data;
        }
    }
    leat_merge_free(all);
}

static size_t
buffers_with_rows(struct leat_merge *const *merges, size_t merge_count, size_t table_index)
{
    size_t count = 0;

    for (size_t m = 0; m < merge_count; m++)
        count += merges[m]->tables[table_index].count > 0;
    return count;
}

struct leat_flush_rows *
leat_merge_groups(struct leat_merge *const *merges, size_t merge_count, struct leat_arena *arena,
                  size_t *ret_group_count)
{
    struct groups groups = {.arena = arena};
    size_t table_count = merge_count > 0 ? merges[0]->schema->table_count : 0;

    for (size_t t = 0; t < table_count; t++) {
        const struct leat_merge_table *table = &merges[0]->schema->tables[t];

        if (table->key_count > 0 && table->is_commutative &&
            buffers_with_rows(merges, merge_count, t) > 1 &&
            is_all_merges(merges, merge_count, t)) {
            add_across(&groups, merges, merge_count, t);
            continue;
        }
        for (size_t m = 0; m < merge_count; m++)
            add_rows(&groups, merges[m], t);
    }
    *ret_group_count = groups.count;
    return groups.items;
}

const bool *
leat_merge_divisible(struct leat_merge *const *merges, size_t merge_count,
                     const struct leat_flush_rows *groups, size_t group_count,
                     struct leat_arena *arena)
{
    bool *is_divisible = leat_arena_alloc_zero(arena, group_count + 1, sizeof *is_divisible);

    for (size_t g = 0; g < group_count; g++) {
        size_t table = groups[g].table_index;

        is_divisible[g] = true;
        for (size_t m = 0; m < merge_count; m++) {
            if (merges[m]->tables[table].count > 0 &&
                (merges[m]->forms == NULL || !merges[m]->forms->tables[table].may_equal))
                is_divisible[g] = false;
        }
    }
    return is_divisible;
}
