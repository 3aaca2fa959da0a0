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
    uint32_t depth; /* rows are written by it, the smallest first */
    enum leat_operation operation;
    bool is_followed; /* not the last of its key's chain */
    /* The target may refuse it by itself, and is to say so: nothing merges with it. */
    bool is_alone;
    bool is_in_order; /* written as it came among the rows of its depth */
    bool is_free;     /* is_in_order: of a stretch that merges */
    struct leat_cell *cells;
};

struct leat_merge_rows {
    struct leat_merge_row *rows;
    size_t count, capacity;
    uint32_t *places; /* of the last row of each chain */
    size_t place_count;
    /* Of a table whose keys may be equal in the target: rows of another stretch are another key's and this one's. */
    size_t stretch; /* the first row of the last one */
    uint32_t stretch_depth, most_depth;
};

struct leat_merge {
    const struct leat_merge_schema *schema;
    const struct leat_merge_forms *forms; /* of the rows that it holds; NULL: as declared */
    struct leat_merge_rows *tables;
    struct leat_arena arena;
    struct leat_buf key;
    size_t row_count;
};

/* As leat_merge_apply, with cells: one per column, which this brings to their forms. Copied. */
void leat_merge_add(struct leat_merge *merge, size_t table, enum leat_operation operation,
                    struct leat_cell *cells);

#endif
