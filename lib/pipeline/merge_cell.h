/* One cell of a merged row and the rules by which two become one. Internal to the merge. Pure. */
#ifndef LEAT_PIPELINE_MERGE_CELL_H
#define LEAT_PIPELINE_MERGE_CELL_H

#include <leat/table.h>

#include "base/arena.h"
#include "base/decimal.h"

/* A value as the merge keeps it: decimals are parsed once where 128 bits hold them. */
struct leat_cell {
    enum leat_type type;
    bool is_parsed; /* LEAT_DECIMAL: `decimal` holds it, `slice` is unset */
    union {
        int64_t integer;
        double real;
        struct leat_slice slice;
        struct leat_decimal decimal;
    } as;
};

/* Texts stay borrowed. A LEAT_COUNT column's value becomes 1 or 0. */
struct leat_cell leat_cell_from(const struct leat_value *value, enum leat_rule rule);
/* What is given to the target; decimals are formatted into the arena. */
struct leat_value leat_cell_value(const struct leat_cell *cell, struct leat_arena *arena);
/* Moves borrowed bytes into the arena. */
void leat_cell_own(struct leat_cell *cell, struct leat_arena *arena);
/* NULL and absent are smaller than everything. */
int leat_cell_compare(const struct leat_cell *a, const struct leat_cell *b);
bool leat_cell_is_nothing(const struct leat_cell *cell);
/* Would the sum of the two take more bytes, written out, than a row is to keep? */
bool leat_cell_sum_is_long(const struct leat_cell *a, const struct leat_cell *b);
/* into := into + from; both of one type. Sums of texts go to the arena. false: the type does not hold it; untouched. */
bool leat_cell_add(struct leat_cell *into, const struct leat_cell *from, struct leat_arena *arena);
/* Bytes whose order is the order of values, for keys: self-delimiting. */
void leat_cell_key(const struct leat_cell *cell, struct leat_buf *out);

#endif
