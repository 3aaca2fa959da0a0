/* The inside of a merge buffer, shared by merge.c and merge_groups.c. */
#ifndef LEAT_PIPELINE_MERGE_ROWS_H
#define LEAT_PIPELINE_MERGE_ROWS_H

#include "base/arena.h"
#include "base/buf.h"
#include "pipeline/merge.h"
#include "pipeline/merge_cell.h"

#define LEAT_MERGE_COLUMNS 256 /* columns of a table at most; the loader refuses more */

struct leat_merge_row {
    struct leat_slice key; /* bytes whose order is the order of keys */
    uint64_t hash;
    enum leat_operation operation;
    struct leat_cell *cells;
};

struct leat_merge_rows {
    struct leat_merge_row *rows;
    size_t count, capacity;
    uint32_t *places;
    size_t place_count;
};

struct leat_merge {
    const struct leat_merge_schema *schema;
    struct leat_merge_rows *tables;
    struct leat_arena arena;
    struct leat_buf key;
    size_t row_count;
};

/* As leat_merge_apply, with cells: one per column. Copied. */
void leat_merge_add(struct leat_merge *merge, size_t table, enum leat_operation operation,
                    const struct leat_cell *cells);

#endif
