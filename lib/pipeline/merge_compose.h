/*
 * One operation after another on one key, as one (docs/protocol.md §5); or that there is none.
 *
 * The rule is: the row that the target has afterwards is the same as if x had been committed, then y, whatever row it had
 * before, or none. Two operations have no single one that does so when
 * - LEAT_FIRST and LEAT_LAST: one gives an order without a value, and the other a value that lost or tied against that order:
 *   the value's own order is gone then. (x: value a at 4. y: no value, at 5. A stored b at 4.5 stays; a merged "a at 5" would win.)
 * - x leaves a column absent whose default in a new row counts for its rule;
 * - the target does not take a value of x or y (or that one is absent), which would be gone when it judges;
 * - a sum leaves its column's range.
 */
#ifndef LEAT_PIPELINE_MERGE_COMPOSE_H
#define LEAT_PIPELINE_MERGE_COMPOSE_H

#include "pipeline/merge.h"
#include "pipeline/merge_form.h"
#include "pipeline/merge_rows.h"

enum leat_composition {
    LEAT_COMPOSED,
    LEAT_STAYS_TWO, /* written one behind the other */
    LEAT_STAYS_ALONE /* and what comes behind does not merge with the second either: the target may refuse it */
};
/* row := the operation after row. If they stay two the row is untouched. What is kept of cells is copied into the arena.
   more than five: the table and its forms, two operations, and where bytes go. */
enum leat_composition leat_merge_compose(const struct leat_merge_table *table,
                                         const struct leat_form *forms, struct leat_merge_row *row,
                                         enum leat_operation operation,
                                         const struct leat_cell *cells, struct leat_arena *arena);
/* Do operations of this kind give the same row in any order? */
bool leat_merge_is_free(const struct leat_merge_table *table, const struct leat_form *forms,
                        enum leat_operation operation, const struct leat_cell *cells);
/* Does the target take each value? Keys, too. */
bool leat_merge_is_taken(const struct leat_merge_table *table, const struct leat_form *forms,
                         enum leat_operation operation, const struct leat_cell *cells);

#endif
