/*
 * The forms in which a target keeps values (leat/target.h), applied to cells before they merge: what is equal in the target is
 * then equal in memory, and what the target would refuse is known. Internal to the merge. Pure.
 */
#ifndef LEAT_PIPELINE_MERGE_FORM_H
#define LEAT_PIPELINE_MERGE_FORM_H

#include <leat/target.h>

#include "pipeline/merge_cell.h"

/* The forms of all tables of a processor. */
struct leat_merge_forms {
    struct leat_table_forms *tables;
    struct leat_merge_forms *older;
};

/* Brings the value to the form; bytes that this makes lie in the arena. */
void leat_form_apply(const struct leat_form *form, enum leat_rule rule, struct leat_cell *cell,
                     struct leat_arena *arena);
/* Does a column of this form take the value? false: the target is to say why not. Absent: true. */
bool leat_form_takes(const struct leat_form *form, const struct leat_cell *cell);

#endif
