/* A row of a flush as a line. */
#include "jsonl.h"
#include "base/row_json.h"

void
leat_jsonl_line(struct leat_buf *out, const struct leat_flush_rows *rows, size_t row)
{
    leat_row_json(out, rows->table, rows->operation, rows->values + row * rows->width, rows->width);
    leat_buf_add_byte(out, '\n');
}
