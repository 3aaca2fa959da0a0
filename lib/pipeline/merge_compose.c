/*
 * The closed composition, in two passes over the columns: first whether all of them have one (nothing is touched), then it is made.
 * A column with LEAT_FIRST or LEAT_LAST is decided by its own order, before that column is merged itself.
 */
#include "pipeline/merge_compose.h"

static bool
is_given(const struct leat_cell *cell)
{
    return cell->type != LEAT_ABSENT;
}

/* What a new row has in an absent column is nothing, for the rule. */
static bool
is_plain_when_absent(const struct leat_form *form)
{
    return !(form->flags & LEAT_FORM_DEFAULT);
}

/* < 0: the order of `from` is worse, 0: they are equal, > 0: better; one that is missing is the worst. */
static int
compare_orders(enum leat_rule rule, const struct leat_cell *into, const struct leat_cell *from)
{
    if (leat_cell_is_nothing(into) || leat_cell_is_nothing(from))
        return leat_cell_is_nothing(into) - leat_cell_is_nothing(from);
    return rule == LEAT_FIRST ? leat_cell_compare(into, from) : leat_cell_compare(from, into);
}

static bool
is_ordered(enum leat_rule rule)
{
    return rule == LEAT_FIRST || rule == LEAT_LAST;
}

/* ---- may they be one? -------------------------------------------------------------------------- */

static bool
ordered_composes(const struct leat_merge_table *table, const struct leat_form *forms, size_t c,
                 const struct leat_merge_row *row, const struct leat_cell *cells)
{
    size_t o = (size_t)table->columns[c].order_by;
    const struct leat_cell *x = &row->cells[c], *x_order = &row->cells[o];
    int order = compare_orders(table->columns[c].rule, x_order, &cells[o]);

    if (leat_cell_is_nothing(&cells[o]))
        return true; /* y says nothing of this column */
    if ((!is_given(x) && !is_plain_when_absent(&forms[c])) ||
        (!is_given(x_order) && !is_plain_when_absent(&forms[o])))
        return false;
    /* A replace says all of the row: value and order as they are. */
    if (row->operation == LEAT_OP_REPLACE)
        return true;
    if (!is_given(&cells[c]))
        return !is_given(x) || order <= 0;
    return is_given(x) || leat_cell_is_nothing(x_order) || order != 0;
}

static bool
sum_fits(const struct leat_form *form, const struct leat_cell *x, const struct leat_cell *y,
         struct leat_arena *arena)
{
    struct leat_cell sum = *x;

    if (leat_cell_is_nothing(x) || leat_cell_is_nothing(y))
        return true;
    /* Nearly all: any sum of two that a plain numeric takes. */
    if (x->type == LEAT_DECIMAL && form->kind == LEAT_FORM_SAME)
        return true;
    return leat_cell_add(&sum, y, arena) && leat_form_takes(form, &sum);
}

static bool
column_composes(const struct leat_merge_table *table, const struct leat_form *forms, size_t c,
                const struct leat_merge_row *row, const struct leat_cell *cells)
{
    enum leat_rule rule = table->columns[c].rule;

    if (rule == LEAT_KEY)
        return true;
    if (is_ordered(rule))
        return ordered_composes(table, forms, c, row, cells);
    return is_given(&row->cells[c]) || !is_given(&cells[c]) || is_plain_when_absent(&forms[c]);
}

static bool
has_long_sum(const struct leat_merge_table *table, const struct leat_merge_row *row,
             const struct leat_cell *cells)
{
    for (size_t c = 0; c < table->width; c++) {
        if (table->columns[c].rule == LEAT_SUM && leat_cell_sum_is_long(&row->cells[c], &cells[c]))
            return true;
    }
    return false;
}

static bool
sums_fit(const struct leat_merge_table *table, const struct leat_form *forms,
         const struct leat_merge_row *row, const struct leat_cell *cells, struct leat_arena *arena)
{
    for (size_t c = 0; c < table->width; c++) {
        enum leat_rule rule = table->columns[c].rule;

        if ((rule == LEAT_SUM || rule == LEAT_COUNT) &&
            !sum_fits(&forms[c], &row->cells[c], &cells[c], arena))
            return false;
    }
    return true;
}

static enum leat_composition
composes(const struct leat_merge_table *table, const struct leat_form *forms,
         const struct leat_merge_row *row, enum leat_operation operation,
         const struct leat_cell *cells, struct leat_arena *arena)
{
    if (row->is_alone)
        return LEAT_STAYS_TWO;
    if (operation != LEAT_OP_MERGE || row->operation == LEAT_OP_DELETE)
        return LEAT_COMPOSED;
    for (size_t c = 0; c < table->width; c++) {
        if (!column_composes(table, forms, c, row, cells))
            return LEAT_STAYS_TWO;
    }
    if (has_long_sum(table, row, cells))
        return LEAT_STAYS_TWO;
    return sums_fit(table, forms, row, cells, arena) ? LEAT_COMPOSED : LEAT_STAYS_ALONE;
}

/* ---- the one that they are --------------------------------------------------------------------- */

static void
keep(struct leat_cell *into, const struct leat_cell *from, struct leat_arena *arena)
{
    *into = *from;
    leat_cell_own(into, arena);
}

static void
merge_ordered(const struct leat_merge_table *table, struct leat_cell *into,
              const struct leat_cell *from, struct leat_arena *arena)
{
    for (size_t c = 0; c < table->width; c++) {
        const struct leat_merge_column *column = &table->columns[c];
        size_t o = (size_t)column->order_by;
        int order;

        if (!is_ordered(column->rule) || !is_given(&from[c]) || leat_cell_is_nothing(&from[o]))
            continue;
        order = compare_orders(column->rule, &into[o], &from[o]);
        /* Equal order: the greater value. */
        if (order > 0 || (order == 0 && leat_cell_compare(&from[c], &into[c]) > 0))
            keep(&into[c], &from[c], arena);
    }
}

static void
merge_cell(enum leat_rule rule, struct leat_cell *into, const struct leat_cell *from,
           struct leat_arena *arena)
{
    bool is_taken = false;

    switch (rule) {
    case LEAT_SET:
        is_taken = is_given(from);
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
    if (is_taken)
        keep(into, from, arena);
}

enum leat_composition
leat_merge_compose(const struct leat_merge_table *table, const struct leat_form *forms,
                   struct leat_merge_row *row, enum leat_operation operation,
                   const struct leat_cell *cells, struct leat_arena *arena)
{
    enum leat_composition composition = composes(table, forms, row, operation, cells, arena);

    if (composition != LEAT_COMPOSED)
        return composition;
    if (operation != LEAT_OP_MERGE || row->operation == LEAT_OP_DELETE) {
        for (size_t c = 0; c < table->width; c++)
            keep(&row->cells[c], &cells[c], arena);
        row->operation = operation == LEAT_OP_MERGE ? LEAT_OP_REPLACE : operation;
        return LEAT_COMPOSED;
    }
    merge_ordered(table, row->cells, cells, arena);
    for (size_t c = 0; c < table->width; c++)
        merge_cell(table->columns[c].rule, &row->cells[c], &cells[c], arena);
    return LEAT_COMPOSED;
}

/* ---- what an operation is by itself ------------------------------------------------------------ */

bool
leat_merge_is_free(const struct leat_merge_table *table, const struct leat_form *forms,
                   enum leat_operation operation, const struct leat_cell *cells)
{
    if (operation != LEAT_OP_MERGE || !table->is_commutative)
        return false;
    for (size_t c = 0; c < table->width; c++) {
        const struct leat_merge_column *column = &table->columns[c];

        if (is_given(&cells[c]))
            continue;
        if (!is_plain_when_absent(&forms[c]))
            return false;
        if (is_ordered(column->rule) && !leat_cell_is_nothing(&cells[column->order_by]))
            return false;
    }
    return true;
}

bool
leat_merge_is_taken(const struct leat_merge_table *table, const struct leat_form *forms,
                    enum leat_operation operation, const struct leat_cell *cells)
{
    for (size_t c = 0; c < table->width; c++) {
        if (operation == LEAT_OP_DELETE && table->columns[c].rule != LEAT_KEY)
            continue;
        if (!leat_form_takes(&forms[c], &cells[c]))
            return false;
        /* Postgres looks at it before it finds that the row is there. */
        if (!is_given(&cells[c]) && (forms[c].flags & LEAT_FORM_NEEDED))
            return false;
    }
    return true;
}
