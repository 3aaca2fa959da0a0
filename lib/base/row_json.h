/* A row as one line of JSON, for people and for files. Pure. */
#ifndef LEAT_BASE_ROW_JSON_H
#define LEAT_BASE_ROW_JSON_H

#include <leat/table.h>

#include "base/buf.h"

/*
 * {"table":…,"operation":…,"row":{…}} without a newline. values: one for each column, or (a deletion) one for each key column.
 * Columns that are absent are left out.
 */
void leat_row_json(struct leat_buf *out, const struct leat_table *table,
                   enum leat_operation operation, const struct leat_value *values, size_t count);

#endif
